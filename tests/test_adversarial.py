"""The compiled step: XLA against the plain graph, precision, averages, state."""

from common.adversarial import Adversarial
from common.errors import UserError
from common.nn.layers import BatchNormalization
from tests.helpers.tiny import Tiny

import keras
import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)
BATCH = tuple(tf.constant(RANDOM.uniform(-1, 1, (1, 16, 16, 3)), tf.float32) for _ in range(2))


def model_of(policy="float32", **options):
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(3)
    try:
        return Tiny(**options)
    finally:
        keras.config.set_dtype_policy("float32")


def steps(model, count):
    """Losses of some steps on one batch, through the function that `fit` calls."""
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
def test_every_way_to_compile_trains_both_players(jit, policy):
    model = model_of(policy)
    model.compile(jit=jit)
    before = {name: net.get_weights() for name, net in model.networks.items()}
    for losses in steps(model, 3):
        assert all(np.isfinite(value) for value in losses.values())
    for name, network in model.networks.items():
        after = network.get_weights()
        assert all(np.isfinite(w).all() for w in after)
        assert any((a != b).any() for a, b in zip(before[name], after, strict=True)), name


@pytest.mark.parametrize("jit", ["on", "auto"])
def test_the_compiled_steps_follow_the_plain_ones(jit):
    def losses(way):
        model = model_of(dropout=0.0)
        model.compile(jit=way)
        return steps(model, 4)

    for ours, plain in zip(losses(jit), losses("off"), strict=True):
        for name in plain:
            # Adam's first steps are +-learning_rate even where a gradient is rounding noise.
            assert ours[name] == pytest.approx(plain[name], rel=2e-2)


def test_jit_on_is_an_xla_program():
    model = model_of()
    model.compile(jit="on")
    assert model.jit_step and not model.jit_apply
    step = tf.function(model.train_step, autograph=False, jit_compile=True)
    assert "HloModule" in step.experimental_get_compiler_ir(BATCH)(stage="hlo")


def test_jit_auto_without_gpu_compiles_the_optimizers_alone(monkeypatch):
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
    """A layer that says of itself that XLA cannot compile it, as RandomRotation does."""

    def __init__(self):
        super().__init__()
        self.supports_jit = False


def test_jit_on_with_a_layer_that_xla_cannot_compile_is_an_error():
    model = model_of()
    model.extra = Uncompilable()
    with pytest.raises(UserError, match="--jit on: XLA cannot compile uncompilable"):
        model.compile(jit="on")
    model.compile(jit="off")


def test_float16_scales_the_loss_and_skips_an_overflow():
    model = model_of("mixed_float16")
    model.compile(jit="off")
    update = model.players["generator"]
    assert isinstance(update.optimizer, keras.optimizers.LossScaleOptimizer)
    update.build()
    scale = float(update.optimizer.dynamic_scale)
    before = [v.numpy() for v in update.variables]
    update.optimizer.apply([tf.fill(v.shape, np.inf) for v in update.variables], update.variables)
    for variable, value in zip(update.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    assert float(update.optimizer.dynamic_scale) == scale / 2


def test_float16_gradients_are_the_float32_ones_times_the_scale():
    exact, half = model_of(dropout=0.0), model_of("mixed_float16", dropout=0.0)
    half.players["generator"].build()
    scale = float(half.players["generator"].optimizer.dynamic_scale)
    _, a = exact.losses_and_gradients(*BATCH)
    _, b = half.losses_and_gradients(*BATCH)
    last_a, last_b = np.asarray(a["generator"][-1]), np.asarray(b["generator"][-1]) / scale
    np.testing.assert_allclose(last_b, last_a, rtol=0.05, atol=0.05 * np.abs(last_a).max())


def test_the_average_follows_the_weights_by_a_decay_that_warms_up():
    model = model_of(ema=0.2)
    start = model.generator.get_weights()
    for average, weight in zip(model.average_generator.get_weights(), start, strict=True):
        np.testing.assert_array_equal(average, weight)
    expected = [v.numpy() for v in model.generator.trainable_variables]
    for decay in (1 / 10, 2 / 11, 0.2, 0.2):  # min(ema, (1 + n) / (10 + n))
        model.train_step(BATCH)
        now = [v.numpy() for v in model.generator.trainable_variables]
        expected = [decay * e + (1 - decay) * w for e, w in zip(expected, now, strict=True)]
    averages = model.average_generator.trainable_variables
    for average, value in zip(averages, expected, strict=True):
        np.testing.assert_allclose(average, value, rtol=1e-5, atol=1e-7)
    assert model.sampler is model.average_generator
    assert int(model.averaged) == 4


def test_statistics_of_the_average_are_estimated_for_its_own_weights():
    model = model_of(ema=0.5, inference_statistics="moving")
    model.average_on([BATCH, BATCH])
    for _ in range(3):
        model.train_step(BATCH)
    norm, own = (
        next(each for each in network.layers if isinstance(each, BatchNormalization))
        for network in (model.average_generator, model.generator)
    )
    np.testing.assert_array_equal(norm.moving_mean, own.moving_mean)  # until it is settled
    model.settle_average()
    before = keras.Model(model.average_generator.input, norm.input)(BATCH[0])
    mean = np.asarray(before).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(norm.moving_mean, mean, rtol=1e-4, atol=1e-6)
    assert np.abs(own.moving_mean - mean).max() > 1e-4


@pytest.mark.parametrize("ema", [-0.1, 1.0])
def test_impossible_decays_are_refused(ema):
    with pytest.raises(UserError, match="--ema"):
        model_of(ema=ema)


def test_state_holds_everything_that_a_step_changes():
    """Whatever variable of the process a step changes is in the state: found by looking at all."""
    model = model_of(ema=0.9)
    listed = {id(v) for variables in model.state().values() for v in variables}
    everything = model.variables + [
        v for update in model.players.values() for v in update.optimizer.variables
    ]
    assert {id(v) for v in everything} == listed
    assert any("seed" in v.path for v in everything)  # dropout's random state
    moments = model.players["generator"].optimizer.variables
    assert len(moments) > 2 * len(model.generator.trainable_variables)


def test_a_model_must_say_what_its_losses_are():
    with pytest.raises(TypeError, match="must define objectives"):
        Adversarial().objectives()
