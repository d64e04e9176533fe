"""DiscoGAN: the paper's networks, its losses against NumPy, and who is updated when."""

from common.errors import UserError
from discogan.discogan import DiscoGAN
from tests.helpers.models import (
    changed,
    count_weights,
    log_sigmoid,
    magnify,
    state_variables,
    values,
)

import keras
import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)


def images(count=3):
    return tf.constant(RANDOM.uniform(-1, 1, (count, 16, 16, 1)), tf.float32)


def small(**options):
    """A model with ten times the initial weights, so that every loss depends on them."""
    keras.utils.set_random_seed(1)
    model = DiscoGAN(**({"image_size": 16, "channels": 1, "width": 3} | options))
    magnify(model)
    model.compile(jit="off")  # compiling takes longer than the steps
    return model


@pytest.fixture(scope="module")
def model():
    """Tests may change its options and weights, as none depends on their values."""
    return small()


# The networks.


@pytest.mark.parametrize(
    ("size", "channels", "filters", "bottleneck", "translator", "discriminator"),
    [
        (64, 3, (64, 128, 256, 512), 0, 5_513_856, 2_765_568),
        (64, 3, (64, 128, 256, 512), 100, 7_153_480, 2_765_568),
        (32, 1, (32, 64, 128), 0, 329_280, 166_784),
    ],
)
def test_the_published_networks(
    model, monkeypatch, size, channels, filters, bottleneck, translator, discriminator
):
    given = {"image_size": size, "channels": channels, "filters": filters, "bottleneck": bottleneck}
    for name, value in given.items():
        monkeypatch.setattr(model, name, value)
    networks = model.build_translator("x"), model.build_discriminator("a")
    assert [*map(count_weights, networks)] == [translator, discriminator]
    assert not [v.path for network in networks for v in network.variables if "bias" in v.path]
    logits, *features = networks[1].output
    assert logits.shape == (None, 1, 1, 1)
    sides = [size // 4 // 2**k for k in range(len(filters) - 1)]  # of all but the first layer
    assert [f.shape[1:] for f in features] == [
        (side, side, n) for side, n in zip(sides, filters[1:], strict=True)
    ]
    kinds = [type(layer).__name__ for layer in networks[0].layers]
    assert "Concatenate" not in kinds and kinds[1:3] == ["Conv2D", "LeakyReLU"]
    assert kinds[-2:] == ["Conv2DTranspose", "Activation"]  # no normalization


def test_filters_by_image_size():
    assert small(image_size=64, width=2, bottleneck=5).filters == [2, 4, 8, 16]
    assert small(image_size=128, width=1).filters == [1, 2, 4, 8, 8]


@pytest.mark.parametrize("bottleneck", [0, 5])
def test_translators_take_all_sides_that_are_multiples(model, bottleneck):
    model = small(bottleneck=bottleneck) if bottleneck else model
    x = np.zeros((1, 2 * model.multiple, 3 * model.multiple, 1), "float32")
    assert model.generator.get_layer("BtoA")(x).shape == x.shape
    assert model.multiple == (16 if bottleneck else 4)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("width", 0),
        ("bottleneck", -1),
        ("feature_share", 1.5),
        ("reconstruction_weight", -0.1),
        ("initial_reconstruction_weight", 2.0),
        ("initial_steps", -1),
        ("weight_decay", -1.0),
        ("learning_rate", 0.0),
        ("beta_1", 1.0),
        ("image_size", 8),
        ("image_size", 48),
    ],
)
def test_invalid_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}"):
        DiscoGAN(**{option: value})


# The objective.


def expected_losses(model, a, b, r, share=0.9, decay=1e-5, directions=2):
    """Both losses by NumPy, of images in [0, 1] as in the authors' code."""
    G, F = (model.generator.get_layer(name) for name in ("AtoB", "BtoA"))
    D = [model.discriminator.get_layer(f"discriminator_{domain}") for domain in "ab"]
    train = {"training": True}
    fake = F(b, **train), G(a, **train)
    cycle = F(fake[1], **train), G(fake[0], **train)
    d_loss, adversarial, cycles = 0, [], []
    for domain, real in enumerate((a, b)):  # each batch is normalized by itself
        on_real, *f = map(np.asarray, D[domain](real, **train))
        on_fake, *f_fake = map(np.asarray, D[domain](fake[domain], **train))
        d_loss -= (log_sigmoid(on_real).mean() + log_sigmoid(-on_fake).mean()) / 2
        pairs = zip(f, f_fake, strict=True)
        matching = sum(np.square(x.mean(axis=0) - y.mean(axis=0)).mean() for x, y in pairs)
        adversarial.append(share * matching - (1 - share) * log_sigmoid(on_fake).mean())
        x, y = ((np.asarray(x) + 1) / 2 for x in (real, cycle[domain]))
        cycles.append(np.square(x - y).mean())
    squares = [
        sum(np.square(v).sum() for v in values(network.trainable_variables))
        for network in (model.discriminator, model.generator)
    ]
    g_loss = (1 - r) * sum(adversarial[-directions:]) + r * sum(cycles[:directions])
    return d_loss + decay / 2 * squares[0], g_loss + decay / 2 * squares[1], cycles


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"r": 0.01}),
        ({"initial_steps": 0}, {"r": 0.5}),
        ({"initial_steps": 0, "feature_share": 0.0}, {"r": 0.5, "share": 0}),
        ({"both_directions": False}, {"r": 0.01, "directions": 1}),
        ({"weight_decay": 0.1}, {"r": 0.01, "decay": 0.1}),
    ],
)
def test_losses_match_the_equations(model, monkeypatch, options, expected):
    for name, value in options.items():
        monkeypatch.setattr(model, name, value)
    model.steps_done.assign(0)
    a, b = images(), images()
    losses, logs = model.objectives(a, b)
    d_loss, g_loss, cycles = expected_losses(model, a, b, **expected)
    assert float(losses["discriminator"]) == pytest.approx(d_loss, rel=1e-4)
    assert float(losses["generator"]) == pytest.approx(g_loss, rel=1e-4)
    assert [float(logs[f"cycle_{d}"]) for d in "ab"] == pytest.approx(cycles, rel=1e-4)


def test_the_reconstruction_counts_more_after_the_initial_steps(model, monkeypatch):
    monkeypatch.setattr(model, "initial_steps", 5)
    a, b = images(), images()
    for steps, r in ((4, 0.01), (5, 0.5)):
        model.steps_done.assign(steps)
        _, g_loss, _ = expected_losses(model, a, b, r)
        assert float(model.objectives(a, b)[0]["generator"]) == pytest.approx(g_loss, rel=1e-4)


def test_features_are_matched_in_the_mean_of_the_batch_and_not_image_by_image(model):
    """The same images in another order are matched, and a batch of copies of one is not."""
    x = model.discriminator.get_layer("discriminator_a")(images(), training=False)
    shuffled = [tf.reverse(each, [0]) for each in x]
    copies = [tf.repeat(each[:1], 3, axis=0) for each in x]
    entropy = -0.1 * log_sigmoid(x[0]).mean()
    assert float(model.adversarial(x, shuffled)) == pytest.approx(entropy, rel=1e-4)
    of_copies = -0.1 * log_sigmoid(copies[0]).mean()
    assert float(model.adversarial(x, copies)) > of_copies + 1e-3


# The steps.


def test_every_third_step_updates_the_discriminators_and_the_others_the_translators(model):
    model.steps_done.assign(0)
    networks = {"discriminator": model.discriminator, "generator": model.generator}
    for step in range(5):
        before = {name: values(n.trainable_variables) for name, n in networks.items()}
        logs = model.train_step((images(), images()))
        assert sorted(logs) == ["cycle_a", "cycle_b", "d_loss", "g_loss"]
        due = "discriminator" if step % 3 == 0 else "generator"
        for name, network in networks.items():
            assert set(changed(before[name], network.trainable_variables)) == {name == due}, step
    assert int(model.steps_done) == 5
    assert any(v is model.steps_done for v in state_variables(model))


def test_both_cycles_reach_both_translators_and_one_cycle_reaches_both_too(model, monkeypatch):
    """Without an adversarial loss: its weight is 1 - r."""
    monkeypatch.setattr(model, "weights_of_reconstruction", (1.0, 1.0))
    monkeypatch.setattr(model, "weight_decay", 0.0)
    for both in (True, False):
        monkeypatch.setattr(model, "both_directions", both)
        _, gradients = model.losses_and_gradients(images(), images(), only=["generator"])
        assert all(np.abs(g).max() > 0 for g in gradients["generator"]), both
