"""ProGAN: weight counts, growth and fades of both networks, the objective, exact resume."""

from common.errors import UserError
from common.evaluation import generated_images
from common.images import image_file
from common.nn import losses
from common.tasks.generation import Generation
from common.tasks.progression import Progression
from common.training import checkpoint
from progan.progan import ProGAN
from tests.helpers.command_line import command_line
from tests.helpers.models import (
    changed_networks,
    count_weights,
    random_batch,
    randomize,
    state_variables,
    unchanged_weights,
    values,
)

import keras
import numpy as np
import pytest
import tensorflow as tf

SMALL = {"image_size": 16, "base_maps": 16, "max_maps": 4, "latent_size": 6, "batch_size": 4}
SCHEDULE = {"stable_images": 4, "fade_images": 8}  # steps: 1; 2 + 1; 2 + 1
PRESETS = {
    "celebahq1024": ((1024, 3, 8192, 512), (23_079_115, 23_087_249)),
    "lsun256": ((256, 3, 8192, 512), (23_044_309, 23_052_353)),
    "full32": ((32, 3, 8192, 512), (20_719_628, 20_726_785)),
    "digits": ((32, 1, 1024, 128), (1_111_364, 1_113_153)),
    "digits in colour": ((32, 3, 1024, 128), (1_112_268, 1_114_049)),
    "small": ((32, 1, 512, 64), (278_180, 279_073)),
}


pytestmark = [
    pytest.mark.usefixtures("eager"),
    pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run"),
]


def small(**options):
    keras.utils.set_random_seed(1)
    model = ProGAN(**(SMALL | SCHEDULE | options))
    model.compile(jit="off")
    return model


def at(model, step):
    """The model in the state of a step's beginning, as far as the schedule goes."""
    model.stage = model.stage_of(step)
    model.steps_done.assign(step)
    return model


@pytest.fixture(scope="module")
def model():
    return small()


# The networks.


@pytest.mark.parametrize("name", PRESETS)
def test_the_number_of_weights(name):
    (size, channels, base, most), counts = PRESETS[name]
    latent = most
    model = ProGAN(
        **{"image_size": size, "channels": channels, "base_maps": base, "max_maps": most},
        **{"latent_size": latent, "ema": 0.0},
    )
    assert (count_weights(model.generator), count_weights(model.discriminator)) == counts


@pytest.mark.parametrize(("name", "step"), [("full32", 5), ("digits", 25)])
def test_a_step_of_a_full_size_network(name, step):
    """In the fade of 8 and of 32 pixels: all layers of two resolutions learn."""
    (size, channels, base, most), _ = PRESETS[name]
    sizes = {"image_size": size, "channels": channels, "base_maps": base, "max_maps": most}
    schedule = {"stable_images": 8, "fade_images": 12, "batch_size": 2}
    model = at(small(**sizes, **schedule, latent_size=most, ema=0.0), step)
    batch = random_batch(size, 2, channels)
    same = unchanged_weights(model, lambda: model.train_step(batch))
    assert len(same) == (2 * 12 if name == "full32" else 2 * 4)


def test_the_first_layer_has_a_gain_of_a_quarter(model):
    dense = next(each for each in model.generator.layers if "dense" in each.name)
    assert dense.gain == pytest.approx(2**0.5 / 4) and dense.bias is None
    linear = {each.gain for each in model.generator.layers if getattr(each, "filters", 0) == 1}
    assert linear == {1.0}  # of toRGB


def test_no_image_is_bounded(model):
    randomize(model.generator, 5.0)
    *images, _ = model.generator(np.ones((1, 6), "float32"))
    assert [image.shape[1] for image in images] == [4, 8, 16]
    assert all(np.abs(image).max() > 1 for image in images)
    assert np.abs(model.sampler(np.ones((1, 6), "float32"))).max() <= 1


def test_an_image_does_not_depend_on_the_others_of_its_batch(model):
    z = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
    alone = [model.sampler(z[i : i + 1]) for i in range(5)]
    np.testing.assert_allclose(model.sampler(z), np.concatenate(alone), atol=1e-5)


def score(images):
    return tf.reduce_mean(tf.square(images), axis=(1, 2))


def upsampled(x):
    return np.repeat(np.repeat(x, 2, axis=1), 2, axis=2)


def test_at_its_ends_a_fade_gives_the_coarser_and_the_finer_network():
    model = small(fade_images=8)
    randomize(model.generator, 1.0, seed=3)
    z = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")
    *images, _ = (each.numpy() for each in model.generator(z))
    begins, ends = model.growth.start(16), model.growth.start(16) + 2
    for step, expected in (
        (begins - 1, images[1]),
        (begins, upsampled(images[1])),
        (begins + 1, 0.5 * upsampled(images[1]) + 0.5 * images[2]),
        (ends, images[2]),
    ):
        at(model, step)
        network = model.at_side(model.generator)
        np.testing.assert_allclose(model.images_of(network(z)), expected, atol=1e-5)


def test_d_and_real_images_fade_alike():
    model = small(drift=0.0, penalty_weight=0.0)
    randomize(model.discriminator, 0.5, seed=4)
    x, labels = random_batch(16, 4)
    coarse = x.numpy().reshape(4, 8, 2, 8, 2, 1).mean(axis=(2, 4))
    begins = model.growth.start(16)
    outputs = {}
    for step in (begins - 1, begins, begins + 2):
        at(model, step)
        outputs[step] = model.judge(tf.constant(coarse if step < begins else x), labels, True)
    np.testing.assert_allclose(outputs[begins], outputs[begins - 1], rtol=1e-5)
    np.testing.assert_allclose(outputs[begins + 2], model.discriminator(x), rtol=1e-5)
    seen = []
    model.judge = lambda images, classes, real: seen.append((images, real)) or score(images)
    at(model, begins).objectives(x, labels)
    (faded,) = [images for images, real in seen[:2] if real]
    np.testing.assert_allclose(faded, upsampled(coarse), atol=1e-6)
    assert all(images.shape == (4, 16, 16, 1) for images, _ in seen)


def test_the_batch_must_be_a_multiple_of_the_group():
    with pytest.raises(UserError, match="--batch_size 12: give a multiple of --group 8"):
        small(batch_size=12, group=8)
    assert small(batch_size=2, group=8).group == 8


# The objective.


def test_the_losses_against_numpy():
    model = at(small(penalty_norm=2.0, drift=0.3), 2)
    randomize(model.generator, 0.7, 1)
    randomize(model.discriminator, 0.7, 2)
    x, labels = random_batch(16, 4)
    state = model.noise.state.numpy()
    fake, _ = model.generate(labels)
    model_x = tf.constant(x.numpy().reshape(4, 8, 2, 8, 2, 1).mean(axis=(2, 4)))
    coarse = model_x.numpy().reshape(4, 4, 2, 4, 2, 1).mean(axis=(2, 4))
    real = tf.constant(0.5 * model_x + 0.5 * upsampled(coarse))  # step 2: half of the fade
    x_hat = losses.interpolated(real, fake, model.noise)
    model.noise.state.assign(state)
    f = lambda images: model.discriminator(images, fade=0.5).numpy().astype("float64")  # noqa: E731
    with tf.GradientTape() as tape:
        tape.watch(x_hat)
        score = tf.reduce_sum(model.discriminator(x_hat, fade=0.5))
    norm = np.sqrt(np.square(tape.gradient(score, x_hat)).sum(axis=(1, 2, 3)))
    d_loss = f(fake).mean() - f(real).mean() + 0.3 * np.square(f(real)).mean()
    d_loss += 10 * np.square(norm - 2).mean() / 4
    found, logs = model.objectives(x, labels)
    assert float(found["discriminator"]) == pytest.approx(d_loss, rel=1e-4)
    assert float(found["generator"]) == pytest.approx(-f(fake).mean(), rel=1e-4)
    assert float(logs["gradient_norm"]) == pytest.approx(norm.mean(), rel=1e-4)
    assert float(logs["wasserstein"]) == pytest.approx(f(real).mean() - f(fake).mean(), rel=1e-3)


def test_with_classes_both_players_pay_for_them():
    model = at(small(conditional=True, classes=3, drift=0.0, penalty_weight=0.0), 1)
    x, labels = random_batch(16, 4, classes=3)
    assert [each.shape[1] for each in model.generator.inputs] == [6, 3]
    assert model.discriminator(x).shape == (4, 4)
    randomize(model.discriminator, 0.5)
    output = {}
    judge = model.judge

    def noted(images, classes, real):
        y = judge(images, classes, real)
        output.setdefault(real, y)
        return y

    model.judge = noted
    found, _ = model.objectives(x, labels)

    def entropy(y):
        logits = y.numpy()[:, 1:].astype("float64")
        return np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[range(4), labels])

    scores = {real: float(tf.reduce_mean(y[:, 0])) for real, y in output.items()}
    of_fake, of_real = entropy(output[False]), entropy(output[True])
    d_loss = scores[False] - scores[True] + of_real + of_fake
    assert float(found["discriminator"]) == pytest.approx(d_loss, rel=1e-4)
    assert float(found["generator"]) == pytest.approx(of_fake - scores[False], rel=1e-4)
    z, c = np.ones((3, 6), "float32"), np.eye(3, dtype="float32")
    model.generator.get_layer("grown").level.assign(2)
    images = model.sampler([z, c]).numpy()
    assert np.abs(images[0] - images[1]).max() > 1e-3


@pytest.mark.parametrize("options", [{}, {"classes": 10}, {"conditional": True, "classes": 1}])
def test_classes_are_taken_only_where_they_are_asked_for(options):
    model = small(**options)
    assert model.classes == 0 and len(model.generator.inputs) == 1


# Growth.


def train(model, stop):
    """Steps up to `stop`, by the function that `fit` calls."""
    for player in model.players.values():
        player.build()
    model.make_train_function(force=True)
    start = int(model.steps_done)
    size = model.image_size
    data = iter([random_batch(size, 4, seed=step) for step in range(start, stop)])
    return [model.train_function(data) for _ in range(start, stop)]


def test_only_the_layers_up_to_the_resolution_learn():
    """In the first step of a fade, a new resolution is there, but has no weight yet."""
    model = small()
    randomize(model.generator, 0.5, 1)
    randomize(model.discriminator, 0.5, 2)
    counts = []
    for step in range(7):
        same = unchanged_weights(model, lambda stop=step + 1: train(model, stop))
        counts.append(sum("average" not in path for path in same))
    # toRGB and fromRGB of a resolution have 4 weights.
    assert counts[0] == counts[1] > counts[2] == counts[3] - 4
    assert counts[3] == counts[4] > counts[5] == 4 and counts[6] == 8


def test_the_sampler_is_at_the_level_of_training():
    model = small(ema=0.5)
    z = np.random.default_rng(0).normal(size=(2, 6)).astype("float32")
    for step in range(1, 8):
        log = train(model, step)[-1]
        level = model.growth.level(step)
        assert float(log["level"]) == pytest.approx(level)
        for network in (model.generator, model.average_generator):
            assert float(network.get_layer("grown").level) == pytest.approx(level)
    *images, _ = model.average_generator(z)
    np.testing.assert_allclose(model.sampler(z), np.clip(images[2], -1, 1), atol=1e-6)


def test_both_optimizers_start_anew_at_both_ends_of_a_fade():
    model = small()
    iterations = []
    for step in range(1, 8):
        train(model, step)
        optimizers = [player.optimizer for player in model.players.values()]
        iterations.append({int(each.iterations) for each in optimizers})
    assert iterations == [{1}, {1}, {2}, {1}, {1}, {2}, {1}]


def test_a_step_is_compiled_once_for_each_resolution():
    model = small()
    made = []
    enter = model._enter
    model._enter = lambda index, count: made.append(enter(index, count)) or made[-1]
    train(model, 7)
    assert len(made) == 5 and len({id(each) for each in made}) == 3


@pytest.fixture(scope="module")
def whole():
    model = small(image_size=8, ema=0.5)
    train(model, 4)
    return values(state_variables(model))


@pytest.mark.parametrize("at", [1, 2, 3])
def test_resuming_is_exact_at_both_ends_of_a_fade_and_between(at, whole, tmp_path):
    first = small(image_size=8, ema=0.5)
    train(first, at)
    path = checkpoint.save(tmp_path, at, first)
    second = small(image_size=8, ema=0.5)
    checkpoint.load(path, second)
    train(second, 4)
    for one, other in zip(values(state_variables(second)), whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_average_by_its_half_life():
    """After the half-life in images, an old weight counts half."""
    model = small(half_life=400)
    assert model.ema**100 == pytest.approx(0.5)
    assert small(ema=0.7).ema == 0.7 and small(ema=0.0).averages == {}


def test_a_step_changes_every_network():
    model = small(ema=0.5)
    changed = changed_networks(model, lambda: train(model, 1))
    assert changed == {"generator", "discriminator", "average_generator"}


def test_a_mirrored_image_is_itself_or_its_mirror_image():
    model = at(small(mirror=True, stable_images=40), 0)
    seen = []
    model.judge = lambda images, classes, real: seen.append(images) or score(images)
    x, labels = random_batch(16, 64)
    model.objectives(x, labels)
    reduced = x.numpy().reshape(64, 4, 4, 4, 4, 1).mean(axis=(2, 4))
    kept = [np.allclose(one, two, atol=1e-6) for one, two in zip(seen[1], reduced, strict=True)]
    flipped = np.where(np.reshape(kept, (-1, 1, 1, 1)), reduced, reduced[:, :, ::-1])
    np.testing.assert_allclose(seen[1], flipped, atol=1e-6)
    assert 16 < sum(kept) < 48


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("image_size", 28), ("base_maps", 0), ("max_maps", 0), ("latent_size", 0), ("group", 0)),
        *(("penalty_weight", -1.0), ("penalty_norm", 0.0), ("drift", -1.0), ("half_life", 0)),
        *(("stable_images", 0), ("batch_size", 0), ("beta_1", 1.0)),
    ],
)
def test_invalid_options_are_refused_by_name(option, value):
    with pytest.raises(UserError, match=f"--{option} {value}: give"):
        small(**{option: value})


def test_an_evaluation_shows_each_resolution(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Generation, "export_trained", lambda *_: "nowhere")
    monkeypatch.setattr(generated_images, "compare", lambda *_: ({}, [], "not compared"))
    call, run = command_line(capsys, ProGAN, Generation, Progression), tmp_path / "run"
    options = "--base_maps 8 --max_maps 4 --latent_size 3 --batch_size 4 --stable_images 4"
    data = f"--fade_images 4 --dataset embedded --embedded_count 20 --image_size 8 --run {run}"
    assert call(f"{options} {data} --jit off --ema 0.5 --sample_every 2").status == 0
    result = call(f"evaluate {run} --count 4 --show 4")
    assert result.status == 0, result.err
    drawn = image_file.read(run / "evaluation" / "resolutions.png", 1)
    assert drawn.shape[:2] == (2 + 2 * 10, 2 + 10 * 10)
    coarse, fine = drawn[2:10, 2:10], drawn[12:20, 2:10]
    np.testing.assert_array_equal(coarse, upsampled(coarse[None, ::2, ::2])[0])
    assert (fine != coarse).any()
