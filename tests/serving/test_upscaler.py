"""Exported upscalers: a server answers as `predict` does, with transparency and grey images."""

import io
import json

from common.errors import UserError
from common.images import bicubic
from common.images.tiling import Upscaler
from common.inference.image_to_image import write_enlarged
from common.serving.upscaler import bicubic_enlarged, export_upscaler, load_upscaler
from tests.helpers.encoded_images import content, exif, random_smooth, with_exif
from tests.helpers.warmup_requests import warmup_requests

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

SCALE, HALO, SIDE = 2, 2, 6


def small_network():
    """Enlarges float32 (B, H, W, 3); some of its outputs are out of range and must be clipped."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    x = keras.layers.UpSampling2D(SCALE)(x)
    x = keras.layers.Conv2D(3, 3, padding="same")(x)
    return keras.Model(inputs, 4 * x)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    network, base = small_network(), tmp_path_factory.mktemp("base")
    return network, export_upscaler(network, base, "upscaler", 1, SCALE, HALO, SIDE)


@pytest.fixture(scope="module")
def upscaler(exported):
    return load_upscaler(exported[1])


@pytest.fixture(scope="module")
def signatures(exported):
    loaded = tf.saved_model.load(str(exported[1]))
    yield loaded.signatures


def image_files():
    """Image files by name, and the modes of the images enlarged from them."""
    rgb, rgba = random_smooth(9, 14, 1), random_smooth(11, 10, 2, channels=4)
    grey, palette = random_smooth(5, 13, 3, channels=1), rgb.quantize(9)
    deep = Image.fromarray(np.uint16(257) * np.asarray(grey) + 99)
    return {
        "rgb.png": (content(rgb, "PNG"), "RGB"),
        "rgba.png": (content(rgba, "PNG"), "RGBA"),
        "rgba_turned.png": (content(rgba, "PNG", exif=exif(5, ">")), "RGBA"),
        "grey.png": (content(grey, "PNG"), "L"),
        "grey_alpha.png": (content(rgba.convert("LA"), "PNG"), "LA"),
        "grey_16_bit.png": (content(deep, "PNG"), "L"),
        "palette.png": (content(palette, "PNG"), "RGB"),
        "transparent_palette.png": (content(palette, "PNG", transparency=4), "RGBA"),
        "grey_turned.jpg": (with_exif(content(grey, "JPEG"), exif(8)), "L"),
        "rgb_turned.jpg": (with_exif(content(rgb, "JPEG"), exif(2, ">")), "RGB"),
        "palette.gif": (content(palette, "GIF"), "RGB"),
        "grey.gif": (content(grey.quantize(7), "GIF"), "L"),
        "grey.bmp": (content(grey, "BMP"), "L"),
        "palette.bmp": (content(palette, "BMP"), "RGB"),
    }


def test_files_are_enlarged_as_predict_does(signatures, upscaler, tmp_path):
    files = image_files()
    request = tf.constant([encoded for encoded, _ in files.values()])
    answer = signatures["serving_bytes"](image_bytes=request)["enlarged_bytes"].numpy()
    for made, (name, (encoded, mode)) in zip(answer, files.items(), strict=True):
        (tmp_path / name).write_bytes(encoded)
        write_enlarged(upscaler, 256, tmp_path / name, tmp_path / f"{name}.png")
        with Image.open(io.BytesIO(made)) as image, Image.open(tmp_path / f"{name}.png") as wanted:
            assert (image.mode, image.size) == (mode, wanted.size) and wanted.mode == mode
            assert np.abs(np.asarray(image).astype(int) - np.asarray(wanted)).max() <= 1
            if mode in ("LA", "RGBA"):
                np.testing.assert_array_equal(image.getchannel("A"), wanted.getchannel("A"))


def test_floats_are_enlarged_and_clipped(exported, signatures):
    image = np.random.default_rng(0).uniform(size=(2, 5, 7, 3)).astype(np.float32)
    enlarged = signatures["serving_default"](image=tf.constant(image))["enlarged"]
    wanted = (np.asarray(exported[0](image)) + 1) / 2
    assert wanted.min() < 0 and wanted.max() > 1
    np.testing.assert_allclose(enlarged, np.clip(wanted, 0, 1), atol=1e-5)


@pytest.mark.parametrize("sides", [(1, 1), (1, 5), (3, 2), (20, 31)])
@pytest.mark.parametrize(("scale", "tolerance"), [(2, 0), (3, 1), (4, 0)])
def test_bicubic_of_the_graph(sides, scale, tolerance):
    image = np.random.default_rng(0).integers(0, 256, (*sides, 1), np.uint8)
    made, wanted = (
        bicubic_enlarged(tf.constant(image), scale).numpy(),
        bicubic.enlarge(image, scale),
    )
    assert made.shape == wanted.shape
    assert np.abs(made.astype(int) - wanted).max() <= tolerance


def test_an_empty_request(signatures):
    answer = signatures["serving_bytes"](image_bytes=tf.zeros((0,), tf.string))
    assert answer["enlarged_bytes"].shape == (0,)


def test_load_upscaler(exported, upscaler):
    assert isinstance(upscaler, Upscaler)
    assert (upscaler.scale, upscaler.halo) == (SCALE, HALO)
    extra = exported[1] / "assets.extra" / "upscaler.json"
    assert json.loads(extra.read_text()) == {"scale": SCALE, "halo": HALO}


def test_each_signature_has_a_warm_up_request_that_can_be_served(exported, signatures):
    requests = warmup_requests(exported[1])
    assert [name for _, name, _ in requests] == ["serving_default", "serving_bytes"]
    for _, name, inputs in requests:
        assert all(len(output) == 1 for output in signatures[name](**inputs).values())


def test_anything_but_an_upscaler_is_refused(exported, tmp_path):
    with pytest.raises(UserError, match="no SavedModel"):
        load_upscaler(exported[1].parent)
    tf.saved_model.save(tf.Module(), str(tmp_path / "other"))
    with pytest.raises(UserError, match="not an upscaler"):
        load_upscaler(tmp_path / "other")
