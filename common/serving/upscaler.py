"""Export of super-resolution networks as SavedModels for TensorFlow Serving, and loading.

A SavedModel has two signatures of TensorFlow operations only:

    serving_default   image           float32 (B, H, W, 3) in [0, 1]
                   -> enlarged        float32 (B, scale H, scale W, 3) in [0, 1]
    serving_bytes     image_bytes     string (B,): image files of any sizes
                   -> enlarged_bytes  string (B,): PNG files; grey stays grey, and transparency is
                                      enlarged by bicubic interpolation

Files are decoded to the pixels that `predict` reads (see `decoding`). The server processes each
image as a whole. `predict` from a SavedModel works in tiles; the scale and halo that it needs for
that are in the SavedModel's assets.extra/.
"""

import json
from collections.abc import Callable
from pathlib import Path

from common.errors import UserError
from common.images.tiling import Upscaler
from common.io.atomic import atomic_folder
from common.io.records import write_json
from common.serving import decoding, saved_model, warmup

import keras
import numpy as np
import tensorflow as tf

FACTS = "upscaler.json"
_MARGIN = 2  # px: the radius of the bicubic kernel


def export_upscaler(
    generator: keras.Model,
    folder_base: Path | str,
    name: str,
    version: int,
    scale: int,
    halo: int,
    side: int,
) -> Path:
    """Writes an upscaler to `<folder_base>/<name>/<version>/` for TensorFlow Serving, atomically.

    Args:
        generator: float32 (B, H, W, 3) in [0, 1] -> (B, scale H, scale W, 3) in approximately
            [-1, 1], H and W unspecified; stateless with `training=False`.
        folder_base: folder that is created if necessary.
        name: name of the model on the server.
        version: positive integer; the server uses the highest.
        scale, halo: as in `Upscaler`.
        side: side of the warm-up images in pixels.

    Returns:
        The version's folder.

    Raises:
        UserError: the version is not a positive integer or already exists, or the folder cannot be
            written.
    """
    folder = saved_model.version_folder(folder_base, name, version)

    enlarge, enlarge_bytes = _endpoints(generator, scale)
    archive = keras.export.ExportArchive()
    archive.track(generator)
    image = tf.TensorSpec((None, None, None, 3), tf.float32, name="image")
    image_bytes = tf.TensorSpec((None,), tf.string, name="image_bytes")
    archive.add_endpoint("serving_default", enlarge, [image])
    archive.add_endpoint("serving_bytes", enlarge_bytes, [image_bytes])
    with atomic_folder(folder, saved_model.WRITE_ERRORS) as part:
        archive.write_out(str(part), verbose=False)
        _write_warmup_requests(part, name, side)
        write_json(part / saved_model.EXTRA / FACTS, {"scale": scale, "halo": halo})
    return folder


def load_upscaler(folder: Path | str) -> Upscaler:
    """Loads an upscaler exported by `export_upscaler`.

    Args:
        folder: folder of a version, which contains `saved_model.pb`.

    Raises:
        UserError: it contains no SavedModel, a damaged one, or one that is not an upscaler.
    """
    loaded = saved_model.load(folder)
    facts = Path(folder) / saved_model.EXTRA / FACTS
    signature = loaded.signatures.get("serving_default")
    if signature is None or "enlarged" not in signature.structured_outputs or not facts.is_file():
        raise UserError(f"{folder} is a SavedModel, but not an upscaler exported by this project")

    def call(image: np.ndarray) -> np.ndarray:
        # `loaded` owns the variables: the signature alone would lose them.
        return loaded.signatures["serving_default"](image=tf.constant(image))["enlarged"].numpy()

    return Upscaler(call, **json.loads(facts.read_text()))


def _endpoints(
    generator: keras.Model, scale: int
) -> tuple[Callable[[tf.Tensor], dict], Callable[[tf.Tensor], dict]]:
    """The functions of the two signatures: tensor -> {name of the output: tensor}."""

    def enlarge(image):
        enlarged = tf.cast(generator(image, training=False), tf.float32)
        return {"enlarged": tf.clip_by_value((enlarged + 1) / 2, 0, 1)}

    def enlarge_one(encoded):
        layers = decoding.read_layers(encoded)
        image = tf.cast(layers.colours, tf.float32) / 255
        enlarged = enlarge(image[None])["enlarged"][0]
        enlarged = tf.cond(layers.is_grey, lambda: _luma(enlarged), lambda: enlarged)
        pixels = tf.cast(tf.round(255 * enlarged), tf.uint8)

        def with_alpha():
            return tf.concat([pixels, bicubic_enlarged(layers.alpha, scale)], axis=-1)

        return tf.io.encode_png(tf.cond(layers.has_alpha, with_alpha, lambda: pixels))

    def enlarge_bytes(image_bytes):
        return {"enlarged_bytes": saved_model.of_each_file(enlarge_one, image_bytes)}

    return enlarge, enlarge_bytes


def bicubic_enlarged(image: tf.Tensor, scale: int) -> tf.Tensor:
    """Enlarges uint8 (H, W, C): `common.images.bicubic.enlarge` in the graph.

    TensorFlow's bicubic has the same kernel, but is cut off at the border: a mirrored margin is
    added for it. The results are equal for scales 2 and 4, and within one level for others.
    """
    for axis in (0, 1):
        side = tf.shape(image)[axis]
        position = tf.range(-_MARGIN, side + _MARGIN) % (2 * side)
        image = tf.gather(image, tf.minimum(position, 2 * side - 1 - position), axis=axis)
    sides = scale * tf.shape(image)[:2]
    enlarged = tf.image.resize(image, sides, tf.image.ResizeMethod.BICUBIC)
    cut = slice(scale * _MARGIN, -scale * _MARGIN)
    return tf.cast(tf.clip_by_value(tf.floor(enlarged[cut, cut] + 0.5), 0, 255), tf.uint8)


def _luma(image: tf.Tensor) -> tf.Tensor:
    """Converts RGB, (H, W, 3), to grey by ITU-R 601 luma, (H, W, 1)."""
    return tf.reduce_sum(image * [0.299, 0.587, 0.114], axis=-1, keepdims=True)


def _write_warmup_requests(folder: Path, name: str, side: int):
    """Writes a warm-up request of one black image (side, side, 3) per signature."""
    black = tf.io.encode_png(tf.zeros((side, side, 3), tf.uint8)).numpy()
    requests = {
        "serving_default": {"image": tf.make_tensor_proto(0.0, tf.float32, (1, side, side, 3))},
        "serving_bytes": {"image_bytes": tf.make_tensor_proto([black], tf.string)},
    }
    warmup.write_requests(folder, name, requests)
