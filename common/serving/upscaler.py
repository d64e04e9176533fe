"""Networks that enlarge images as SavedModels for TensorFlow Serving, and back.

Two signatures, made of TensorFlow's own operations only:

    serving_default   image           float32 (B, H, W, 3) in [0, 1]
                   -> enlarged        float32 (B, scale H, scale W, 3) in [0, 1]
    serving_bytes     image_bytes     string (B,): PNG, JPEG, BMP or GIF files, each of any size
                   -> enlarged_bytes  string (B,): PNG files

The server takes each image in one piece. `predict` from a SavedModel goes by tiles; what it has
to know for that lies in the SavedModel's assets.extra/.
"""

import json
from pathlib import Path

from common.errors import UserError
from common.images.bands import Upscaler
from common.serving import saved_model, warmup
from common.training.run_folder import write_json

import keras
import numpy as np
import tensorflow as tf

FACTS = "upscaler.json"


def export_upscaler(
    generator: keras.Model,
    folder_base: Path | str,
    name: str,
    version: int,
    scale: int,
    halo: int,
    side: int,
) -> Path:
    """Write `generator` to `<folder_base>/<name>/<version>/`, where TensorFlow Serving looks.

    Args:
        generator: float32 (B, H, W, 3) in [0, 1] -> (B, scale H, scale W, 3) in about [-1, 1], H
            and W free; stateless with `training=False`.
        folder_base: made if it is not there.
        name: the model's name on the server.
        version: a positive integer; the server takes the highest.
        scale, halo: as of `Upscaler`.
        side: pixels of the warm-up images.

    Returns:
        The folder of the version.

    Raises:
        UserError: the version is not a positive integer or is there already, or the folder cannot
            be written.
    """
    folder = saved_model.version_folder(folder_base, name, version)

    def symmetric(image):  # in [-1, 1]
        return tf.clip_by_value(tf.cast(generator(image, training=False), tf.float32), -1, 1)

    def enlarge(image):
        return {"enlarged": (symmetric(image) + 1) / 2}

    def enlarge_one(encoded):
        image = tf.cast(saved_model.decode(encoded), tf.float32) / 255
        return saved_model.encode_png(symmetric(image[None])[0])

    def enlarge_bytes(image_bytes):
        # Sides differ between the files; one at a time also bounds the memory of a request.
        png = tf.TensorSpec((), tf.string)
        encoded = tf.map_fn(
            enlarge_one, image_bytes, fn_output_signature=png, parallel_iterations=1
        )
        return {"enlarged_bytes": encoded}

    archive = keras.export.ExportArchive()
    archive.track(generator)
    image = tf.TensorSpec((None, None, None, 3), tf.float32, name="image")
    image_bytes = tf.TensorSpec((None,), tf.string, name="image_bytes")
    archive.add_endpoint("serving_default", enlarge, [image])
    archive.add_endpoint("serving_bytes", enlarge_bytes, [image_bytes])
    with saved_model.appearing_whole(folder) as whole:
        archive.write_out(str(whole), verbose=False)
        _write_warmup_requests(whole, name, side)
        write_json(whole / saved_model.EXTRA / FACTS, {"scale": scale, "halo": halo})
    return folder


def load_upscaler(folder: Path | str) -> Upscaler:
    """Load what `export_upscaler` wrote.

    Raises:
        UserError: the folder holds no SavedModel, a damaged one, or one that does not enlarge.
    """
    loaded = saved_model.load(folder)
    facts = Path(folder) / saved_model.EXTRA / FACTS
    signature = loaded.signatures.get("serving_default")
    if signature is None or "enlarged" not in signature.structured_outputs or not facts.is_file():
        raise UserError(f"{folder} is a SavedModel, but none of this project that enlarges images")

    def call(image: np.ndarray) -> np.ndarray:
        # `loaded` owns the variables: the signature alone would lose them.
        return loaded.signatures["serving_default"](image=tf.constant(image))["enlarged"].numpy()

    return Upscaler(call, **json.loads(facts.read_text()))


def _write_warmup_requests(folder: Path, name: str, side: int):
    """Add one black image (side, side, 3) a signature for the server to start with."""
    black = tf.io.encode_png(tf.zeros((side, side, 3), tf.uint8)).numpy()
    requests = {
        "serving_default": {"image": tf.make_tensor_proto(0.0, tf.float32, (1, side, side, 3))},
        "serving_bytes": {"image_bytes": tf.make_tensor_proto([black], tf.string)},
    }
    warmup.write_requests(folder, name, requests)
