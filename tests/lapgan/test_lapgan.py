"""LAPGAN: the networks of each level, the game on real images, the chain, and its stages."""

from common.errors import UserError
from common.nn.latent import Latent
from common.nn.layers import Dropout
from common.tasks.generation import Generation
from common.tasks.refinement import Refinement
from common.training import checkpoint
from lapgan.lapgan import LAPGAN
from tests.helpers.checkpoints import arrays
from tests.helpers.command_line import command_line
from tests.helpers.models import (
    changed_networks,
    log_sigmoid,
    random_batch,
    randomize,
    state_variables,
    unchanged_weights,
    values,
    weight_counts,
)

import keras
import numpy as np
import pytest
import tensorflow as tf

SIDES = (5, 10, 20)


pytestmark = [
    pytest.mark.usefixtures("eager"),
    pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run"),
]


def small(**options):
    keras.utils.set_random_seed(1)
    sizes = {"image_size": 20, "units": 6, "width": 2, "latent_size": 3, "classes": 4}
    model = LAPGAN(**(sizes | {"coarse_steps": 2, "band_steps": 2} | options))
    model.compile(jit="off")
    return model


def batch(count=8, channels=1, seed=0):
    return random_batch(20, count, channels, 4, seed)


@pytest.fixture(scope="module")
def model_without_dropout():
    model = small()
    for network in model.networks.values():
        for layer in network.layers:
            if isinstance(layer, Dropout):
                layer.rate = 0.0
    return model


@pytest.fixture
def strong(model_without_dropout):
    """A model with large weights and no dropout."""
    for seed, network in enumerate(model_without_dropout.networks.values()):
        randomize(network, 0.3, seed)
    return model_without_dropout


def numpy_down(x):
    count, side, _, channels = x.shape
    return x.reshape(count, side // 2, 2, side // 2, 2, channels).mean(axis=(2, 4))


def numpy_up(x):
    """Bilinear: along each axis, 3/4 of the nearest pixel and 1/4 of the next one."""
    for axis in (1, 2):
        width = [(1, 1) if i == axis else (0, 0) for i in range(4)]
        padded = np.pad(x, width, mode="edge")
        middle, before, after = (
            np.take(padded, range(start, start + x.shape[axis]), axis=axis) for start in (1, 0, 2)
        )
        pairs = [0.75 * middle + 0.25 * before, 0.75 * middle + 0.25 * after]
        x = np.stack(pairs, axis=axis + 1).reshape(
            *x.shape[:axis], 2 * x.shape[axis], *x.shape[axis + 1 :]
        )
    return x


# The networks.


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        (
            {},
            {
                **{"generator_7": 1_633_249, "discriminator_7": 397_201},
                **{"generator_14": 57_901, "discriminator_14": 29_709},
                **{"generator_28": 64_369, "discriminator_28": 39_089},
            },
        ),
        (
            {"classes": 0},
            {
                # No class: 10 weights fewer for each of the first hidden units.
                **{"generator_7": 1_633_249 - 12_000, "discriminator_7": 397_201 - 6_000},
                **{"generator_14": 54_177, "discriminator_14": 26_753},
                **{"generator_28": 54_177, "discriminator_28": 29_665},
            },
        ),
        (
            {"image_size": 32, "channels": 3, "width": 64},
            {
                **{"generator_8": 1_804_992, "discriminator_8": 483_001},
                # As at 32 pixels, with 256 outputs of the class's layer, and 6x6 of 16x16 in D.
                "generator_16": 232_579 - 11 * (1024 - 256),
                "discriminator_16": 129_409 - 11 * (1024 - 256) - 64 * (12**2 - 4**2),
                **{"generator_32": 232_579, "discriminator_32": 129_409},
            },
        ),
    ],
)
def test_the_number_of_weights(options, counts):
    assert weight_counts(LAPGAN(**options)) == counts


def test_a_refinement_ends_in_a_linear_band_that_is_added_to_the_coarse_image():
    """A tanh would keep it within [-1, 1], and so would clipping."""
    model = small()
    generator = model.generator_20
    randomize(generator, 2.0)
    z, c = np.random.default_rng(0).uniform(-1, 1, (2, 400)), np.eye(4)[:2]
    coarse = np.full((2, 20, 20, 1), 0.5, "float32")
    image = generator([z, coarse, c]).numpy()
    assert image.max() > 2 and image.min() < -2
    *_, kernel, bias = generator.get_weights()
    generator.set_weights([*generator.get_weights()[:-2], 0 * kernel, 0 * bias])
    np.testing.assert_array_equal(generator([z, coarse, c]), coarse)
    assert not [each for each in generator.layers if "normalization" in each.name]


def test_the_class_reaches_every_network(strong):
    for name, network in strong.networks.items():
        *others, c = network.inputs
        assert c.shape == (None, 4), name
        given = [np.random.default_rng(0).uniform(-1, 1, (1, *x.shape[1:])) for x in others]
        outputs = [network([*given, np.eye(4)[[k]]]).numpy() for k in range(4)]
        assert all(not np.allclose(outputs[0], each) for each in outputs[1:]), name


@pytest.mark.parametrize("classes", [0, 1])
def test_without_classes_no_network_takes_one(classes):
    model = small(classes=classes)
    assert model.classes == 0
    inputs = {name: len(network.inputs) for name, network in model.networks.items()}
    assert inputs == {
        **{"generator_5": 1, "discriminator_5": 1, "generator_10": 2, "discriminator_10": 1},
        **{"generator_20": 2, "discriminator_20": 1},
    }
    assert model.sampler(np.zeros((2, model.latent.size))).shape == (2, 20, 20, 1)
    for stage in range(3):
        model.stage = stage
        logs = model.train_step(batch())
        assert [name for name in logs if "loss" in name and logs[name] > 0] == [
            *(f"d_{SIDES[stage]}_loss", f"g_{SIDES[stage]}_loss"),
        ]


# The game of a level.


@pytest.mark.parametrize(("stage", "side"), [*enumerate(SIDES)])
def test_the_losses_of_a_level_against_numpy(strong, stage, side):
    """Real are the first half of the batch, and bands are for coarse images of the second half."""
    x, labels = batch()
    state = strong.noise.state.numpy()
    size = 3 if side == 5 else side**2
    shape, range_of_z = (4, size), (-1.0, 1.0)
    z = keras.random.uniform(shape, *range_of_z, dtype="float32", seed=strong.noise).numpy()
    strong.noise.state.assign(state)
    one_hot = np.eye(4, dtype="float32")[labels]

    level = x.numpy()
    while level.shape[1] > side:
        level = numpy_down(level)
    real, other = level[:4], level[4:]
    enlarged = [] if side == 5 else [numpy_up(numpy_down(other))]
    generator, discriminator = (
        strong.networks[f"{name}_{side}"] for name in ("generator", "discriminator")
    )
    fake = generator([z, *enlarged, one_hot[4:]]).numpy()
    on_real = discriminator([real, one_hot[:4]])
    on_fake = discriminator([fake, one_hot[4:]])

    strong.stage = stage
    objectives = strong.stages[stage].objectives
    losses, logs = objectives(x, labels)
    d_loss = -np.mean(log_sigmoid(on_real)) - np.mean(log_sigmoid(-on_fake))
    assert float(losses[f"discriminator_{side}"]) == pytest.approx(d_loss, rel=1e-4)
    g_loss = -np.mean(log_sigmoid(on_fake))
    assert float(losses[f"generator_{side}"]) == pytest.approx(g_loss, rel=1e-4)
    assert losses.keys() == set(strong.stages[stage].players)
    if enlarged:
        strength = np.abs(fake - enlarged[0]).mean() / np.abs(other - enlarged[0]).mean()
        assert float(logs[f"band_{side}"]) == pytest.approx(strength, rel=1e-4)
    else:
        assert logs == {}


def test_a_level_learns_from_real_coarse_images_alone(strong):
    """Its losses do not depend on the networks of other levels, as generated ones would."""

    def losses():
        state = strong.noise.state.numpy()
        found, _ = strong.stages[2].objectives(*batch())
        strong.noise.state.assign(state)
        return [float(loss) for loss in found.values()]

    before = losses()
    for side in (5, 10):
        randomize(strong.networks[f"generator_{side}"], 1.0, seed=9)
    assert losses() == before
    randomize(strong.generator_20, 1.0, seed=9)
    assert losses() != before


@pytest.mark.parametrize("ema", [0.0, 0.5])
def test_a_stage_updates_the_networks_of_its_level_and_no_others(ema):
    model = small(ema=ema)
    for stage, side in enumerate(SIDES):
        model.stage = stage
        expected = {f"generator_{side}", f"discriminator_{side}"}
        expected |= {f"average_generator_{side}"} if ema else set()
        assert changed_networks(model, lambda: model.train_step(batch())) == expected


def test_a_step_of_a_level_changes_all_of_its_weights(strong):
    for stage in range(3):
        strong.stage = stage
        same = unchanged_weights(strong, lambda: strong.train_step(batch(32)))
        own = {v.path for n in strong.stages[stage].players for v in strong.networks[n].weights}
        assert not own & {*same}


# The chain.


def test_with_the_bands_of_an_image_the_chain_gives_it_back(strong, monkeypatch):
    x, _ = batch(3)
    levels = {20: x.numpy()}
    for side in (10, 5):
        levels[side] = numpy_down(levels[2 * side])

    def true_band(side):
        return lambda inputs: inputs[1] + levels[side] - numpy_up(levels[side // 2])

    stubs = [None, true_band(10), true_band(20)]
    monkeypatch.setattr(LAPGAN, "sampling_networks", stubs)
    z, c = tf.zeros((3, strong.latent.size)), [tf.zeros((3, 4))]
    for side in SIDES:
        again = strong.refined(tf.constant(levels[side], tf.float32), z, c)
        np.testing.assert_allclose(again, x, atol=1e-6)


def test_the_chain_adds_the_bands_from_coarse_to_fine_and_clips_the_end_alone(strong):
    z = np.random.default_rng(0).uniform(-1, 1, (2, 3 + 100 + 400)).astype("float32")
    c = np.eye(4, dtype="float32")[[1, 3]]
    image = strong.generator_5([z[:, :3], c]).numpy()
    coarse = numpy_up(numpy_up(image))
    image = strong.generator_10([z[:, 3:103], numpy_up(image), c]).numpy()
    assert np.abs(image).max() > 1  # and is not clipped there
    refined = strong.refiner(10)([image, z, c])
    image = strong.generator_20([z[:, 103:], numpy_up(image), c]).numpy()
    assert strong.latent == Latent(503, "uniform")
    np.testing.assert_allclose(strong.sampler([z, c]), np.clip(image, -1, 1), atol=1e-4)
    np.testing.assert_allclose(refined, np.clip(image, -1, 1), atol=1e-4)
    np.testing.assert_allclose(strong.coarse_sampler([z, c]), np.clip(coarse, -1, 1), atol=1e-4)


def test_each_level_has_noise_of_its_own(strong):
    z, c = np.zeros((1, 503), "float32"), np.eye(4, dtype="float32")[:1]
    for network in (strong.generator_10, strong.generator_20, strong.generator_5):
        randomize(network, 0.1)
    images = []
    for part in (slice(0, 0), slice(0, 3), slice(3, 103), slice(103, 503)):
        other = z.copy()
        other[:, part] = 0.9
        images.append(strong.sampler([other, c]).numpy())
    for other in images[1:]:
        assert np.abs(other - images[0]).max() > 1e-3


def test_a_level_that_is_not_trained_adds_next_to_nothing():
    model = small(ema=0.5)
    z = model.latent.of_seed(0, 8).numpy()
    c = np.eye(4, dtype="float32")[[0, 1, 2, 3] * 2]
    difference = model.sampler([z, c]) - model.coarse_sampler([z, c])
    assert 0 < np.abs(difference).max() < 2 / 127.5  # two grey levels


def test_the_sampler_uses_the_averages():
    model = small(ema=0.9)
    assert model.averaged and not small().averaged
    for side in SIDES:
        randomize(model.networks[f"average_generator_{side}"], 0.3, side)
        randomize(model.networks[f"generator_{side}"], 5.0, side)
    plain = small()
    for side in SIDES:
        average = model.networks[f"average_generator_{side}"]
        plain.networks[f"generator_{side}"].set_weights(average.get_weights())
    z, c = model.latent.of_seed(0, 2).numpy(), np.eye(4, dtype="float32")[:2]
    np.testing.assert_allclose(model.sampler([z, c]), plain.sampler([z, c]), atol=1e-6)


# Stages.


def train(model, stop):
    """Steps up to `stop`, by the function that `fit` calls."""
    for player in model.players.values():
        player.build()
    model.make_train_function(force=True)
    start = int(model.steps_done)
    data = iter([batch(seed=step) for step in range(start, stop)])
    return [model.train_function(data) for _ in range(start, stop)]


def test_a_run_has_a_stage_for_each_level():
    plan = small(coarse_steps=7, band_steps=3).plan
    assert (plan.total_steps, plan.milestones) == (13, (7, 10))
    plan = small(coarse_steps=7, band_steps=3, level=10).plan
    assert (plan.total_steps, plan.milestones) == (10, (7,))
    assert plan.continuation == "--level 20" and not small().plan.continuation
    logs = train(small(), 6)
    for step, log in enumerate(logs):
        trained = {name for name, value in log.items() if float(value)}
        side = SIDES[step // 2]
        band = {f"band_{side}"} if side > 5 else set()
        assert trained == {f"d_{side}_loss", f"g_{side}_loss"} | band
        assert log.keys() == logs[0].keys()


@pytest.fixture(scope="module")
def whole():
    """The state after the steps of all levels."""
    model = small(ema=0.5)
    train(model, 6)
    return values(state_variables(model))


@pytest.mark.parametrize(("at", "level"), [(2, 5), (3, None), (4, 10)])
def test_resuming_is_exact_before_at_and_after_each_border(at, level, whole, tmp_path):
    first = small(ema=0.5, level=level)
    train(first, at)
    path = checkpoint.save(tmp_path, at, first)
    second = small(ema=0.5)
    checkpoint.load(path, second)
    train(second, 6)
    for one, other in zip(values(state_variables(second)), whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_levels_one_by_one_give_the_run_of_all(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Generation, "export_trained", lambda *_: "nowhere")
    call = command_line(capsys, LAPGAN, Generation, Refinement)
    monkeypatch.setattr(Refinement, "sample_grid", lambda *_: lambda: np.zeros((8, 8, 1), np.uint8))
    options = "--dataset embedded --embedded_count 20 --image_size 10 --jit off --batch_size 4 "
    options += "--units 4 --width 2 --latent_size 3 --coarse_steps 2 --band_steps 1 --ema 0.5"
    runs = tmp_path / "whole", tmp_path / "parts"
    lines = f"{options} --run {runs[0]}", f"{options} --level 5 --run {runs[1]}"
    for line in (*lines, f"--resume --level 10 --run {runs[1]}"):
        result = call(line)
        assert result.status == 0, result.err
    assert arrays(runs[1], 2) and arrays(runs[0], 3) == arrays(runs[1], 3)
    assert "to prolong the run, add --steps above 3" in call(f"--resume --run {runs[1]}").out
    result = call(f"--resume --run {runs[1]} --band_steps 3")
    assert result.status == 2 and "--band_steps 3: the run was started with 1" in result.err


# Options.


def test_the_papers_optimizer():
    for name, player in small(optimizer="sgd").players.items():
        assert isinstance(player.optimizer, keras.optimizers.SGD), name
        assert player.optimizer.momentum == 0.5
        assert float(player.optimizer.learning_rate) == pytest.approx(0.02)
    adams = [player.optimizer for player in small().players.values()]
    assert len({id(each) for each in adams}) == 6
    assert all(float(each.learning_rate) == pytest.approx(2e-4) for each in adams)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("image_size", 18),
        ("units", 1),
        ("coarse_steps", 0),
        ("band_steps", 0),
        ("level", 7),
        ("learning_rate", 0.0),
    ],
)
def test_invalid_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}: give"):
        small(**{option: value})
