"""Tiling leaves no visible seams, and none at all for a network with a small receptive field."""

from common.errors import UserError
from common.images import tiling
from common.images.tiling import Upscaler, blend_windows, crop_spans, cropped_bands, tile_starts

import keras
import numpy as np
import pytest


@pytest.mark.parametrize(
    ("side", "tile", "overlap", "step", "starts"),
    [
        (10, 16, 4, 1, [0]),
        (16, 16, 4, 1, [0]),
        (17, 16, 4, 1, [0, 1]),
        (40, 16, 4, 1, [0, 12, 24]),
        (41, 16, 4, 1, [0, 8, 16, 25]),
        (48, 16, 4, 8, [0, 8, 16, 24, 32]),
    ],
)
def test_tiles_are_evenly_spaced_from_border_to_border(side, tile, overlap, step, starts):
    assert tile_starts(side, tile, overlap, step) == starts


# Blended tiles.


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


def blended(*arguments, **options):
    """The bands of `blended_bands`, joined."""
    return np.concatenate([*tiling.blended_bands(*arguments, **options)])


class PointwiseGenerator:
    """A pointwise generator with two output channels that records the shapes of its inputs."""

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
def test_weights_are_a_partition_of_unity(side, tile, overlap, multiple):
    windows = blend_windows(side, tile, overlap, multiple)
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
def test_blending_is_exact_for_a_pointwise_generator(shape):
    image = random_image(*shape)
    generator = PointwiseGenerator()
    result = blended(generator, image, multiple=16, tile=64)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, PointwiseGenerator()(image[None])[0])
    assert len(set(generator.shapes)) == 1  # one shape, one trace
    assert all(side % 16 == 0 and side <= 64 for side in generator.shapes[0][1:3])


def test_a_small_image_is_padded_by_repeated_reflection():
    image = random_image(5, 20)
    seen = []
    blended(lambda batch: seen.append(batch) or batch, image, multiple=32, tile=64)
    there_and_back = [0, 1, 2, 3, 4, 3, 2, 1]
    assert seen[0].shape == (1, 32, 32, 3)
    np.testing.assert_array_equal(seen[0][0, :, :20], image[there_and_back * 4])


def test_an_image_of_any_size_fits_a_network_that_needs_multiples():
    generator = strict_unet()
    image = random_image(37, 21)
    with pytest.raises(Exception, match=r"(?i)shape"):
        generator(image[None])
    result = blended(generator, image, multiple=4)
    padded = generator(np.pad(image, [(0, 3), (0, 3), (0, 0)], "reflect")[None])
    assert result.shape == (37, 21, 1)
    np.testing.assert_array_equal(result, np.asarray(padded)[0, :37, :21])


def test_blended_tiles_of_a_small_receptive_field_equal_the_untiled_image():
    """The receptive field reaches less than 16 px; a quarter of the overlap is 16 px."""
    generator = strict_unet()
    image = random_image(500, 662)
    tiled = blended(generator, image, multiple=4, tile=256)
    untiled = blended(generator, image, multiple=4, tile=1024)
    np.testing.assert_allclose(tiled, untiled, rtol=0, atol=1e-5)


def test_brightness_that_differs_between_tiles_changes_no_faster_than_the_window():
    """A generator with statistics of its own per tile: the hardest case for seams."""
    ramp = np.linspace(-1, 1, 800, dtype=np.float32)
    image = np.broadcast_to(ramp[None, :, None], (600, 800, 1))
    tile, overlap = 256, 64
    means = []

    def generator(batch):
        means.append(batch.mean())
        return np.full_like(batch, batch.mean())

    result = blended(generator, image, multiple=1, tile=tile)
    step = np.diff(np.unique(np.round(means, 5))).max()  # between neighbouring tiles
    fade = overlap / 2  # a raised cosine over half of the overlap: slope at most pi / 2 / fade
    assert np.abs(np.diff(result, axis=1)).max() <= step * np.pi / 2 / fade * 1.001
    np.testing.assert_allclose(np.diff(result, axis=0), 0, atol=1e-6)


def test_progress_counts_the_tiles():
    seen = []
    image = random_image(100, 60)
    blended(PointwiseGenerator(), image, 1, 40, progress=lambda *done: seen.append(done))
    assert seen == [(i, 6) for i in range(1, 7)]


@pytest.mark.parametrize(
    ("shape", "options", "named"), [((0, 5), {}, "5x0"), ((9, 9), {"tile": 0}, "tile")]
)
def test_an_empty_image_or_tile_cannot_be_blended(shape, options, named):
    with pytest.raises(UserError, match=named):
        blended(PointwiseGenerator(), random_image(*shape), 4, **options)


# Cropped tiles.


def random_pixels(height, width, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


@pytest.fixture(scope="module")
def upscaler():
    """Sees two pixels of its input in each direction, zeros beyond the border."""
    keras.utils.set_random_seed(0)
    x = keras.Input((None, None, 3))
    h = keras.layers.Conv2D(8, 5, padding="same", activation="relu")(x)
    model = keras.Model(x, keras.layers.Conv2DTranspose(3, 2, 2)(h))
    return Upscaler(lambda batch: np.asarray(model(batch)) + 0.5, scale=2, halo=2)


@pytest.mark.parametrize("size", [(40, 53), (12, 13), (5, 60), (1, 1), (41, 12)])
@pytest.mark.parametrize("channels", [1, 3])
def test_cropped_tiles_equal_the_untiled_image(upscaler, size, channels):
    image = random_pixels(*size, channels)
    untiled, tiled = upscaler.upscale(image, 1000), upscaler.upscale(image, 12)
    assert tiled.shape == (2 * size[0], 2 * size[1], channels) and tiled.dtype == np.uint8
    assert np.abs(tiled.astype(int) - untiled).max() <= 1
    assert (tiled != untiled).mean() < 1e-3  # floats that were rounded differently


def test_a_halo_smaller_than_the_receptive_field_would_show(upscaler):
    image = random_pixels(40, 53)
    short = Upscaler(upscaler.call, 2, 1)
    assert (short.upscale(image, 12) != upscaler.upscale(image, 1000)).mean() > 0.01


def test_the_network_sees_single_tiles_and_the_bands_are_consecutive():
    seen, done = [], []

    def call(batch):
        seen.append(batch.shape)
        return np.repeat(np.repeat(batch, 3, 1), 3, 2)

    image = random_pixels(50, 33)
    rows = 0
    bands = cropped_bands(Upscaler(call, 3, 4), image, 16, lambda *d: done.append(d))
    for first, stop, band in bands:
        assert first == rows and stop - first <= 16
        np.testing.assert_array_equal(band[::3, ::3], image[first:stop])
        rows = stop
    assert rows == 50
    assert set(seen) == {(1, 16, 16, 3)}
    assert done == [(i, len(seen)) for i in range(1, len(seen) + 1)]


@pytest.mark.parametrize(
    ("side", "tile", "halo"), [(100, 16, 4), (17, 16, 7), (16, 16, 4), (3, 9, 4)]
)
def test_spans_cover_a_side_and_keep_no_pixel_within_the_halo(side, tile, halo):
    spans = crop_spans(side, tile, halo)
    assert [s.first for s in spans] == [0, *(s.stop for s in spans[:-1])]
    assert spans[-1].stop == side
    for s in spans:
        assert s.first - s.start >= halo or s.first == s.start == 0
        assert s.start + tile - s.stop >= halo or s.stop == side


@pytest.mark.parametrize(
    ("size", "tile", "message"), [((0, 4), 64, "4x0"), ((1, 1), 4, "--tile 4: give at least 5")]
)
def test_an_empty_image_or_a_tile_within_the_halo_is_refused(upscaler, size, tile, message):
    with pytest.raises(UserError, match=message):
        upscaler.upscale(np.zeros((*size, 3), np.uint8), tile)
