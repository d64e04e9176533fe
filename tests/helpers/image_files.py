"""Small image files for tests."""

from common.images import image_file

import numpy as np


def noise(height, width, seed, channels=3):
    """An image of flat blocks: different everywhere, and no codec or filter makes it grey."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, channels), np.uint8)
    return image_file.resize(coarse, height, width)


def write_pairs(folder, count, side=20, first=0):
    """`count` side-by-side files; a and b of every pair differ from those of all others."""
    for number in range(first, first + count):
        both = np.concatenate([noise(side, side, [number, 0]), noise(side, side, [number, 1])], 1)
        image_file.write(folder / f"{number}.png", both)
    return folder


def truncate(path):
    path.write_bytes(path.read_bytes()[:60])
    return path
