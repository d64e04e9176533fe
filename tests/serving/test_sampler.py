"""Exported generators: plain TensorFlow draws the model's own images; invalid labels are errors."""

import io
import shutil
import subprocess
import sys
import textwrap
from types import SimpleNamespace

from common.errors import UserError
from common.inference.sampler import BATCH_SIZE, sampler_of
from common.serving.sampler import export_sampler, load_sampler
from tests.helpers.gan_runs import make_model

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

CLASSES = 3


class Exported(SimpleNamespace):
    """A model, the folder it was exported to, and the responses of its signatures."""

    def of_noise(self, noise, *label):
        inputs = {"noise": tf.constant(noise, tf.float32), **as_input(label)}
        return self.signatures["serving_default"](**inputs)

    def of_seed(self, seed, count, *label):
        inputs = {"seed": tf.constant(seed, tf.int64), "count": tf.constant(count, tf.int32)}
        return self.signatures["serving_seed"](**inputs, **as_input(label))

    def expected(self, noise, *label):
        """The generator's own output."""
        inputs = [noise, np.eye(CLASSES, dtype=np.float32)[label[0]]] if label else noise
        return np.asarray(self.model.sampler(inputs, training=False))


def as_input(label):
    return {"label": tf.constant(label[0], tf.int32)} if label else {}


def exported(folder, model, names=None):
    folder = export_sampler(model, folder, "digits", 3, names)
    loaded = tf.saved_model.load(str(folder))
    return Exported(model=model, folder=folder, loaded=loaded, signatures=loaded.signatures)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("plain"), make_model(distribution="uniform"))


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    model = make_model(conditional=True, channels=3)
    return exported(tmp_path_factory.mktemp("conditional"), model, ["a", "b", "c"])


def random_noise(count, size=5, seed=0):
    return np.random.default_rng(seed).normal(size=(count, size)).astype(np.float32)


def test_the_folder_is_where_the_server_looks(plain):
    assert plain.folder.parts[-2:] == ("digits", "3")
    assert [path.name for path in plain.folder.parent.iterdir()] == ["3"]
    assert (
        plain.folder.stat().st_mode & 0o055 == 0o055
    )  # readable by other users, such as the server


def test_signatures(plain, conditional):
    assert set(plain.signatures) == {"serving_default", "serving_seed"}
    assert set(conditional.signatures) == {*plain.signatures, "serving_mixture"}
    for case, channels in ((plain, 1), (conditional, 3)):
        by_noise, by_seed = (case.signatures[n] for n in ("serving_default", "serving_seed"))
        with_class = case is conditional
        noise = {"noise": tf.TensorSpec((None, 5), tf.float32, "noise")}
        labels = {"label": tf.TensorSpec((None,), tf.int32, "label")} if with_class else {}
        assert by_noise.structured_input_signature[1] == noise | labels
        seed = {
            "seed": tf.TensorSpec((), tf.int64, "seed"),
            "count": tf.TensorSpec((), tf.int32, "count"),
        }
        label = {"label": tf.TensorSpec((), tf.int32, "label")} if with_class else {}
        assert by_seed.structured_input_signature[1] == seed | label
        for outputs in (by_noise.structured_outputs, by_seed.structured_outputs):
            assert outputs["image"].dtype == tf.float32
            assert outputs["image"].shape.as_list() == [None, 8, 8, channels]
        assert set(by_noise.structured_outputs) == {"image"}
        assert set(by_seed.structured_outputs) == {"image", "image_bytes"}
        assert by_seed.structured_outputs["image_bytes"].dtype == tf.string


def test_mixtures_of_classes(conditional):
    noise = random_noise(3)
    weights = np.array([[1, 0, 0], [0.5, 0, 0.5], [0, 0.25, 0.75]], np.float32)
    mixture = conditional.signatures["serving_mixture"]
    answer = mixture(noise=tf.constant(noise), class_weights=tf.constant(weights))["image"]
    expected = conditional.model.sampler([noise, weights], training=False)
    np.testing.assert_allclose(answer, expected, atol=1e-5)
    one_class = conditional.of_noise(noise[:1], [0])["image"]
    np.testing.assert_allclose(answer[:1], one_class, atol=1e-5)
    assert np.abs(answer[1:2] - conditional.of_noise(noise[1:2], [0])["image"]).max() > 0.01


PLAIN_TENSORFLOW = textwrap.dedent(
    """
    import sys
    sys.modules["keras"] = None  # importing Keras fails from here on
    import numpy as np
    import tensorflow as tf

    def answers(folder, request):
        loaded = tf.saved_model.load(folder)
        state = lambda: [variable.numpy().tobytes() for variable in loaded.variables]
        before = state()
        by_noise, by_seed = (loaded.signatures[n] for n in ("serving_default", "serving_seed"))
        label = {"label": tf.constant(request["label"])} if "label" in request else {}
        answer = by_noise(noise=tf.constant(request["noise"]), **label)["image"]
        label = {"label": tf.constant(-1)} if label else {}
        seeded = by_seed(seed=tf.constant(request["seed"]), count=tf.constant(5), **label)
        again = by_seed(seed=tf.constant(request["seed"]), count=tf.constant(5), **label)
        assert np.array_equal(seeded["image"], again["image"]), "the next response differs"
        assert before and state() == before, "a request changed a variable"
        files = [tf.io.decode_png(file) for file in seeded["image_bytes"]]
        return {"of_noise": answer, "of_seed": seeded["image"], "files": files}

    for folder, file in zip(sys.argv[1::2], sys.argv[2::2]):
        np.savez(file + ".answers", **answers(folder, np.load(file)))
    assert not any(module.split(".")[0] == "common" for module in sys.modules)
    """
)


def test_plain_tensorflow_reproduces_the_model_and_keeps_its_state(plain, conditional, tmp_path):
    given = {"noise": random_noise(6), "seed": np.int64(2**40 + 1)}
    labels = {"label": np.int32([2, 0, 1, 1, 0, 2])}
    np.savez(tmp_path / "plain.npz", **given)
    np.savez(tmp_path / "conditional.npz", **given, **labels)
    folders = [plain.folder, "plain.npz", conditional.folder, "conditional.npz"]
    command = [sys.executable, "-I", "-c", PLAIN_TENSORFLOW, *folders]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for case, file, requested, in_turn in (
        (plain, "plain.npz", [], []),
        (conditional, "conditional.npz", [labels["label"]], [np.int32([0, 1, 2, 0, 1])]),
    ):
        answer = np.load(tmp_path / f"{file}.answers.npz")
        expected = case.expected(given["noise"], *requested)
        np.testing.assert_allclose(answer["of_noise"], expected, atol=1e-5)
        sampler = sampler_of(case.model)
        noise = sampler.noise(2**40 + 1, 5)
        np.testing.assert_allclose(answer["of_seed"], case.expected(noise, *in_turn), atol=1e-5)
        drawn = sampler.all(noise, *in_turn)
        assert np.abs(answer["files"].astype(int) - drawn).max() <= 1
        assert len({image.tobytes() for image in drawn}) == 5 and drawn.std() > 20


def test_png_files_equal_the_float_images(conditional):
    answer = conditional.of_seed(3, 4, -1)
    for file, image in zip(answer["image_bytes"].numpy(), answer["image"].numpy(), strict=True):
        with Image.open(io.BytesIO(file)) as stored:
            assert stored.format == "PNG" and stored.mode == "RGB"
            pixels = np.asarray(stored)
        np.testing.assert_array_equal(pixels, np.clip(np.round((image + 1) * 127.5), 0, 255))


def test_the_first_images_of_a_seed_do_not_depend_on_the_count(plain):
    few, many = plain.of_seed(5, 2)["image"], plain.of_seed(5, 300)["image"]
    np.testing.assert_allclose(few, many[:2], atol=1e-6)
    assert np.abs(many[0] - plain.of_seed(6, 1)["image"][0]).max() > 0.1


def test_a_seed_takes_one_class_or_cycles_through_all(conditional):
    in_turn = conditional.of_seed(5, 7, -1)["image"].numpy()
    for label in range(CLASSES):
        of_class = conditional.of_seed(5, 7, label)["image"].numpy()
        np.testing.assert_allclose(in_turn[label::CLASSES], of_class[label::CLASSES], atol=1e-6)
        other = (label + 1) % CLASSES
        assert np.abs(in_turn[other::CLASSES] - of_class[other::CLASSES]).max() > 0.1


def test_an_image_does_not_depend_on_its_batch(conditional):
    noise, labels = random_noise(4), np.int32([0, 2, 2, 1])
    together = conditional.of_noise(noise, labels)["image"]
    for i in range(4):
        alone = conditional.of_noise(noise[i : i + 1], labels[i : i + 1])["image"]
        np.testing.assert_allclose(together[i], alone[0], atol=1e-6)


@pytest.mark.parametrize("label", [CLASSES, -2])
def test_an_invalid_label_is_an_error(conditional, label):
    for request in (
        lambda: conditional.of_noise(random_noise(2), [1, label]),
        lambda: conditional.of_noise(random_noise(2), [-1, 1]),  # -1 is for serving_seed only
        lambda: conditional.of_seed(0, 2, label),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match="not one of 0 to 2"):
            request()


def test_inconsistent_requests_are_errors(plain, conditional):
    with pytest.raises(tf.errors.InvalidArgumentError, match="one label for each noise vector"):
        conditional.of_noise(random_noise(2), [1])
    for count in (0, -3):
        with pytest.raises(tf.errors.InvalidArgumentError, match="give 1 or more"):
            plain.of_seed(0, count)


@pytest.mark.parametrize("case", ["plain", "conditional"])
def test_load_sampler_reproduces_the_model(request, case):
    case = request.getfixturevalue(case)
    saved, own = load_sampler(case.folder), sampler_of(case.model, ["a", "b", "c"])
    assert saved.latent == own.latent == case.model.latent
    assert saved.class_names == own.class_names == (["a", "b", "c"] if case.model.classes else [])
    count = BATCH_SIZE + 3
    noise = saved.noise(11, count)
    np.testing.assert_array_equal(noise, own.noise(11, count))
    labels = np.arange(count) % CLASSES if case.model.classes else None
    assert [len(batch) for batch in saved.draw(noise, labels)] == [BATCH_SIZE, 3]
    images = saved.all(noise, labels)
    assert images.dtype == np.uint8 and images.shape[:3] == (count, 8, 8)
    assert np.abs(images.astype(int) - own.all(noise, labels)).max() <= 1


def test_mixed_precision_answers_in_float32(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = make_model(conditional=True)
    keras.config.set_dtype_policy("float32")
    case = exported(tmp_path, model)
    noise, labels = random_noise(3), np.int32([0, 1, 2])
    answer = case.of_noise(noise, labels)["image"]
    assert answer.dtype == tf.float32
    np.testing.assert_allclose(answer, case.expected(noise, labels), atol=0.02)


def test_an_existing_version_is_refused_and_kept(plain):
    before = (plain.folder / "saved_model.pb").read_bytes()
    with pytest.raises(UserError, match="--version"):
        export_sampler(plain.model, plain.folder.parents[1], "digits", 3)
    assert (plain.folder / "saved_model.pb").read_bytes() == before


def test_a_failure_leaves_nothing_behind(plain, tmp_path, monkeypatch):
    def no_room(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("common.serving.warmup.write_requests", no_room)
    with pytest.raises(UserError, match="No space left"):
        export_sampler(plain.model, tmp_path, "m", 1)
    assert not list((tmp_path / "m").iterdir())


def test_anything_but_a_generator_is_refused(plain, tmp_path):
    with pytest.raises(UserError, match="no SavedModel"):
        load_sampler(plain.folder.parent)
    tf.saved_model.save(tf.Module(), str(tmp_path / "other"))
    with pytest.raises(UserError, match="not a generator"):
        load_sampler(tmp_path / "other")


def test_a_saved_model_without_its_metadata_is_a_user_error(plain, tmp_path):
    folder = shutil.copytree(plain.folder, tmp_path / "copy")
    about = folder / "assets.extra" / "sampler.json"
    about.write_text('{"latent": {"size": 5}}')
    with pytest.raises(UserError, match=r"sampler\.json cannot be read.*class_names.*export"):
        load_sampler(folder)
    about.unlink()
    with pytest.raises(UserError, match=r"sampler\.json cannot be read.*export"):
        load_sampler(folder)
