"""Small image files for tests."""

from common.images import image_file

import numpy as np


def noise(height, width, seed, channels=3):
    """An image of random flat blocks, which survive codecs and filters."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, channels), np.uint8)
    return image_file.resize(coarse, height, width)


def write_pairs(folder, count, side=20, first=0):
    """Writes `count` files with two images side by side, all of them different."""
    for number in range(first, first + count):
        both = np.concatenate([noise(side, side, [number, 0]), noise(side, side, [number, 1])], 1)
        image_file.write(folder / f"{number}.png", both)
    return folder


def truncate(path):
    path.write_bytes(path.read_bytes()[:60])
    return path
