"""Exported in-painters: plain TensorFlow answers as `predict` does."""

import io
import subprocess
import sys
import textwrap

from common.errors import UserError
from common.images import image_file
from common.inference.inpainting import inpainter_of
from common.serving.inpainter import export_inpainter, load_inpainter
from tests.helpers.encoded_images import content, exif, random_smooth, with_exif
from tests.helpers.inpainters import SIDE, box_hole, small_model, task
from tests.helpers.warmup_requests import warmup_requests

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model = small_model(channels=3)
    (capability,) = task().capabilities
    names, further = ["dark", "grey", "light"], capability.signatures(model)
    base = tmp_path_factory.mktemp("base")
    return model, export_inpainter(model, base, "ccgan", 2, names, further)


@pytest.fixture(scope="module")
def signatures(exported):
    loaded = tf.saved_model.load(str(exported[1]))
    yield loaded.signatures


def images_and_masks():
    """Image files and masks of their sizes, as seen upright, by name."""
    rgb, rgba = random_smooth(19, 8, 1), random_smooth(11, 30, 2, channels=4)
    files = {
        "turned.jpg": with_exif(content(rgb, "JPEG"), exif(6)),
        "rgba.png": content(rgba, "PNG"),
        "grey.png": content(random_smooth(5, 33, 3, channels=1), "PNG"),
    }
    masks = {}
    for name, file in files.items():
        height, width = image_file.read(file).shape[:2]
        white = 255 * box_hole(height, width, 2, 1, 4, 3).astype(np.uint8)
        masks[name] = content(Image.fromarray(white), "PNG")
    return files, masks


def decoded(png):
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image).reshape(image.height, image.width, -1).astype(int)


def test_the_signatures_take_images_and_masks_of_any_size(signatures):
    assert set(signatures) == {"serving_default", "serving_bytes", "serving_classify"}
    assert signatures["serving_default"].structured_input_signature[1] == {
        "image": tf.TensorSpec((None, None, None, 3), tf.float32, "image"),
        "mask": tf.TensorSpec((None, None, None, 1), tf.float32, "mask"),
    }
    outputs = signatures["serving_default"].structured_outputs
    assert list(outputs) == ["completed"] and outputs["completed"].shape[-1] == 3
    assert set(signatures["serving_bytes"].structured_input_signature[1]) == {
        "image_bytes",
        "mask_bytes",
    }
    assert list(signatures["serving_bytes"].structured_outputs) == ["completed_bytes"]


@pytest.mark.parametrize("sides", [(16, 16), (1, 9), (13, 22)])
def test_the_mask_says_where_the_image_is_filled(exported, signatures, sides):
    x = np.random.default_rng(0).uniform(-1, 1, (2, *sides, 3)).astype("float32")
    mask = np.zeros((2, *sides, 1), "float32")
    mask[:, :, 3:7] = 1
    inputs = {"image": tf.constant(x), "mask": tf.constant(mask)}
    completed = signatures["serving_default"](**inputs)["completed"].numpy()
    expected = exported[0].sampler([x, 1 - mask], training=False)
    np.testing.assert_allclose(completed, expected, atol=1e-5)
    visible = np.broadcast_to(mask == 0, x.shape)
    np.testing.assert_array_equal(completed[visible], x[visible])
    assert not np.allclose(completed[:, :, 3:7], x[:, :, 3:7])


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
    files = {name: tf.constant(request[name].tolist()) for name in ("image_bytes", "mask_bytes")}
    encoded = loaded.signatures["serving_bytes"](**files)["completed_bytes"]
    classes = loaded.signatures["serving_classify"](image=tf.constant(request["x"]))
    assert before and state() == before, "a request changed a variable"
    assert not any(module.split(".")[0] == "common" for module in sys.modules)
    np.savez(answers, files=encoded.numpy(), probability=classes["probability"])
    """
)


def test_plain_tensorflow_answers_as_the_model_does_and_keeps_its_state(exported, tmp_path):
    model, folder = exported
    files, masks = images_and_masks()
    x = np.random.default_rng(1).uniform(-1, 1, (4, SIDE, SIDE, 3)).astype("float32")
    requests, answers = tmp_path / "requests.npz", tmp_path / "answers.npz"
    given = {"image_bytes": files, "mask_bytes": masks}
    np.savez(requests, x=x, **{k: np.array([*v.values()], object) for k, v in given.items()})
    command = [sys.executable, "-I", "-c", PLAIN_TENSORFLOW, folder, requests, answers]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer = np.load(answers, allow_pickle=True)
    np.testing.assert_allclose(answer["probability"], model.classify(x), atol=1e-5)
    for png, name in zip(answer["files"], files, strict=True):
        image = image_file.read(files[name])
        hole = image_file.read(masks[name], 1)[..., 0] >= 128
        expected = inpainter_of(model).complete(image, hole)
        assert np.abs(decoded(png) - expected).max() <= 1
        np.testing.assert_array_equal(decoded(png)[~hole], image[~hole])


def test_a_mask_of_another_size_is_an_error_of_the_request(signatures):
    files, masks = images_and_masks()
    inputs = {"image_bytes": files["grey.png"], "mask_bytes": masks["rgba.png"]}
    with pytest.raises(tf.errors.InvalidArgumentError, match="mask of the size of the image"):
        signatures["serving_bytes"](**{k: tf.constant([v]) for k, v in inputs.items()})


def test_each_signature_has_a_warm_up_request_that_can_be_served(exported, signatures):
    shapes = {}
    for name, signature_name, inputs in warmup_requests(exported[1]):
        assert name == "ccgan"
        outputs = signatures[signature_name](**inputs)
        shapes[signature_name] = [out.shape.as_list() for out in outputs.values()]
    assert shapes == {
        "serving_default": [[1, SIDE, SIDE, 3]],
        "serving_bytes": [[1]],
        "serving_classify": [[1, 3]],
    }


def test_load_inpainter(exported):
    model, folder = exported
    loaded = load_inpainter(folder)
    assert (loaded.channels, loaded.image_size) == (3, SIDE)
    image = np.random.default_rng(2).integers(0, 256, (20, 27, 3), np.uint8)
    hole = box_hole(20, 27, 5, 5, 9, 9)
    for side in (None, SIDE):
        one, other = (each.complete(image, hole, side) for each in (loaded, inpainter_of(model)))
        assert np.abs(one.astype(int) - other).max() <= 1


def test_anything_but_an_inpainter_is_refused(tmp_path):
    with pytest.raises(UserError, match="no SavedModel"):
        load_inpainter(tmp_path / "nowhere")
    tf.saved_model.save(tf.Module(), str(tmp_path / "other"))
    with pytest.raises(UserError, match="not an in-painter"):
        load_inpainter(tmp_path / "other")


def test_a_version_that_exists_is_refused(exported):
    model, folder = exported
    with pytest.raises(UserError, match="--version"):
        export_inpainter(model, folder.parents[1], "ccgan", 2, [], {})
