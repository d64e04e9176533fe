"""Export of in-painting networks as SavedModels for TensorFlow Serving, and loading.

A SavedModel has these signatures and the model's further ones, of TensorFlow operations only:

    serving_default   image            float32 (B, H, W, C) in [-1, 1]
                      mask             float32 (B, H, W, 1), 1 where the image is to be filled
                   -> completed        float32 (B, H, W, C)
    serving_bytes     image_bytes      string (B,): image files of any sizes
                      mask_bytes       string (B,): image files of the same sizes, white where the
                                       image is to be filled
                   -> completed_bytes  string (B,): PNG files

H and W are arbitrary, and visible pixels stay as they are. The network works at the size of the
image; `predict` resizes to the scale of the training images, which is in assets.extra/. Files are
decoded to the pixels that `predict` reads (see `decoding`). The names of the classes, for a
signature that gives their probabilities, are in assets.extra/, too.
"""

from pathlib import Path

from common.adversarial import Adversarial
from common.errors import UserError
from common.inference.inpainting import WHITE, Inpainter, endpoint, signature
from common.io.atomic import atomic_folder
from common.io.records import read_json
from common.serving import decoding, saved_model, warmup
from common.serving.sampler import Signatures

import keras
import tensorflow as tf

DEFAULT, BYTES = "serving_default", "serving_bytes"
ABOUT = Path(saved_model.EXTRA, "inpainter.json")  # metadata that `load_inpainter` reads


def export_inpainter(
    model: Adversarial,
    folder_base: Path | str,
    name: str,
    version: int,
    class_names: list[str],
    further: Signatures,
) -> Path:
    """Writes a model's in-painter to `<folder_base>/<name>/<version>/`, atomically.

    Args:
        model: model with `sampler`, `channels` and `image_size`. The sampler is stateless with
            `training=False`, and no image depends on the others of its batch.
        folder_base: folder that is created if necessary.
        name: name of the model on the server.
        version: positive integer; the server uses the highest.
        class_names: names stored with the model.
        further: additional signatures; their inputs are of numeric types and begin with the
            batch dimension.

    Returns:
        The version's folder.

    Raises:
        UserError: the version is not a positive integer or already exists, or the folder cannot be
            written.
    """
    folder = saved_model.version_folder(folder_base, name, version)
    archive = keras.export.ExportArchive()
    archive.track(model)
    files = [tf.TensorSpec((None,), tf.string, name) for name in ("image_bytes", "mask_bytes")]
    archive.add_endpoint(DEFAULT, endpoint(model.sampler), signature(model.channels))
    archive.add_endpoint(BYTES, _of_files(model), files)
    for signature_name, (function, takes) in further.items():
        archive.add_endpoint(signature_name, function, takes)
    with atomic_folder(folder, saved_model.WRITE_ERRORS) as part:
        archive.write_out(str(part), verbose=False)
        about = {"image_size": model.image_size, "class_names": class_names}
        facts = saved_model.classifier_facts(further, class_names)
        saved_model.write_facts(part, {ABOUT: about} | facts)
        requests = {k: warmup.zeros(takes) for k, (_, takes) in further.items()}
        warmup.write_requests(part, name, _warmup_requests(model) | requests)
    return folder


def load_inpainter(folder: Path | str) -> Inpainter:
    """Loads an in-painter exported by `export_inpainter`.

    Args:
        folder: folder of a version, which contains `saved_model.pb`.

    Raises:
        UserError: it contains no SavedModel, a damaged one, or one that is not an in-painter.
    """
    loaded = saved_model.load(folder)
    about = read_json(Path(folder) / ABOUT)
    if "image_size" not in about or DEFAULT not in loaded.signatures:
        raise UserError(f"{folder} is a SavedModel, but not an in-painter exported by this project")
    channels = loaded.signatures[DEFAULT].structured_outputs["completed"].shape[-1]

    def call(image, mask):
        # `loaded` owns the variables: the signature alone would lose them.
        inputs = {"image": tf.constant(image), "mask": tf.constant(mask)}
        return loaded.signatures[DEFAULT](**inputs)["completed"].numpy()

    return Inpainter(call, channels, about["image_size"])


def _of_files(model: Adversarial):
    """The function of `serving_bytes`."""
    complete = endpoint(model.sampler)

    def complete_one(files):
        image, mask = (
            decoding.read(file, depth)[None]
            for file, depth in zip(files, (model.channels, 1), strict=True)
        )
        same = tf.reduce_all(tf.shape(image)[1:3] == tf.shape(mask)[1:3])
        check = tf.debugging.Assert(same, ["mask_bytes: give a mask of the size of the image"])
        with tf.control_dependencies([check]):
            image = tf.cast(image, tf.float32) / 127.5 - 1.0
        completed = complete(image, tf.cast(mask >= WHITE, tf.float32))["completed"]
        return saved_model.encode_png(completed[0])

    def complete_bytes(image_bytes, mask_bytes):
        # One file at a time, since sizes differ; this also bounds the memory of a request.
        png = tf.TensorSpec((), tf.string)
        files = (image_bytes, mask_bytes)
        encoded = tf.map_fn(complete_one, files, fn_output_signature=png, parallel_iterations=1)
        return {"completed_bytes": encoded}

    return complete_bytes


def _warmup_requests(model: Adversarial) -> dict[str, dict]:
    """A request of one black image, with nothing to fill, to each of the two signatures."""
    sides = model.image_size, model.image_size
    shapes = {"image": (*sides, model.channels), "mask": (*sides, 1)}
    blacks = {k: tf.io.encode_png(tf.zeros(v, tf.uint8)).numpy() for k, v in shapes.items()}
    return {
        DEFAULT: {k: tf.make_tensor_proto(0.0, tf.float32, (1, *v)) for k, v in shapes.items()},
        BYTES: {f"{k}_bytes": tf.make_tensor_proto([v], tf.string) for k, v in blacks.items()},
    }
