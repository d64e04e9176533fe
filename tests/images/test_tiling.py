"""Tiles must not be seen in the image that they were made of."""

from common.errors import UserError
from common.images import tiling
from common.images.tiling import tile_windows

import keras
import numpy as np
import pytest


def random_image(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (height, width, channels)).astype(np.float32)


def strict_unet(kernel_size=4):
    """Two strided levels: sides must be multiples of 4, and only shifts by 4 are equivariant."""
    keras.utils.set_random_seed(3)
    x = inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(8, kernel_size, 2, "same", activation="relu")(x)
    skip = x
    x = keras.layers.Conv2D(8, kernel_size, 2, "same", activation="relu")(x)
    x = keras.layers.Conv2DTranspose(8, kernel_size, 2, "same", activation="relu")(x)
    x = keras.layers.Concatenate()([x, skip])
    outputs = keras.layers.Conv2DTranspose(1, kernel_size, 2, "same", activation="tanh")(x)
    model = keras.Model(inputs, outputs)
    return lambda batch: model(batch, training=False)


def translate(*arguments, **options):
    """The bands joined."""
    return np.concatenate([*tiling.translate(*arguments, **options)])


class Recorder:
    """A pointwise generator with two output channels that notes what it was given."""

    def __init__(self):
        self.shapes = []

    def __call__(self, batch):
        assert batch.dtype == np.float32
        self.shapes.append(batch.shape)
        return np.stack([batch.sum(-1), batch[..., 0] ** 2], -1)


@pytest.mark.parametrize(
    ("side", "tile", "overlap", "multiple"),
    [
        (512, 512, 128, 256),
        (768, 512, 128, 256),
        (4096, 512, 128, 256),
        (544, 128, 31, 32),
        (544, 128, 64, 4),  # three tiles over one pixel
        (300, 100, 0, 1),
        (1280, 256, 64, 256),  # a tile of one multiple cannot be aligned
        (9, 2, 1, 1),
    ],
)
def test_the_weights_are_a_partition_of_unity(side, tile, overlap, multiple):
    windows = tile_windows(side, tile, overlap, multiple)
    starts = [start for start, _ in windows]
    total = np.zeros(side)
    for start, weights in windows:
        assert len(weights) == tile and weights.min() >= 0 and weights.max() <= 1
        total[start : start + tile] += weights
    np.testing.assert_allclose(total, 1, rtol=0, atol=1e-12)
    assert starts[0] == 0 and starts[-1] == side - tile
    assert all(0 < gap <= tile - overlap for gap in np.diff(starts))
    if tile > multiple:
        assert not np.any(np.array(starts) % multiple)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (5, 700), (64, 64), (203, 131), (130, 1)])
def test_a_pointwise_generator_gives_exactly_what_it_gives_untiled(shape):
    image = random_image(*shape)
    generator = Recorder()
    result = translate(generator, image, multiple=16, tile=64)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, Recorder()(image[None])[0])
    assert len(set(generator.shapes)) == 1  # one shape, one trace
    assert all(side % 16 == 0 and side <= 64 for side in generator.shapes[0][1:3])


def test_a_small_image_is_padded_by_repeated_reflection():
    image = random_image(5, 20)
    seen = []
    translate(lambda batch: seen.append(batch) or batch, image, multiple=32, tile=64)
    there_and_back = [0, 1, 2, 3, 4, 3, 2, 1]
    assert seen[0].shape == (1, 32, 32, 3)
    np.testing.assert_array_equal(seen[0][0, :, :20], image[there_and_back * 4])


def test_a_network_that_fails_on_other_sides_takes_any_image():
    generator = strict_unet()
    image = random_image(37, 21)
    with pytest.raises(Exception, match=r"(?i)shape"):
        generator(image[None])
    result = translate(generator, image, multiple=4)
    whole = generator(np.pad(image, [(0, 3), (0, 3), (0, 0)], "reflect")[None])
    assert result.shape == (37, 21, 1)
    np.testing.assert_array_equal(result, np.asarray(whole)[0, :37, :21])


def test_tiles_of_a_local_network_leave_no_trace():
    """Each output pixel sees fewer than 16 px around it; a quarter of the overlap is 16 px."""
    generator = strict_unet()
    image = random_image(500, 662)
    tiled = translate(generator, image, multiple=4, tile=256)
    whole = translate(generator, image, multiple=4, tile=1024)
    np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-5)


def test_brightness_that_depends_on_the_tile_changes_no_faster_than_the_window():
    """A generator with statistics of its own per tile: the hardest case for seams."""
    ramp = np.linspace(-1, 1, 800, dtype=np.float32)
    image = np.broadcast_to(ramp[None, :, None], (600, 800, 1))
    tile, overlap = 256, 64
    means = []

    def generator(batch):
        means.append(batch.mean())
        return np.full_like(batch, batch.mean())

    result = translate(generator, image, multiple=1, tile=tile)
    step = np.diff(np.unique(np.round(means, 5))).max()  # between neighbouring tiles
    fade = overlap / 2  # a raised cosine over half of the overlap: slope at most pi / 2 / fade
    assert np.abs(np.diff(result, axis=1)).max() <= step * np.pi / 2 / fade * 1.001
    np.testing.assert_allclose(np.diff(result, axis=0), 0, atol=1e-6)


def test_progress_counts_the_tiles():
    seen = []
    image = random_image(100, 60)
    translate(Recorder(), image, 1, 40, progress=lambda *done: seen.append(done))
    assert seen == [(i, 6) for i in range(1, 7)]


@pytest.mark.parametrize(
    ("shape", "options", "named"), [((0, 5), {}, "5x0"), ((9, 9), {"tile": 0}, "tile")]
)
def test_what_cannot_be_done_is_refused_by_name(shape, options, named):
    with pytest.raises(UserError, match=named):
        translate(Recorder(), random_image(*shape), 4, **options)
