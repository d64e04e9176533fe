"""StackGAN: its networks, the three stages, which weights each changes, and its course."""

from types import SimpleNamespace

from common.nn.latent import Latent
from common.tasks.text_to_image import TextToImage
from common.training import checkpoint
from stackgan.stackgan import StackGAN
from tests.helpers.models import count_weights, state_restored, state_variables, values

import keras
import numpy as np
import pytest
import tensorflow as tf

FULL = {"image_size": 256, "width": 128, "d_width": 64, "d_width_2": 64}
FULL |= {"condition_size": 128, "latent_size": 100, "embedding_size": 1024}
WORDS = ["a", "blue", "on", "red", "three"]
SMALL = {"image_size": 32, "width": 4, "d_width": 2, "d_width_2": 2, "units": 3, "word_size": 2}
SMALL |= {"condition_size": 2, "latent_size": 3, "vocabulary": WORDS, "caption_length": 4}


pytestmark = [
    pytest.mark.usefixtures("eager"),
    pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run"),
]


def small():
    keras.utils.set_random_seed(1)
    model = StackGAN(**SMALL, pretrain_steps=1, coarse_steps=2, fine_steps=2)
    model.compile(jit="off")
    return model


@pytest.fixture(scope="module")
def shared():
    return small()


@pytest.fixture
def model(shared):
    with state_restored(shared):
        yield shared
    shared.stage = 0


def batch(count=4, seed=0):
    random = np.random.default_rng(seed)
    x, wrong = (random.uniform(-1, 1, (count, 32, 32, 3)).astype("float32") for _ in range(2))
    return tuple(map(tf.constant, (x, random.integers(2, 7, (count, 4)).astype("int32"), wrong)))


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({"embedding_size": 128}, (833_344, 58_592, 1_637_992, 250_720)),
        (FULL, (14_264_192, 4_029_824, 26_290_080, 48_603_520)),
    ],
)
def test_the_networks_have_the_known_numbers_of_weights(options, counts, monkeypatch):
    """Random initial values of ninety million weights would take the time."""
    monkeypatch.setattr(keras.initializers.RandomNormal, "__call__", zeros)
    model = StackGAN(**options)
    networks = [each for stage in (1, 2) for each in model.pair(stage)]
    assert tuple(map(count_weights, networks)) == counts


def zeros(self, shape, dtype=None):
    return tf.zeros(shape, dtype or "float32")


@pytest.mark.parametrize(
    ("stage", "players"),
    [
        (0, {"matcher"}),
        (1, {"generator_1", "discriminator_1"}),
        (2, {"generator_2", "discriminator_2"}),
    ],
)
def test_a_stage_trains_its_own_players_alone(model, stage, players):
    model.stage = stage
    before = {k: [w.numpy() for w in n.trainable_variables] for k, n in model.networks.items()}
    logs = model.train_step(batch())
    changed = {
        name
        for name, network in model.networks.items()
        if any(
            not np.array_equal(old, new.numpy())
            for old, new in zip(before[name], network.trainable_variables, strict=True)
        )
    }
    assert changed == players
    assert set(logs) == set(model.logged)


def test_losses_are_those_of_the_paper(model):
    x, text, wrong = batch()
    t, coarse_noise, _ = model.drawn(text)
    fake, statistics = model.generator_1([t, coarse_noise], training=True)
    small = [each[:, :8, :8] for each in (x, wrong)]
    losses, _ = model.game(1, *small, fake, statistics, t)
    # One batch: statistics of real, wrong and generated images of their own would tell these apart.
    images, texts = np.concatenate([*small, fake]), np.tile(t, (3, 1))
    logits = model.discriminator_1([images, texts], training=True).numpy()[:, 0]
    real, mismatched, generated = np.split(logits, 3)
    d_loss = np.mean(np.logaddexp(0, -real)) + 0.5 * (
        np.mean(np.logaddexp(0, mismatched)) + np.mean(np.logaddexp(0, generated))
    )
    mu, log_sigma = np.split(statistics.numpy(), 2, axis=1)
    kl = np.mean(-log_sigma + (np.exp(2 * log_sigma) + mu**2 - 1) / 2)
    assert float(losses["discriminator_1"]) == pytest.approx(d_loss, rel=1e-4)
    g_loss = np.mean(np.logaddexp(0, -generated)) + 2.0 * kl
    assert float(losses["generator_1"]) == pytest.approx(g_loss, rel=1e-4)


def test_rates_are_halved_within_each_stage():
    def factors(halve_every, steps):
        course = SimpleNamespace(ends=(5, 15, 25), halve_every=halve_every)
        return [StackGAN.rate_factor(course, step) for step in steps]

    assert factors(4, (0, 4, 5, 8, 9, 13)) == [1, 1, 1, 1, 0.5, 0.25]
    assert factors(4, (15, 22, 23)) == [1, 1, 0.5]
    assert factors(0, (9, 19)) == [1, 1]


def train(model, stop, after_step=lambda: None):
    """Steps up to `stop`, by the function that `fit` calls."""
    for player in model.players.values():
        player.build()
    model.make_train_function(force=True)
    steps = range(int(model.steps_done), stop)
    data = iter([batch(seed=step) for step in steps])
    for _ in steps:
        model.train_function(data)
        after_step()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A step of the encoder and two of each stage: the checkpoints, and the state at the end."""
    folder, model, paths = tmp_path_factory.mktemp("whole"), small(), {}

    def save():
        at = int(model.steps_done)
        (folder / str(at)).mkdir()  # a folder keeps the last checkpoints alone
        paths[at] = checkpoint.save(folder / str(at), at, model)

    train(model, 5, save)
    return paths, values(state_variables(model))


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_resuming_is_exact_at_both_borders_and_within_the_stages(at, whole):
    paths, end = whole
    model = small()
    checkpoint.load(paths[at], model)
    assert int(model.steps_done) == at and model.ends == (1, 3, 5)
    train(model, 5)
    for one, other in zip(values(state_variables(model)), end, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_image_does_not_depend_on_others(model):
    t = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
    noise = Latent(model.latent.size).array_of_seed(0, 5)
    images, coarse = model.sampler([t, noise], training=False)
    one, one_coarse = model.sampler([t[2:3], noise[2:3]], training=False)
    np.testing.assert_allclose(images[2:3], one, atol=1e-5)
    np.testing.assert_allclose(coarse[2:3], one_coarse, atol=1e-5)


@pytest.mark.parametrize(("steps", "blocks"), [(0, True), (2, True), (3, False)])
def test_the_sample_grid_shows_stage_one_until_stage_two_is_trained(model, steps, blocks):
    """Images of Stage I consist of blocks of 4x4 pixels."""
    _, texts, _ = batch(8)
    example = SimpleNamespace(image=np.zeros((32, 32, 3), np.uint8), caption="a")
    examples = [SimpleNamespace(**vars(example), text=text) for text in texts.numpy()]
    data = SimpleNamespace(held_out_split="test", examples=lambda split, count: examples)
    model.steps_done.assign(steps)
    drawn = TextToImage(StackGAN).sample_grid(model, data)()
    image = drawn[-2 - 32 : -2, -2 - 32 : -2].astype(int)
    assert image.std() > 0
    differences = np.abs(image.reshape(8, 4, 8, 4, 3) - image[::4, ::4].reshape(8, 1, 8, 1, 3))
    assert (differences.max() == 0) == blocks
