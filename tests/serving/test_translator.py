"""Exported translators: plain TensorFlow and a server answer as `predict` does."""

import io
import subprocess
import sys
import textwrap

from common.errors import UserError
from common.inference.image_to_image import Translator, compiled, write_translated
from common.serving.translator import export_translator, load_translator
from tests.helpers.encoded_images import content, exif, random_smooth, with_exif
from tests.helpers.warmup_requests import warmup_requests

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

MULTIPLE = 8


def small_unet(channels_in=3, channels_out=3):
    """A U-Net that fails on sides that are not multiples of 8; it normalises per image."""
    keras.utils.set_random_seed(5)
    x = inputs = keras.Input((None, None, channels_in))
    skips = []
    for filters in (4, 6, 8):
        x = keras.layers.Conv2D(filters, 4, 2, "same")(x)
        x = keras.layers.GroupNormalization(groups=-1)(x)
        x = keras.layers.LeakyReLU(0.2)(x)
        x = keras.layers.BatchNormalization()(x)
        skips.append(x)
    for skip in skips[-2::-1]:
        x = keras.layers.Conv2DTranspose(6, 4, 2, "same", activation="relu")(x)
        x = keras.layers.Concatenate()([x, skip])
    x = keras.layers.Conv2DTranspose(channels_out, 4, 2, "same")(x)
    return keras.Model(inputs, keras.layers.Activation("tanh")(x))


def random_images(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def expected(generator, image):
    """The generator's own output, with padding and cropping by NumPy."""
    height, width = image.shape[1:3]
    margins = [(0, 0), (0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0)]
    padded = np.pad(image, margins, mode="reflect")
    return np.asarray(generator(padded, training=False), np.float32)[:, :height, :width]


def image_files():
    """Image files by name, of all formats and of several sizes."""
    rgb, rgba = random_smooth(19, 8, 1), random_smooth(11, 30, 2, channels=4)
    grey = random_smooth(5, 33, 3, channels=1)
    jpeg = content(rgb, "JPEG")
    return {
        "turned_left.jpg": with_exif(jpeg, exif(6)),
        "turned_right_and_mirrored.jpg": with_exif(jpeg, exif(7, ">")),
        "damaged_exif.jpg": with_exif(jpeg, exif(6)[:-20]),
        "grey.jpg": content(grey, "JPEG"),
        "rgba.png": content(rgba, "PNG"),
        "grey_alpha.png": content(rgba.convert("LA"), "PNG"),
        "palette.png": content(rgb.quantize(9), "PNG", transparency=2),
        "grey.png": content(grey, "PNG"),
        "deep.png": content(Image.fromarray(np.uint16(257) * np.asarray(grey) + 99), "PNG"),
        "animation.gif": content(rgb.quantize(9), "GIF", save_all=True, append_images=[rgb]),
        "rgb.bmp": content(rgb, "BMP"),
        "palette.bmp": content(rgb.quantize(9), "BMP"),
    }


def predicted(generator, files, folder, channels_in=3):
    """What `predict` writes for image files, by their names."""
    (folder / "in").mkdir()
    for name, encoded in files.items():
        (folder / "in" / name).write_bytes(encoded)
    written = {}
    for name in files:
        translator = Translator(compiled(generator), MULTIPLE, channels_in)
        target = folder / f"out of {name}.png"
        write_translated(translator, None, 512, folder / "in" / name, target)
        written[name] = target.read_bytes()
    return written


def check_files(files, expected):
    """Compares PNG files: one mode, one size, and pixels that differ in their rounding at most."""
    for file, wanted in zip(files, expected, strict=True):
        with Image.open(io.BytesIO(file)) as made, Image.open(io.BytesIO(wanted)) as image:
            assert (made.format, made.mode, made.size) == ("PNG", image.mode, image.size)
            assert np.abs(np.asarray(made).astype(int) - np.asarray(image)).max() <= 1


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    generator = small_unet()
    folder = export_translator(
        generator, tmp_path_factory.mktemp("base"), "facades", 3, MULTIPLE, 3, sides=(24, 40)
    )
    return generator, folder


@pytest.fixture(scope="module")
def signatures(exported):
    loaded = tf.saved_model.load(str(exported[1]))
    yield loaded.signatures


def test_the_folder_is_where_the_server_looks(exported):
    _, folder = exported
    assert folder.parts[-2:] == ("facades", "3")
    assert [path.name for path in folder.parent.iterdir()] == ["3"]  # no temporary folder remains
    assert folder.stat().st_mode & 0o055 == 0o055  # readable by other users, such as the server
    assert {path.name for path in folder.iterdir()} >= {
        "saved_model.pb",
        "variables",
        "assets.extra",
    }


def test_signatures(signatures):
    assert set(signatures) == {"serving_default", "serving_bytes"}
    image, encoded = signatures["serving_default"], signatures["serving_bytes"]
    assert image.structured_input_signature[1] == {
        "image": tf.TensorSpec((None, None, None, 3), tf.float32, "image")
    }
    assert image.structured_outputs["translated"].dtype == tf.float32
    assert image.structured_outputs["translated"].shape.as_list() == [None, None, None, 3]
    assert encoded.structured_input_signature[1] == {
        "image_bytes": tf.TensorSpec((None,), tf.string, "image_bytes")
    }
    assert list(encoded.structured_outputs) == ["translated_bytes"]
    assert encoded.structured_outputs["translated_bytes"].dtype == tf.string


PLAIN_TENSORFLOW = textwrap.dedent(
    """
    import sys
    sys.modules["keras"] = None  # importing Keras fails from here on
    import numpy as np
    import tensorflow as tf

    folder, requests, answers = sys.argv[1:]
    loaded = tf.saved_model.load(folder)
    state = lambda: [variable.numpy().tobytes() for variable in loaded.variables]
    before, request = state(), np.load(requests, allow_pickle=True)
    answer = loaded.signatures["serving_default"](image=tf.constant(request["image"]))
    files = tf.constant(request["files"].tolist())
    encoded = loaded.signatures["serving_bytes"](image_bytes=files)["translated_bytes"]
    assert before and state() == before, "a request changed a variable"
    assert not any(module.split(".")[0] == "common" for module in sys.modules)
    np.savez(answers, translated=answer["translated"], files=encoded.numpy())
    """
)


def test_plain_tensorflow_answers_as_predict_does_and_keeps_its_state(exported, tmp_path):
    generator, folder = exported
    image, files = random_images(2, 21, 35, 3), image_files()
    requests, answers = tmp_path / "requests.npz", tmp_path / "answers.npz"
    np.savez(requests, image=image, files=np.array([*files.values()], object))
    command = [sys.executable, "-I", "-c", PLAIN_TENSORFLOW, folder, requests, answers]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer = np.load(answers, allow_pickle=True)
    np.testing.assert_allclose(answer["translated"], expected(generator, image), atol=1e-5)
    check_files(answer["files"], predicted(generator, files, tmp_path).values())


@pytest.mark.parametrize("sides", [(1, 1), (1, 30), (3, 17), (8, 16), (25, 9)])
def test_sides_are_arbitrary(exported, signatures, sides):
    image = random_images(2, *sides, 3)
    translated = signatures["serving_default"](image=tf.constant(image))["translated"]
    np.testing.assert_allclose(translated, expected(exported[0], image), atol=1e-5)


def test_an_image_does_not_depend_on_its_batch(signatures):
    image = random_images(3, 13, 22, 3)
    translate = signatures["serving_default"]
    together = translate(image=tf.constant(image))["translated"]
    for i in range(3):
        alone = translate(image=tf.constant(image[i : i + 1]))["translated"]
        np.testing.assert_allclose(together[i], alone[0], atol=1e-6)


def test_an_empty_request(signatures):
    empty = tf.zeros((0,), tf.string)
    assert signatures["serving_bytes"](image_bytes=empty)["translated_bytes"].shape == (0,)


@pytest.mark.parametrize(("channels_in", "channels_out"), [(1, 3), (3, 1), (1, 1)])
def test_grey_images(tmp_path, channels_in, channels_out):
    generator = small_unet(channels_in, channels_out)
    folder = export_translator(generator, tmp_path, "grey", 1, MULTIPLE, channels_in)
    loaded = tf.saved_model.load(str(folder))
    files = {name: image_files()[name] for name in ("rgba.png", "grey.png", "turned_left.jpg")}
    encoded = loaded.signatures["serving_bytes"](image_bytes=tf.constant([*files.values()]))
    wanted = predicted(generator, files, tmp_path, channels_in)
    check_files(encoded["translated_bytes"].numpy(), wanted.values())


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_answers_in_float32(tmp_path, policy):
    keras.config.set_dtype_policy(policy)
    try:
        generator = small_unet()
    finally:
        keras.config.set_dtype_policy("float32")
    translate = load_translator(export_translator(generator, tmp_path, "mixed", 1, MULTIPLE, 3))
    image = random_images(1, 10, 10, 3)
    translated = translate(image)
    assert translated.dtype == np.float32
    np.testing.assert_allclose(translated, expected(generator, image), atol=0.02)


def test_each_signature_has_a_warm_up_request_that_can_be_served(exported, signatures):
    shapes = {}
    for name, signature_name, inputs in warmup_requests(exported[1]):
        assert name == "facades"
        outputs = signatures[signature_name](**inputs)
        shapes[signature_name] = [out.shape.as_list() for out in outputs.values()]
    assert shapes == {"serving_default": [[1, 24, 40, 3]], "serving_bytes": [[1]]}


def test_an_existing_version_is_refused_and_kept(exported):
    generator, folder = exported
    before = (folder / "saved_model.pb").read_bytes()
    with pytest.raises(UserError, match="--version"):
        export_translator(generator, folder.parents[1], "facades", 3, MULTIPLE, 3)
    assert (folder / "saved_model.pb").read_bytes() == before


@pytest.mark.parametrize("version", [0, -1, 1.5, "2", True])
def test_a_version_is_a_positive_integer(exported, tmp_path, version):
    with pytest.raises(UserError, match="--version"):
        export_translator(exported[0], tmp_path, "m", version, MULTIPLE, 3)
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_nothing_behind(exported, tmp_path, monkeypatch):
    def no_room(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("common.serving.translator._write_warmup_requests", no_room)
    with pytest.raises(UserError, match="No space left"):
        export_translator(exported[0], tmp_path, "m", 1, MULTIPLE, 3)
    assert not list((tmp_path / "m").iterdir())


def test_a_folder_that_cannot_be_created_is_a_user_error(exported, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file"):
        export_translator(exported[0], tmp_path / "file", "m", 1, MULTIPLE, 3)


def test_a_generator_of_fixed_sides_is_refused(tmp_path):
    inputs = keras.Input((16, 16, 3))
    generator = keras.Model(inputs, keras.layers.Conv2D(3, 1)(inputs))
    with pytest.raises(ValueError, match="free sides"):
        export_translator(generator, tmp_path, "fixed", 1, 1, 3)


def test_load_translator(exported):
    generator, folder = exported
    translate = load_translator(folder)
    image = random_images(2, 9, 31, 3)
    assert translate.channels_in == 3 and translate.image_size == 24
    np.testing.assert_allclose(translate(image), expected(generator, image), atol=1e-5)


def test_anything_but_a_translator_is_refused(exported, tmp_path):
    with pytest.raises(UserError, match="no SavedModel"):
        load_translator(exported[1].parent)
    with pytest.raises(UserError, match="no SavedModel"):
        load_translator(tmp_path / "nowhere")
    (tmp_path / "saved_model.pb").write_bytes(b"\xff" * 9)
    with pytest.raises(UserError, match="damaged"):
        load_translator(tmp_path)
    tf.saved_model.save(tf.Module(), str(tmp_path / "other"))
    with pytest.raises(UserError, match="not an image translator"):
        load_translator(tmp_path / "other")
