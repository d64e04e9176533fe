"""Export of functions of a model as the signatures of a SavedModel for TensorFlow Serving.

The functions consist of TensorFlow operations only, so TensorFlow Serving runs them, as does
TensorFlow without Keras and without this project.
"""

from pathlib import Path

from common.adversarial import Adversarial
from common.io.atomic import atomic_folder
from common.serving import saved_model, warmup
from common.serving.sampler import Signatures

import keras


def export_signatures(
    model: Adversarial,
    folder_base: Path | str,
    name: str,
    version: int,
    signatures: Signatures,
    about: dict[Path, dict] | None = None,
) -> Path:
    """Writes a SavedModel to `<folder_base>/<name>/<version>/`, with a warm-up request of each.

    The folder is written atomically, so a server that watches `<folder_base>/<name>` never loads
    an incomplete model.

    Args:
        model: holds the variables.
        folder_base: folder that is created if necessary.
        name: name of the model on the server.
        version: positive integer; the server uses the highest.
        signatures: functions and their inputs by name. Inputs are of numeric types and begin with
            the batch dimension. The first one is also `serving_default`, unless one has that name.
        about: content of JSON files in the version's folder, by path.

    Returns:
        The version's folder.

    Raises:
        UserError: the version is not a positive integer or already exists, or the folder cannot be
            written.
    """
    folder = saved_model.version_folder(folder_base, name, version)
    archive = keras.export.ExportArchive()
    archive.track(model)
    for signature_name, (function, takes) in signatures.items():
        archive.add_endpoint(signature_name, function, takes)
    requests = {key: warmup.zeros(takes) for key, (_, takes) in signatures.items()}
    with atomic_folder(folder, saved_model.WRITE_ERRORS) as part:
        archive.write_out(str(part), verbose=False)
        warmup.write_requests(part, name, requests)
        saved_model.write_facts(part, about or {})
    return folder
