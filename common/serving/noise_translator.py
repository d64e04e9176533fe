"""Export of translators that take noise as SavedModels for TensorFlow Serving, and loading.

A SavedModel has the following signature and the model's further ones.

    serving_default   image       float32 (B, S, S, C) in [-1, 1]
                      noise       float32 (B, size)
                   -> translated  float32 (B, S, S, C)

S and C are those of the training images.
"""

from pathlib import Path

from common.adversarial import Adversarial
from common.errors import UserError
from common.inference.noise_translator import NoiseTranslator, endpoint, signature
from common.io.records import read_json
from common.nn.latent import Latent
from common.serving import saved_model
from common.serving.sampler import Signatures
from common.serving.signatures import export_signatures

DEFAULT = "serving_default"
ABOUT = Path(saved_model.EXTRA, "noise_translator.json")  # metadata for `load_noise_translator`


def export_noise_translator(
    model: Adversarial,
    folder_base: Path | str,
    name: str,
    version: int,
    class_names: list[str],
    further: Signatures,
) -> Path:
    """Writes a model's translator to `<folder_base>/<name>/<version>/` for TensorFlow Serving.

    Args:
        model: model with `sampler`, `latent`, `image_size` and `channels`. The sampler is stateless
            with `training=False`, and no image depends on the others of its batch.
        folder_base, name, version: as for `export_signatures`, and so are the errors.
        class_names: names of the classes, stored with the model.
        further: additional signatures.

    Returns:
        The version's folder.
    """
    about = {
        "latent": model.latent._asdict(),
        "image_size": model.image_size,
        "channels": model.channels,
        "class_names": class_names,
    }
    signatures = {DEFAULT: (endpoint(model.sampler), signature(model)), **further}
    files = {ABOUT: about} | saved_model.classifier_facts(further, class_names)
    return export_signatures(model, folder_base, name, version, signatures, files)


def load_noise_translator(folder: Path | str) -> NoiseTranslator:
    """Loads a translator exported by `export_noise_translator`.

    Args:
        folder: folder of a version, which contains `saved_model.pb`.

    Raises:
        UserError: it contains no SavedModel, a damaged one, or one that is no such translator.
    """
    loaded = saved_model.load(folder)
    about = read_json(Path(folder) / ABOUT)
    if not about:
        raise UserError(
            f"{folder} is a SavedModel, but not a translator with noise exported by this project"
        )

    def translate(image, noise):
        # The closure keeps `loaded` alive: the signature alone would lose the variables.
        return loaded.signatures[DEFAULT](image=image, noise=noise)

    latent = Latent(**about["latent"])
    return NoiseTranslator(latent, about["image_size"], about["channels"], translate)
