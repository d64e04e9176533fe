"""Export of noise-to-image generators as SavedModels for TensorFlow Serving, and loading.

A SavedModel has the following signatures and the model's further ones. They consist of TensorFlow
operations only, so TensorFlow Serving runs them, as does TensorFlow without Keras and without this
project. Parts in brackets exist for class-conditional generators.

    serving_default   noise        float32 (B, size)
                    [ label        int32 (B,) ]
                   -> image        float32 (B, S, S, C) in [-1, 1]
    serving_seed      seed         int64 ()
                      count        int32 (), the number of images N
                    [ label        int32 (), a class, or -1 to cycle through all classes ]
                   -> image        float32 (N, S, S, C)
                      image_bytes  string (N,): PNG files
  [ serving_mixture   noise          float32 (B, size)
                      class_weights  float32 (B, classes), such as 0.5 for each of two classes
                   -> image          float32 (B, S, S, C) ]

A seed always gives the same images; a larger count appends to them. A label that is not a class is
an error. The server returns `image_bytes` as base64 because its name ends in `_bytes`. It takes the
scalars of `serving_seed` in its columnar format ("inputs") and only without --enable_batching,
which concatenates requests along a first dimension that scalars do not have.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from common.adversarial import Adversarial
from common.errors import UserError
from common.inference.endpoints import (
    Endpoint,
    endpoint,
    mixture_endpoint,
    mixture_signature,
    seeded_endpoint,
    seeded_signature,
    signature,
)
from common.inference.sampler import Sampler
from common.io.atomic import atomic_folder
from common.nn.latent import Latent
from common.serving import saved_model, warmup

import keras
import tensorflow as tf

MIXTURE = "serving_mixture"
# By name: a function of the model's networks, and its inputs.
Signatures = Mapping[str, tuple[Endpoint, list[tf.TensorSpec]]]
ABOUT = Path(saved_model.EXTRA, "sampler.json")  # metadata that `load_sampler` reads


def export_sampler(
    model: Adversarial,
    folder_base: Path | str,
    name: str,
    version: int,
    class_names: list[str] | None = None,
    further: Signatures | None = None,
) -> Path:
    """Writes a model's sampler to `<folder_base>/<name>/<version>/` for TensorFlow Serving.

    The folder is written atomically, so a server that watches `<folder_base>/<name>` never loads
    an incomplete model.

    Args:
        model: model with `sampler`, `latent` and `classes`. The sampler is stateless with
            `training=False`, and no image depends on the others of its batch.
        folder_base: folder that is created if necessary.
        name: name of the model on the server.
        version: positive integer; the server uses the highest.
        class_names: names stored with the model; default the class indices.
        further: additional signatures; their inputs are of numeric types and begin with the
            batch dimension.

    Returns:
        The version's folder.

    Raises:
        UserError: the version is not a positive integer or already exists, or the folder cannot be
            written.
    """
    folder = saved_model.version_folder(folder_base, name, version)
    generator, latent, classes = model.sampler, model.latent, model.classes
    image = endpoint(generator, classes)
    seeded = _with_files(seeded_endpoint(image, latent, classes))
    further = further or {}
    archive = keras.export.ExportArchive()
    archive.track(model if further else generator)
    archive.add_endpoint("serving_default", image, signature(latent, classes))
    archive.add_endpoint("serving_seed", seeded, seeded_signature(classes))
    if classes:
        takes = mixture_signature(latent, classes)
        archive.add_endpoint(MIXTURE, mixture_endpoint(generator), takes)
    for signature_name, (function, takes) in further.items():
        archive.add_endpoint(signature_name, function, takes)
    names = class_names or [str(label) for label in range(classes)]
    about = {"latent": latent._asdict(), "class_names": names if classes else []}
    with atomic_folder(folder, saved_model.WRITE_ERRORS) as part:
        archive.write_out(str(part), verbose=False)
        warmup.write_requests(part, name, _warmup_requests(latent, classes, further))
        facts = saved_model.classifier_facts(further, class_names or [])
        saved_model.write_facts(part, {ABOUT: about} | facts)
    return folder


def load_sampler(folder: Path | str) -> Sampler:
    """Loads a generator exported by `export_sampler`.

    Args:
        folder: folder of a version, which contains `saved_model.pb`.

    Raises:
        UserError: it contains no SavedModel, a damaged one, or one that is not a generator.
    """
    loaded = saved_model.load(folder)
    if not {"serving_default", "serving_seed"} <= set(loaded.signatures):
        raise UserError(f"{folder} is a SavedModel, but not a generator exported by this project")
    try:
        about = json.loads((Path(folder) / ABOUT).read_text())
        latent, class_names = Latent(**about["latent"]), list(about["class_names"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = saved_model.first_line(error)
        raise UserError(
            f"{Path(folder) / ABOUT} cannot be read ({reason}); export the model again"
        ) from error

    def called(signature_name: str) -> Endpoint:
        # The closure keeps `loaded` alive: the signature alone would lose the variables.
        return lambda **inputs: loaded.signatures[signature_name](**inputs)

    mixture = called(MIXTURE) if MIXTURE in loaded.signatures else None
    return Sampler(latent, class_names, called("serving_default"), mixture)


def _with_files(seeded: Endpoint) -> Endpoint:
    """The same function, which also returns its images as PNG files."""

    def with_files(seed, count, label=None):
        image = seeded(seed, count, label)["image"]
        png = tf.TensorSpec((), tf.string)
        encoded = tf.map_fn(saved_model.encode_png, image, fn_output_signature=png)
        return {"image": image, "image_bytes": encoded}

    return with_files


def _warmup_requests(latent: Latent, classes: int, further: Signatures) -> dict:
    """A request for one image to each signature."""
    seed = {"seed": tf.make_tensor_proto(0, tf.int64), "count": tf.make_tensor_proto(1, tf.int32)}
    if classes:
        seed["label"] = tf.make_tensor_proto(-1, tf.int32)
    requests = {
        "serving_default": warmup.zeros(signature(latent, classes)),
        "serving_seed": seed,
    }
    if classes:
        weights = tf.make_tensor_proto(1 / classes, tf.float32, (1, classes))
        requests[MIXTURE] = warmup.zeros(signature(latent, 0)) | {"class_weights": weights}
    return requests | {name: warmup.zeros(takes) for name, (_, takes) in further.items()}
