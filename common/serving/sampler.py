"""Noise-to-image generators as SavedModels for TensorFlow Serving, and back.

A SavedModel has these signatures, and what else the model can do; all are made of TensorFlow's own
operations only: TensorFlow Serving runs them, and so does TensorFlow without Keras and without this
project. What stands in brackets is there for a generator that takes a class.

    serving_default   noise        float32 (B, size)
                    [ label        int32 (B,) ]
                   -> image        float32 (B, S, S, C) in [-1, 1]
    serving_seed      seed         int64 ()
                      count        int32 (), the number of images N
                    [ label        int32 (), a class, or -1 for each class in turn ]
                   -> image        float32 (N, S, S, C)
                      image_bytes  string (N,): PNG files
  [ serving_mixture   noise          float32 (B, size)
                      class_weights  float32 (B, classes), such as 0.5 of two classes
                   -> image          float32 (B, S, S, C) ]

The same seed gives the same images, the first ones whatever the count. A label that is no class
is answered by an error. The server returns `image_bytes` as base64 because its name ends in
`_bytes`; it takes the scalars of `serving_seed` in its columnar format ("inputs"), and only without
--enable_batching, which joins requests along a first dimension that scalars do not have.
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
from common.nn.latent import Latent
from common.serving import saved_model

import keras
import tensorflow as tf

MIXTURE = "serving_mixture"
ABOUT = Path(saved_model.EXTRA, "sampler.json")  # what `load_sampler` needs besides the signatures


def export_sampler(
    model: Adversarial,
    folder_base: Path | str,
    name: str,
    version: int,
    class_names: list[str] | None = None,
    further: Mapping[str, tuple[Endpoint, list[tf.TensorSpec]]] | None = None,
) -> Path:
    """Write the sampler of `model` to `<folder_base>/<name>/<version>/`, for TensorFlow Serving.

    The folder appears under its final name only when it is complete, so a server that watches
    `<folder_base>/<name>` never loads half of a model.

    Args:
        model: has `sampler`, `latent` and `classes`; the sampler is stateless with
            `training=False`, and an image does not depend on the others of its batch.
        folder_base: made if it is not there.
        name: the model's name on the server.
        version: a positive integer; the server takes the highest.
        class_names: kept beside the model; default the numbers of the classes.
        further: more signatures by name: a function of the model's networks, and what it takes.

    Returns:
        The folder of the version.

    Raises:
        UserError: the version is not a positive integer or is there already, or the folder cannot
            be written.
    """
    folder = saved_model.version_folder(folder_base, name, version)
    generator, latent, classes = model.sampler, model.latent, model.classes
    image = endpoint(generator, classes)
    seeded = _with_files(seeded_endpoint(image, latent, classes))
    archive = keras.export.ExportArchive()
    archive.track(model if further else generator)
    archive.add_endpoint("serving_default", image, signature(latent, classes))
    archive.add_endpoint("serving_seed", seeded, seeded_signature(classes))
    if classes:
        takes = mixture_signature(latent, classes)
        archive.add_endpoint(MIXTURE, mixture_endpoint(generator), takes)
    for signature_name, (function, takes) in (further or {}).items():
        archive.add_endpoint(signature_name, function, takes)
    names = class_names or [str(label) for label in range(classes)]
    about = {"latent": latent._asdict(), "class_names": names if classes else []}
    with saved_model.appearing_whole(folder) as whole:
        archive.write_out(str(whole), verbose=False)
        saved_model.write_warmup_requests(whole, name, _warmup_requests(latent, classes))
        (whole / ABOUT).write_text(json.dumps(about, indent=2) + "\n")
    return folder


def load_sampler(folder: Path | str) -> Sampler:
    """Load what `export_sampler` wrote.

    Args:
        folder: the one of a version, with `saved_model.pb` in it.

    Raises:
        UserError: it holds no SavedModel, a damaged one, or one that is no sampler.
    """
    loaded = saved_model.load(folder)
    if not {"serving_default", "serving_seed"} <= set(loaded.signatures):
        raise UserError(f"{folder} is a SavedModel, but no generator of this project")
    try:
        about = json.loads((Path(folder) / ABOUT).read_text())
        latent, class_names = Latent(**about["latent"]), list(about["class_names"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = saved_model.first_line(error)
        raise UserError(
            f"{Path(folder) / ABOUT} cannot be read ({reason}); export the model again"
        ) from error

    def called(signature_name: str) -> Endpoint:
        # It holds on to `loaded`: the signature alone would lose the variables.
        return lambda **inputs: loaded.signatures[signature_name](**inputs)

    mixture = called(MIXTURE) if MIXTURE in loaded.signatures else None
    return Sampler(latent, class_names, called("serving_default"), mixture)


def _with_files(seeded: Endpoint) -> Endpoint:
    """The same function, with its images as PNG files too."""

    def with_files(seed, count, label=None):
        image = seeded(seed, count, label)["image"]
        png = tf.TensorSpec((), tf.string)
        encoded = tf.map_fn(saved_model.encode_png, image, fn_output_signature=png)
        return {"image": image, "image_bytes": encoded}

    return with_files


def _warmup_requests(latent: Latent, classes: int) -> dict:
    """A request for one image a signature, for the server to start with."""
    noise = {"noise": tf.make_tensor_proto(0.0, tf.float32, (1, latent.size))}
    seed = {
        "seed": tf.make_tensor_proto(0, tf.int64),
        "count": tf.make_tensor_proto(1, tf.int32),
    }
    if not classes:
        return {"serving_default": noise, "serving_seed": seed}
    weights = tf.make_tensor_proto(1 / classes, tf.float32, (1, classes))
    return {
        "serving_default": noise | {"label": tf.make_tensor_proto([0], tf.int32)},
        "serving_seed": seed | {"label": tf.make_tensor_proto(-1, tf.int32)},
        MIXTURE: noise | {"class_weights": weights},
    }
