"""Tiles of a local network, cut at their halos, are what the network says of the whole image."""

from common.errors import UserError
from common.images.bands import Upscaler, bands, spans

import keras
import numpy as np
import pytest


def image(height, width, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


@pytest.fixture(scope="module")
def network():
    """Sees two pixels around each of its input, of which zeros lie beyond the border."""
    keras.utils.set_random_seed(0)
    x = keras.Input((None, None, 3))
    h = keras.layers.Conv2D(8, 5, padding="same", activation="relu")(x)
    model = keras.Model(x, keras.layers.Conv2DTranspose(3, 2, 2)(h))
    return Upscaler(lambda batch: np.asarray(model(batch)) + 0.5, scale=2, halo=2)


@pytest.mark.parametrize("size", [(40, 53), (12, 13), (5, 60), (1, 1), (41, 12)])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_are_the_whole(network, size, channels):
    shown = image(*size, channels)
    whole, tiled = network.whole(shown, 1000), network.whole(shown, 12)
    assert tiled.shape == (2 * size[0], 2 * size[1], channels) and tiled.dtype == np.uint8
    assert np.abs(tiled.astype(int) - whole).max() <= 1
    assert (tiled != whole).mean() < 1e-3  # of floats that were rounded otherwise


def test_less_halo_than_the_network_sees_would_show(network):
    shown = image(40, 53)
    short = Upscaler(network.call, 2, 1)
    assert (short.whole(shown, 12) != network.whole(shown, 1000)).mean() > 0.01


def test_the_network_never_sees_more_than_a_tile_and_bands_follow_each_other():
    seen, done = [], []

    def call(batch):
        seen.append(batch.shape)
        return np.repeat(np.repeat(batch, 3, 1), 3, 2)

    shown = image(50, 33)
    rows = 0
    for first, stop, band in bands(Upscaler(call, 3, 4), shown, 16, lambda *d: done.append(d)):
        assert first == rows and stop - first <= 16
        np.testing.assert_array_equal(band[::3, ::3], shown[first:stop])
        rows = stop
    assert rows == 50
    assert set(seen) == {(1, 16, 16, 3)}
    assert done == [(i, len(seen)) for i in range(1, len(seen) + 1)]


@pytest.mark.parametrize(
    ("side", "tile", "halo"), [(100, 16, 4), (17, 16, 7), (16, 16, 4), (3, 9, 4)]
)
def test_spans_cover_a_side_and_keep_no_pixel_within_the_halo(side, tile, halo):
    found = spans(side, tile, halo)
    assert [s.first for s in found] == [0, *(s.stop for s in found[:-1])]
    assert found[-1].stop == side
    for s in found:
        assert s.first - s.start >= halo or s.first == s.start == 0
        assert s.start + tile - s.stop >= halo or s.stop == side


@pytest.mark.parametrize(("size", "tile", "said"), [((0, 4), 64, "4x0"), ((9, 9), 4, "--tile 4")])
def test_what_cannot_be_done_is_refused(network, size, tile, said):
    with pytest.raises(UserError, match=said):
        network.whole(image(1, 1) if size == (9, 9) else np.zeros((*size, 3), np.uint8), tile)
