"""StyleGAN: weight counts, styles, noise, mixing, the mean of w, R1, classes."""

from pathlib import Path

from common import recipes
from common.errors import UserError
from common.inference.sampler import sampler_of
from common.inference.styles import truncated
from common.nn.style import NoiseInjection
from stylegan.stylegan import MIXED, StyleGAN, mapping_of
from tests.helpers.models import changed, count_weights, random_batch, randomize, values

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml

SMALL = {"image_size": 16, "base_maps": 16, "max_maps": 4, "latent_size": 6, "batch_size": 4}
SMALL |= {"stable_images": 8, "fade_images": 8, "mapping_layers": 2}
# Weights of the mapping network, of synthesis and of D.
COUNTS = {
    "ffhq1024": (2_101_248, 24_118_379, 23_087_249),
    "ffhq256": (2_101_248, 23_984_981, 23_052_353),
    "full32": (2_101_248, 20_740_108, 20_726_785),
    "digits": (132_096, 1_083_332, 1_113_153),
    "mnist": (33_280, 272_356, 279_073),
}
RECIPES = Path(__file__).parents[2] / "stylegan" / "recipes"


pytestmark = [
    pytest.mark.usefixtures("eager"),
    pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run"),
]


def small(**options):
    keras.utils.set_random_seed(1)
    model = StyleGAN(**(SMALL | options))
    model.compile(jit="off")
    return model


@pytest.fixture(scope="module")
def model():
    """A model at its full size, whose images have noise."""
    model = at_the_end(small())
    randomize(model.discriminator)
    for network in (model.generator, model.average_generator):
        network.get_layer("grown").level.assign(2.0)
        for layer in network.layers:
            if isinstance(layer, NoiseInjection):
                layer.weight.assign(0.1 + layer.weight)
    return model


def at_the_end(model):
    """The model in the state of its last step, as far as the schedule goes."""
    model.stage = len(model.stages) - 1
    model.steps_done.assign(model.ends[-1] - 1)
    return model


# The networks.


@pytest.mark.parametrize("name", COUNTS)
def test_the_recipes_have_the_weights_of_the_named_presets(name, monkeypatch):
    zeros = keras.initializers.Zeros()
    monkeypatch.setattr(keras.initializers.RandomNormal, "__call__", zeros.__call__)
    recipe = yaml.safe_load((RECIPES / f"{name}.yaml").read_text())
    options = ("image_size", "base_maps", "max_maps", "latent_size", "channels")
    model = StyleGAN(**{k: recipe[k] for k in options if k in recipe}, ema=0.0)
    mapping = count_weights(mapping_of(model.generator))
    counts = mapping, count_weights(model.generator) - mapping, count_weights(model.discriminator)
    assert counts == COUNTS[name]
    assert not model.averages


def test_a_step_of_a_full_size_network():
    """In the fade of 16 pixels: the losses are finite, and all layers in use learn."""
    sizes = {"image_size": 256, "channels": 3, "base_maps": 8192, "max_maps": 512}
    schedule = {"stable_images": 4, "fade_images": 8, "batch_size": 2, "latent_size": 512}
    model = small(**sizes, **schedule, mapping_layers=8, ema=0.0)
    model.stage = model.stage_of(3)
    model.steps_done.assign(3)
    weights = model.generator.trainable_variables
    before = values(weights)
    logs = model.train_step(random_batch(256, 2, 3))
    assert all(np.isfinite(float(value)) for value in logs.values())
    # Of the mapping, the constant, 5 convolutions, noise, bias and style of 6 layers, two toRGB.
    assert sum(changed(before, weights)) == 16 + 1 + 5 + 6 * 4 + 4


def test_each_recipe_is_listed():
    assert {*recipes.named(RECIPES.parent / "stylegan.py")} == {*COUNTS, "emoji"}


def test_noise_changes_nothing_at_step_0():
    model = small()
    z = tf.constant(model.latent.array_of_seed(0, 2))
    one, other = (model.generator(z, training=True)[-1] for _ in range(2))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(model.generator(z)[-1], one, atol=1e-6)


def test_every_layer_has_noise_of_its_own(model):
    maps = [layer.map.numpy() for layer in model.generator.layers if hasattr(layer, "map")]
    assert [each.shape[0] for each in maps] == [4, 4, 8, 8, 16, 16]
    for one, other in zip(maps[::2], maps[1::2], strict=True):
        assert np.abs(one - other).max() > 0.5


def test_an_image_depends_on_its_z_alone(model):
    z = model.latent.array_of_seed(0, 5)
    images = model.sampler(z, training=False).numpy()
    np.testing.assert_allclose(model.sampler(z[3:4], training=False), images[3:4], atol=1e-5)
    np.testing.assert_array_equal(model.sampler(z, training=False), images)
    assert np.abs(images[0] - images[1]).max() > 1e-3


def test_the_mapping_network_has_a_hundredth_of_the_rate():
    """The same update of a stored weight changes one of the mapping a hundredth as much."""
    model = small()
    dense = [each for each in model.generator.layers if hasattr(each, "lr_multiplier")]
    w = model.generator.get_layer("w")
    mapping = [each for each in dense if each.lr_multiplier != 1.0]
    assert len(mapping) == 2 and w.mean.shape == (6,)
    for layer in mapping:
        assert layer.lr_multiplier == 0.01
        before = layer.scaled_kernel().numpy()
        np.testing.assert_allclose(before.std(), np.sqrt(2 / 6), rtol=0.4)
        layer.kernel.assign(layer.kernel + 1e-3)
        step = layer.scaled_kernel().numpy() - before
        np.testing.assert_allclose(step, 1e-3 * 0.01 * np.sqrt(2 / 6), rtol=0.05)


def test_styles_have_gain_1_and_no_offset_at_first():
    model = small()
    styles = [each for each in model.generator.layers if getattr(each, "units", 0) == 2 * 4]
    assert {(each.gain, each.lr_multiplier) for each in styles} == {(1.0, 1.0)}
    assert all(not each.bias.numpy().any() for each in styles)


# Training.


def test_the_mean_of_w_is_of_the_first_w_at_each_step(model):
    """0.995 of it remains; the w that is mixed in does not count."""
    layer, before = model.generator.get_layer("w"), model.generator.get_layer("w").mean.numpy()
    drawn = []
    draw_z = type(model).draw_z
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            type(model), "draw_z", lambda self, y: drawn.append(draw_z(self, y)) or drawn[-1]
        )
        model.generate(tf.zeros(4, tf.int32))
    w = mapping_of(model.generator)(drawn[0]).numpy()
    assert len(drawn) == 2
    np.testing.assert_allclose(layer.mean, 0.995 * before + 0.005 * w.mean(axis=0), rtol=1e-5)
    layer.mean.assign(before)


def test_styles_are_mixed_from_a_random_layer_on(model):
    w, other = tf.zeros((2, 6)), tf.ones((2, 6))
    counts = []
    for _ in range(200):
        styles = model.mixed(w, other).numpy()
        assert styles.shape == (2, 6, 6)
        own = 1 - styles[0, :, 0]
        assert (styles == styles[:1]).all() and (np.diff(own) <= 0).all()
        counts.append(int(own.sum()))
    assert {*counts} == {1, 2, 3, 4, 5, 6}
    assert np.mean([count < 6 for count in counts]) == pytest.approx(MIXED, abs=0.08)


def test_layers_not_trained_yet_are_no_place_to_mix():
    model = small()  # at 8 pixels, with four layers
    counts = {
        int(4 - model.mixed(tf.zeros((1, 6)), tf.ones((1, 6)))[0, :4, 0].numpy().sum())
        for _ in range(100)
    }
    assert counts == {1, 2, 3, 4}


def softplus(x):
    return np.log1p(np.exp(x))


def test_the_losses(model):
    x, labels = random_batch(16, 4)
    losses, logs = model.objectives(x, labels)
    real = model.judged(x, labels, real=True)
    fake = real._replace(output=real.output + 1.0)
    on_real, on_fake = real.output.numpy(), fake.output.numpy()
    expected = softplus(-on_real).mean() + softplus(on_fake).mean()
    assert float(model.d_loss(real, fake)) == pytest.approx(expected, rel=1e-5)
    assert float(model.g_loss(real, fake)) == pytest.approx(softplus(-on_fake).mean(), rel=1e-5)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(model.discriminator(x, training=True))
    squares = np.square(tape.gradient(total, x)).sum(axis=(1, 2, 3)).mean()
    penalty, logged = model.penalty(real, fake)
    assert float(logged["r1"]) == pytest.approx(squares, rel=1e-4)
    assert float(penalty) == pytest.approx(0.05 * squares, rel=1e-4)
    assert float(logs["r1"]) == pytest.approx(squares, rel=1e-4)
    assert losses.keys() == {"discriminator", "generator"}


def test_lazy_r1_is_in_every_fourth_step_with_four_times_the_weight():
    model, (x, labels) = at_the_end(small(r1_every=4, gamma=0.5)), random_batch(16, 4)
    randomize(model.discriminator)
    real = model.judged(x, labels, real=True)
    found = []
    for step in range(8, 13):
        model.steps_done.assign(step)
        penalty, logs = model.penalty(real, real)
        found.append(float(penalty))
        assert float(penalty) == pytest.approx(0.25 * 4 * float(logs["r1"]))
    assert [value > 0 for value in found] == [True, False, False, False, True]


@pytest.mark.parametrize("every", [1, 2])  # without and with a condition
def test_the_second_derivatives_of_r1_compile(every):
    """Through blur, pooling, leaky ReLU and the minibatch deviation, by every weight of D."""
    model, (x, labels) = at_the_end(small(r1_every=every)), random_batch(16, 4)
    model.steps_done.assign_sub(model.steps_done % every)
    randomize(model.discriminator)
    weights = [v.value for v in model.discriminator.trainable_variables]

    def gradients():
        real = model.judged(x, labels, real=True)
        with tf.GradientTape() as tape:
            penalty, _ = model.penalty(real, real)
        return tape.gradient(penalty, weights, unconnected_gradients="zero")

    exact = gradients()
    tf.config.run_functions_eagerly(False)
    try:
        compiled = tf.function(gradients, autograph=False, jit_compile=True)()
    finally:
        tf.config.run_functions_eagerly(True)
    assert sum(float(tf.reduce_sum(tf.abs(g))) > 0 for g in exact) > len(exact) / 3
    for one, other in zip(exact, compiled, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-4)


# Classes.


def test_the_score_is_that_of_the_image_s_class():
    model, (x, _) = at_the_end(small(conditional=True, classes=3)), random_batch(16, 4)
    randomize(model.discriminator)
    labels = tf.constant([0, 2, 1, 2])
    scores = model.judge(x, labels, real=True).numpy()
    every = model.discriminator(x, training=True).numpy()
    assert every.shape == (4, 3)
    np.testing.assert_allclose(scores[:, 0], every[np.arange(4), labels], rtol=1e-6)
    assert model.sampler.input_shape == [(None, 6), (None, 3)]


def test_the_class_table_is_not_scaled():
    model = small(conditional=True, classes=50)
    (table,) = (v for v in model.generator.trainable_variables if v.shape == (50, 6))
    assert np.std(table) == pytest.approx(1.0, abs=0.15)


# Use.


def test_truncation_draws_w_to_its_mean(model):
    z = model.latent.array_of_seed(0, 4)
    full = sampler_of(model).all(z)
    for psi in (1.0, 0.5, 0.0):
        images = sampler_of(model, network=truncated(model, psi)).all(z)
        assert (np.ptp(images.astype(int), axis=0).max() == 0) == (psi == 0.0)
        assert np.array_equal(images, full) == (psi == 1.0)
    none = sampler_of(model, network=truncated(model, 0.0, truncated_layers=0)).all(z)
    np.testing.assert_array_equal(none, full)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 28}, "--image_size 28"),
        ({"gamma": -1.0}, "--gamma"),
        ({"r1_every": 0}, "--r1_every"),
        ({"half_life": 0}, "--half_life"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(UserError, match=message):
        small(**options)
