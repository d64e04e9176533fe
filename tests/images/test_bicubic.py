"""MATLAB's bicubic, compared with a slow implementation of its documentation."""

from common.images import bicubic

import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)


def random_image(height, width, channels=3):
    return RANDOM.integers(0, 256, (height, width, channels), np.uint8)


def imresize_along_columns(line, length):
    """One axis of MATLAB's imresize, pixel by pixel, in 1-based coordinates like MATLAB's."""
    source, scale = len(line), length / len(line)
    width = 4 / scale if scale < 1 else 4.0
    out = np.zeros((length, *line.shape[1:]))
    for x in range(1, length + 1):
        u = x / scale + 0.5 * (1 - 1 / scale)
        left = int(np.floor(u - width / 2))
        total = 0.0
        for index in range(left, left + int(np.ceil(width)) + 2):
            distance = abs((u - index) * (scale if scale < 1 else 1))
            if distance <= 1:
                weight = (1.5 * distance - 2.5) * distance**2 + 1
            elif distance <= 2:
                weight = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
            else:
                continue
            mirror = [*range(source), *reversed(range(source))]
            out[x - 1] += weight * line[mirror[(index - 1) % (2 * source)]]
            total += weight
        out[x - 1] /= total
    return out


def imresize(image, height, width):
    rows = imresize_along_columns(image.astype(float), height)
    both = imresize_along_columns(rows.swapaxes(0, 1), width).swapaxes(0, 1)
    return np.clip(np.floor(both + 0.5), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ((32, 24), (8, 6)),
        ((8, 6), (32, 24)),
        ((10, 14), (5, 7)),
        ((7, 5), (14, 10)),
        ((4, 4), (1, 1)),  # the kernel is wider than the image
        ((1, 3), (4, 12)),
        ((23, 17), (11, 31)),
    ],
)
def test_resize_equals_matlabs_imresize(source, target):
    image = random_image(*source)
    ours, plain = bicubic.resize(image, *target), imresize(image, *target)
    assert ours.dtype == np.uint8 and ours.shape == (*target, 3)
    assert np.abs(ours.astype(int) - plain).max() <= 1  # float32 rounding between two levels
    assert (ours != plain).mean() < 0.01


def test_away_from_the_border_it_equals_tensorflow_with_antialiasing():
    image = random_image(64, 96)
    theirs = tf.image.resize(image.astype("float32"), (16, 24), "bicubic", antialias=True)
    ours = bicubic.shrink(image, 4).astype(float)
    inside = np.s_[2:-2, 2:-2]
    assert np.abs(ours[inside] - np.clip(theirs.numpy(), 0, 255)[inside]).max() <= 0.501


def test_downscaling_antialiases():
    stripes = np.zeros((16, 64, 1), np.uint8)
    stripes[:, ::2] = 200
    assert np.all(np.abs(bicubic.shrink(stripes, 4)[:, 2:-2].astype(int) - 100) <= 2)


def test_constant_images_stay_constant_and_factors_must_divide():
    flat = np.full((9, 5, 1), 77, np.uint8)
    assert (bicubic.enlarge(flat, 4) == 77).all() and bicubic.enlarge(flat, 4).shape == (36, 20, 1)
    with pytest.raises(ValueError, match="5x9 px is not a multiple of 3"):
        bicubic.shrink(flat, 3)
