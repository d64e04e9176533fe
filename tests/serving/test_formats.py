"""ONNX and LiteRT files give what the SavedModel gives, and what cannot be converted is told."""

from common.errors import UserError
from common.nn.layers import Dropout
from common.nn.upsampling import DoublingConvolution
from common.serving import formats, frozen
from common.serving.sampler import export_sampler
from common.serving.translator import export_translator
from tests.helpers.gan_runs import NAMES, make_model

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

pytest_plugins = ["tests.helpers.gan_fixtures"]
RATE = 0.5


def runtime(form):
    """Skips a test where the packages of a format are missing."""
    for package in formats.packages(form):
        pytest.importorskip(package, reason=f"{formats.REQUIREMENTS} is not installed")


def translator(folder, *, dropout):
    """The SavedModel of a network that halves and doubles sides, with dropout at inference."""
    keras.utils.set_random_seed(4)
    x = inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, 2, "same", activation="relu")(x)
    x = Dropout(RATE, inference_seed=7 if dropout else None)(x)
    outputs = keras.layers.Activation("tanh")(DoublingConvolution(2)(x))
    return export_translator(keras.Model(inputs, outputs), folder, "tiny", 1, 4, 3, (16, 16))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """saved(name) -> the folder of a SavedModel; read-only."""
    folder = tmp_path_factory.mktemp("saved")
    return {
        "generator": export_sampler(
            make_model(conditional=True, channels=3), folder, "generator", 1, NAMES
        ),
        "free": translator(folder / "free", dropout=False),
        "dropout": translator(folder / "dropout", dropout=True),
    }


@pytest.mark.parametrize("form", ["onnx", "litert"])
@pytest.mark.parametrize(
    ("case", "options", "takes"),
    [
        ("generator", {}, {"noise": (5,), "label": ()}),
        ("generator", {"name": "serving_mixture"}, {"noise": (5,), "class_weights": (3,)}),
        ("free", {}, {"image": (None, None, 3)}),
        ("free", {"size": 20}, {"image": (20, 20, 3)}),
        ("dropout", {}, {"image": (16, 16, 3)}),
        ("dropout", {"size": 24}, {"image": (24, 24, 3)}),
    ],
)
def test_a_file_gives_what_the_saved_model_gives(saved, tmp_path, form, case, options, takes):
    runtime(form)
    converted = formats.convert(saved[case], form, tmp_path, **options)
    batch = 1 if form == "litert" else None
    assert converted.takes == {key: (batch, *shape) for key, shape in takes.items()}
    assert converted.difference < 1e-5

    signature_name = options.get("name", "serving_default")
    specs = {key: tf.TensorSpec((batch, *takes[key])) for key in takes}
    inputs = {
        key: np.random.default_rng(1).uniform(-1, 1, [size or 7 for size in spec.shape])
        for key, spec in specs.items()
    }
    inputs = {key: value.astype(np.float32) for key, value in inputs.items()}
    if "label" in inputs:
        inputs["label"] = (np.arange(len(inputs["label"])) % 3).astype(np.int32)
    loaded = tf.saved_model.load(str(saved[case]))
    expected = loaded.signatures[signature_name](**{k: tf.constant(v) for k, v in inputs.items()})
    given = formats._KINDS[form].load(tmp_path / converted.file)(inputs)
    assert given.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(given[key], value, atol=1e-5)
    assert {path.name for path in tmp_path.iterdir()} > {converted.file}  # and its metadata


@pytest.mark.parametrize("dropout", [False, True])
def test_a_frozen_signature_has_other_operations_and_the_same_outputs(saved, dropout):
    loaded = tf.saved_model.load(str(saved["dropout" if dropout else "free"]))
    signature = loaded.signatures["serving_default"]
    x = np.random.default_rng(2).uniform(-1, 1, (2, 12, 20, 3)).astype(np.float32)
    network = frozen.Frozen(signature, {"image": tf.TensorSpec((None, 12, 20, 3), name="image")})
    assert network.draws == dropout
    np.testing.assert_allclose(
        tf.function(network)({"image": tf.constant(x)})["translated"],
        signature(image=tf.constant(x))["translated"],
        atol=1e-6,
    )
    rewritten, _ = frozen.rewritten(network._function.graph)
    padding = [n.attr["padding"].s for n in rewritten.node if n.op == "Conv2DBackpropInput"]
    assert padding == []  # it is within a function, with "same" padding


def test_an_output_with_the_name_of_an_input_gets_another_name(tmp_path):
    module = tf.Module()
    spec = tf.TensorSpec((None, 2), name="image")
    module.of = tf.function(lambda image: {"image": 2.0 * image}, input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path), signatures=module.of)
    signature = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    network = frozen.Frozen(signature, {"image": spec})
    assert network.output_names == {"image": "image_out"}
    assert tf.function(network)({"image": tf.ones((1, 2))})["image_out"].numpy().tolist() == [
        [2, 2]
    ]


def test_error_functions_of_arithmetic():
    x = np.linspace(-5, 5, 2001, dtype=np.float32)
    np.testing.assert_allclose(frozen.erf(tf.constant(x)), scipy.special.erf(x), atol=5e-7)
    y = np.linspace(-0.9999, 0.9999, 2000, dtype=np.float32)
    expected = scipy.special.erfinv(y.astype(float))
    np.testing.assert_allclose(frozen.erfinv(tf.constant(y)), expected, rtol=1e-6)


def test_another_result_is_an_error():
    zeros, ones = {"image": np.zeros((1, 2), np.float32)}, {"image": np.ones((1, 2), np.float32)}
    assert formats._difference("it", ones, ones) == 0.0
    for wrong in (zeros, {"image": ones["image"] * np.nan}, {"image": ones["image"][:, :1]}):
        with pytest.raises(UserError, match=r"differs from the SavedModel by .*, more than"):
            formats._difference("it", wrong, ones)


def test_signatures_of_files_and_scalars_are_not_chosen(saved):
    translators = tf.saved_model.load(str(saved["free"])).signatures
    assert formats.chosen(translators, None, "onnx") == "serving_default"
    with pytest.raises(UserError, match=r"serving_bytes: takes or gives texts .* serving_default"):
        formats.chosen(translators, "serving_bytes", "onnx")
    generator = tf.saved_model.load(str(saved["generator"])).signatures
    with pytest.raises(UserError, match=r"serving_seed: .* from serving_default, serving_mixture"):
        formats.chosen(generator, "serving_seed", "litert")
    with pytest.raises(UserError, match=r"AtoB: is not a signature; .* serving_default"):
        formats.chosen(generator, "AtoB", "litert")
    without_default = {key: generator[key] for key in ("serving_seed", "serving_mixture")}
    assert formats.chosen(without_default, None, "onnx") == "serving_mixture"


def test_a_size_for_inputs_that_have_one_is_refused(saved, tmp_path):
    runtime("onnx")
    with pytest.raises(UserError, match="--size 8: the inputs of serving_default have a size"):
        formats.convert(saved["generator"], "onnx", tmp_path, size=8)
    with pytest.raises(UserError, match="--size 0"):
        formats.convert(saved["free"], "onnx", tmp_path, size=0)


@pytest.mark.parametrize("form", ["onnx", "litert"])
def test_an_operation_that_a_format_lacks_is_named(form, tmp_path):
    runtime(form)
    module = tf.Module()
    module.of = tf.function(
        lambda noise: {"image": tf.math.bessel_i0(noise)},
        input_signature=[tf.TensorSpec((None, 2), name="noise")],
    )
    tf.saved_model.save(module, str(tmp_path / "1"), signatures={"serving_default": module.of})
    with pytest.raises(UserError, match=f"{form}: serving_default .* lacks BesselI0.*SavedModel"):
        formats.convert(tmp_path / "1", form, tmp_path / "out")


@pytest.mark.parametrize("form", ["onnx", "litert"])
def test_missing_packages_are_named_before_anything_is_written(
    plain, refused, monkeypatch, tmp_path, form
):
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda name: None)
    said = [f"--format {form}", formats.packages(form)[0], "pip install -r", "export.txt"]
    refused(f"export '{plain}' --output '{tmp_path}' --format {form}", *said)
    assert not [*tmp_path.iterdir()]


def test_options_of_files_need_their_format(plain, refused, tmp_path):
    refused(f"export '{plain}' --output '{tmp_path}' --size 64", "--size 64", "--format onnx")
    refused(f"export '{plain}' --output '{tmp_path}' --signature x", "--signature x", "litert")


def test_the_command_prints_where_the_file_is_and_its_difference(plain, gan_cli, tmp_path):
    runtime("onnx")
    result = gan_cli(f"export '{plain}' --output '{tmp_path}' --version 3 --format onnx")
    assert result.status == 0, result.err
    folder = tmp_path / "tiny_gan" / "3"
    assert str(folder / "serving_default.onnx") in result.out
    assert "takes noise (any x 5); differs from the SavedModel by at most" in result.out
    assert {path.name for path in folder.iterdir()} == {"serving_default.onnx", "sampler.json"}
