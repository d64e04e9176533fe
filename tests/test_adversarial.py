"""The compiled step: XLA and the plain graph, mixed precision, averaged weights, state."""

from common.adversarial import Adversarial
from common.errors import UserError
from common.nn.layers import BatchNormalization
from tests.helpers.models import changed, random_batch, state_variables, values
from tests.helpers.tiny import Tiny

import keras
import numpy as np
import pytest
import tensorflow as tf

BATCH = tuple(random_batch(16, 1, channels=3, seed=seed)[0] for seed in range(2))


def model_of(policy="float32", **options):
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(3)
    try:
        return Tiny(**options)
    finally:
        keras.config.set_dtype_policy("float32")


def steps(model, count):
    """Losses of `count` steps on one batch, by the function that `fit` calls."""
    model.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors(BATCH).repeat())
    return [{k: float(v) for k, v in model.train_function(batches).items()} for _ in range(count)]


@pytest.mark.parametrize(
    ("jit", "policy"),
    [
        ("off", "float32"),
        ("auto", "mixed_float16"),
        ("on", "mixed_float16"),
        ("on", "mixed_bfloat16"),
    ],
)
def test_both_players_train_with_every_jit_and_precision(jit, policy):
    model = model_of(policy)
    model.compile(jit=jit)
    before = {name: values(network.variables) for name, network in model.networks.items()}
    for losses in steps(model, 3):
        assert all(np.isfinite(value) for value in losses.values())
    for name, network in model.networks.items():
        assert all(np.isfinite(weight).all() for weight in network.get_weights())
        assert any(changed(before[name], network.variables)), name


@pytest.mark.parametrize("jit", ["on", "auto"])
def test_compiled_steps_agree_with_those_of_the_plain_graph(jit):
    def losses(jit):
        model = model_of(dropout=0.0)
        model.compile(jit=jit)
        return steps(model, 4)

    for compiled, plain in zip(losses(jit), losses("off"), strict=True):
        for name in plain:
            # Adam's first steps are +-learning_rate even if a gradient is only rounding error.
            assert compiled[name] == pytest.approx(plain[name], rel=2e-2)


def test_jit_on_compiles_the_step_to_an_xla_program():
    model = model_of()
    model.compile(jit="on")
    assert model.jit_step and not model.jit_apply
    step = tf.function(model.train_step, autograph=False, jit_compile=True)
    assert "HloModule" in step.experimental_get_compiler_ir(BATCH)(stage="hlo")


def test_jit_auto_without_a_gpu_compiles_the_optimizers_alone(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])
    model = model_of()
    assert (model.jit_step, model.jit_apply) == (False, True)


def test_jit_auto_with_a_gpu_compiles_the_whole_step(monkeypatch):
    model = model_of()
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["GPU:0"])
    monkeypatch.setattr(keras.Model, "compile", lambda *args, **options: None)
    model.compile(jit="auto")
    assert (model.jit_step, model.jit_apply) == (True, False)


class Uncompilable(keras.layers.Layer):
    """A layer that declares that XLA cannot compile it, such as RandomRotation."""

    def __init__(self):
        super().__init__()
        self.supports_jit = False


def test_jit_on_with_a_layer_that_xla_cannot_compile_is_an_error():
    model = model_of()
    model.extra = Uncompilable()
    with pytest.raises(UserError, match="--jit on: XLA cannot compile uncompilable"):
        model.compile(jit="on")
    model.compile(jit="off")


def test_float16_scales_the_loss_and_skips_an_update_that_overflows():
    model = model_of("mixed_float16")
    model.compile(jit="off")
    player = model.players["generator"]
    assert isinstance(player.optimizer, keras.optimizers.LossScaleOptimizer)
    player.build()
    scale = float(player.optimizer.dynamic_scale)
    before = values(player.variables)
    player.apply([tf.fill(v.shape, np.inf) for v in player.variables])
    assert not any(changed(before, player.variables))
    assert float(player.optimizer.dynamic_scale) == scale / 2


def test_float16_gradients_are_those_of_float32_times_the_scale():
    full, half = model_of(dropout=0.0), model_of("mixed_float16", dropout=0.0)
    half.players["generator"].build()
    scale = float(half.players["generator"].optimizer.dynamic_scale)
    of_full, of_half = (
        np.asarray(model.losses_and_gradients(*BATCH)[1]["generator"][-1]) for model in (full, half)
    )
    atol = 0.05 * np.abs(of_full).max()
    np.testing.assert_allclose(of_half / scale, of_full, rtol=0.05, atol=atol)


def test_the_decay_of_the_weight_average_is_warmed_up():
    model = model_of(ema=0.2)
    start = model.generator.get_weights()
    for average, weight in zip(model.average_generator.get_weights(), start, strict=True):
        np.testing.assert_array_equal(average, weight)
    expected = values(model.generator.trainable_variables)
    for decay in (1 / 10, 2 / 11, 0.2, 0.2):  # min(ema, (1 + n) / (10 + n))
        model.train_step(BATCH)
        weights = values(model.generator.trainable_variables)
        expected = [decay * e + (1 - decay) * w for e, w in zip(expected, weights, strict=True)]
    averages = model.average_generator.trainable_variables
    for average, value in zip(averages, expected, strict=True):
        np.testing.assert_allclose(average, value, rtol=1e-5, atol=1e-7)
    assert model.sampler is model.average_generator
    assert int(model.averages["generator"].count) == 4


def test_moving_statistics_of_the_average_are_estimated_for_its_weights():
    model = model_of(ema=0.5, inference_statistics="moving")
    model.set_average_batches([BATCH, BATCH])
    for _ in range(3):
        model.train_step(BATCH)
    averaged, own = (
        next(each for each in network.layers if isinstance(each, BatchNormalization))
        for network in (model.average_generator, model.generator)
    )
    np.testing.assert_array_equal(averaged.moving_mean, own.moving_mean)  # until they are estimated
    model.update_average_statistics()
    activations = keras.Model(model.average_generator.input, averaged.input)(BATCH[0])
    mean = np.asarray(activations).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(averaged.moving_mean, mean, rtol=1e-4, atol=1e-6)
    assert np.abs(own.moving_mean - mean).max() > 1e-4


class AveragedDiscriminator(Tiny):
    """Averages the weights of D, which is normalized here, beside those of G."""

    @property
    def decays(self):
        return super().decays | {"discriminator": 0.5}

    def build_discriminator(self):
        x, y = keras.Input((16, 16, 3)), keras.Input((16, 16, 3))
        h = keras.layers.Concatenate()([x, y])
        h = keras.layers.Conv2D(1, 3)(BatchNormalization()(h))
        return keras.Model([x, y], h, name="discriminator")

    def average_inputs(self, name, number, batch):
        return [*batch] if name == "discriminator" else super().average_inputs(name, number, batch)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_weights_of_any_network_can_be_averaged(ema):
    keras.utils.set_random_seed(3)
    model = AveragedDiscriminator(ema=ema)
    averages = {"discriminator"} | ({"generator"} if ema else set())
    assert set(model.averages) == averages
    names = {"discriminator", "generator"} | {f"average_{name}" for name in averages}
    assert set(model.networks) == names
    assert model.average_of("discriminator") is model.networks["average_discriminator"]
    assert (model.average_of("generator") is model.generator) == (not ema)
    expected = values(model.discriminator.trainable_variables)
    for decay in (1 / 10, 2 / 11, 3 / 12):
        model.train_step(BATCH)
        weights = values(model.discriminator.trainable_variables)
        expected = [decay * e + (1 - decay) * w for e, w in zip(expected, weights, strict=True)]
    average = model.average_of("discriminator")
    for mean, value in zip(average.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(mean, value, rtol=1e-5, atol=1e-7)
    model.set_average_batches([BATCH])
    model.update_average_statistics()
    (layer,) = (each for each in average.layers if isinstance(each, BatchNormalization))
    mean = np.concatenate(BATCH, axis=-1).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(layer.moving_mean, mean, rtol=1e-4, atol=1e-6)
    listed = [id(v) for v in state_variables(model)]
    assert len(listed) == len(set(listed)) and {id(v) for v in model.variables} <= {*listed}


def test_an_update_of_one_network_leaves_the_averages_of_others():
    model = AveragedDiscriminator(ema=0.9)
    _, gradients = model.losses_and_gradients(*BATCH)
    model._apply({"generator": gradients["generator"]})
    assert [int(model.averages[name].count) for name in ("generator", "discriminator")] == [1, 0]


@pytest.mark.parametrize("ema", [-0.1, 1.0])
def test_invalid_decays_are_refused(ema):
    with pytest.raises(UserError, match="--ema"):
        model_of(ema=ema)


def test_state_holds_every_variable_of_the_model_and_its_optimizers():
    model = model_of(ema=0.9)
    listed = {id(v) for v in state_variables(model)}
    everything = model.variables + [
        v for player in model.players.values() for v in player.optimizer.variables
    ]
    assert {id(v) for v in everything} == listed
    assert any("seed" in v.path for v in everything)  # dropout's random state
    moments = model.players["generator"].optimizer.variables
    assert len(moments) > 2 * len(model.generator.trainable_variables)


def test_a_model_without_objectives_is_an_error():
    with pytest.raises(TypeError, match="must define objectives"):
        Adversarial().objectives()
