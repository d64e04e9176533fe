"""Export of image translators as SavedModels for TensorFlow Serving, and loading.

A SavedModel has two signatures. They consist of TensorFlow operations only, so TensorFlow Serving
runs them, as does TensorFlow without Keras and without this project.

    serving_default   image             float32 (B, H, W, Cin) in [-1, 1]
                   -> translated        float32 (B, H, W, Cout)
    serving_bytes     image_bytes       string (B,): image files of any sizes
                   -> translated_bytes  string (B,): PNG files of the same sizes

H and W are arbitrary: images are padded by reflection and cropped inside the graph. The server
returns `translated_bytes` as base64 because its name ends in `_bytes`. Files are decoded to the
pixels that `predict` reads (see `decoding`).

The scale of the training images, which `predict` resizes images to, is in assets.extra/; the
signatures leave the size of images alone.

A SavedModel of several translators has two more signatures for each, NAME and NAME_bytes, of the
same form; `serving_default` and `serving_bytes` are those of the first.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from common.errors import UserError
from common.io.atomic import atomic_folder
from common.io.records import read_json, write_json
from common.nn.padding import reflected
from common.serving import decoding, saved_model, warmup

import keras
import numpy as np
import tensorflow as tf

DEFAULT, BYTES = "serving_default", "serving_bytes"
ABOUT = Path(saved_model.EXTRA, "translator.json")  # metadata that `load_translator` reads


def export_translator(
    generator: keras.Model | dict[str, keras.Model],
    folder_base: Path | str,
    name: str,
    version: int,
    multiple: int,
    channels_in: int,
    sides: tuple[int, int] = (256, 256),
) -> Path:
    """Writes a translator to `<folder_base>/<name>/<version>/` for TensorFlow Serving.

    The folder is written atomically, so a server that watches `<folder_base>/<name>` never loads
    an incomplete model.

    Args:
        generator: functional model, float32 (B, H, W, Cin) in [-1, 1] -> (B, H, W, Cout) of any
            float type; Cin and Cout are 1 or 3, H and W unspecified. It is stateless with
            `training=False`, and no output depends on the other images of its batch. Or several
            such models with the same Cin, by the names of their signatures.
        folder_base: folder that is created if necessary.
        name: name of the model on the server.
        version: positive integer; the server uses the highest.
        multiple: number of pixels that must divide the sides of the generator's input.
        channels_in: Cin.
        sides: (height, width) in pixels of the training images, and of the warm-up images.

    Returns:
        The version's folder.

    Raises:
        UserError: the version is not a positive integer or already exists, or the folder cannot be
            written.
        ValueError: a generator's input shape is not (None, None, None, `channels_in`).
    """
    folder = saved_model.version_folder(folder_base, name, version)
    named = generator if isinstance(generator, dict) else {}
    first = next(iter(named.values()), generator)
    signatures = {(DEFAULT, BYTES): first}
    signatures |= {(key, f"{key}_bytes"): network for key, network in named.items()}

    archive = keras.export.ExportArchive()
    image = tf.TensorSpec((None, None, None, channels_in), tf.float32, name="image")
    image_bytes = tf.TensorSpec((None,), tf.string, name="image_bytes")
    for network in named.values() or [first]:
        if network.input_shape != (None, None, None, channels_in):
            raise ValueError(f"{network.input_shape}: free sides and {channels_in=} are needed")
        archive.track(network)
    for (of_floats, of_bytes), network in signatures.items():
        translate, translate_bytes = _endpoints(network, multiple, channels_in)
        archive.add_endpoint(of_floats, translate, [image])
        archive.add_endpoint(of_bytes, translate_bytes, [image_bytes])
    with atomic_folder(folder, saved_model.WRITE_ERRORS) as part:
        archive.write_out(str(part), verbose=False)
        write_json(part / ABOUT, {"image_size": min(sides)})
        _write_warmup_requests(part, name, signatures, (*sides, channels_in))
    return folder


@dataclass(frozen=True)
class SavedTranslator:
    """A translator from a SavedModel: float32 (B, H, W, Cin) in [-1, 1] -> (B, H, W, Cout).

    H and W are arbitrary: the graph does the padding. `image_size` is the shorter side of the
    training images in pixels; None for a SavedModel that does not tell.
    """

    channels_in: int
    image_size: int | None
    _signature: Callable
    _loaded: object  # owns the variables, which the signature alone would lose

    def __call__(self, image: np.ndarray) -> np.ndarray:
        return self._signature(image=tf.constant(image, tf.float32))["translated"].numpy()


def load_translator(folder: Path | str, name: str = DEFAULT) -> SavedTranslator:
    """Loads a translator exported by `export_translator`.

    Args:
        folder: folder of a version, which contains `saved_model.pb`.
        name: name of the signature.

    Raises:
        UserError: it contains no SavedModel, a damaged one, or one that is not a translator.
    """
    loaded = saved_model.load(folder)
    signature = loaded.signatures.get(name)
    inputs = signature.structured_input_signature[1] if signature else {}
    if set(inputs) != {"image"} or set(signature.structured_outputs) != {"translated"}:
        direction = "" if name == DEFAULT else f" with the direction {name}"
        raise UserError(
            f"{folder} is a SavedModel, but not an image translator exported by this project"
            f"{direction}"
        )
    image_size = read_json(Path(folder) / ABOUT).get("image_size")
    return SavedTranslator(inputs["image"].shape[-1], image_size, signature, loaded)


def _endpoints(
    generator: keras.Model, multiple: int, channels_in: int
) -> tuple[Callable[[tf.Tensor], dict], Callable[[tf.Tensor], dict]]:
    """The functions of the two signatures: tensor -> {name of the output: tensor}."""

    def translate(image):
        height, width = tf.unstack(tf.shape(image)[1:3])
        padded = tf.gather(image, reflected(height, multiple), axis=1)
        padded = tf.gather(padded, reflected(width, multiple), axis=2)
        translated = generator(padded, training=False)[:, :height, :width]
        return {"translated": tf.cast(translated, tf.float32)}

    def translate_one(encoded):
        image = _to_unit(decoding.read(encoded, channels_in))
        return saved_model.encode_png(translate(image[None])["translated"][0])

    def translate_bytes(image_bytes):
        return {"translated_bytes": saved_model.of_each_file(translate_one, image_bytes)}

    return translate, translate_bytes


def _to_unit(image: tf.Tensor) -> tf.Tensor:
    """uint8 in 0..255 -> float32 in [-1, 1]: `image_file.to_unit` in the graph."""
    return tf.cast(image, tf.float32) / 127.5 - 1.0


def _write_warmup_requests(
    folder: Path,
    name: str,
    signatures: Iterable[tuple[str, str]],
    shape: tuple[int, int, int],
) -> None:
    """Writes a warm-up request of one black image (height, width, channels) per signature."""
    black = tf.io.encode_png(tf.zeros(shape, tf.uint8)).numpy()
    requests = {}
    for of_floats, of_bytes in signatures:
        requests[of_floats] = {"image": tf.make_tensor_proto(-1.0, tf.float32, (1, *shape))}
        requests[of_bytes] = {"image_bytes": tf.make_tensor_proto([black], tf.string)}
    warmup.write_requests(folder, name, requests)
