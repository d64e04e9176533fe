"""Generated textures with edges, lines and grain: the embedded dataset for super-resolution.

`texture(seed, index, size)` is a pure function. Four kinds alternate: leaves (overlapping shapes
whose sizes are distributed as in photographs), ground (lit noise of all scales), weave (two warped
gratings) and facades.
"""

from common.data.synthetic.facades import facade
from common.data.synthetic.facades.rendering import noise

import numpy as np
from PIL import Image, ImageDraw

SMALLEST = 16


def texture(seed: int, index: int, size: int) -> np.ndarray:
    """The image `index` of a seed: uint8 (size, size, 3).

    Raises:
        ValueError: `size` is less than 16.
    """
    if size < SMALLEST:
        raise ValueError(f"size must be at least {SMALLEST} pixels, not {size}")
    if index % 4 == 3:
        return facade(seed, index, size)[0]
    rng = np.random.default_rng([seed, 3, index])
    image = (_leaves, _ground, _weave)[index % 4](rng, 2 * size)
    grain = rng.normal(0, rng.uniform(0, 5), (size, size, 1))
    halved = image.reshape(size, 2, size, 2, 3).mean((1, 3))  # four samples a pixel
    return np.clip(np.rint(halved + grain), 0, 255).astype(np.uint8)


def _leaves(rng: np.random.Generator, side: int) -> np.ndarray:
    """Overlapping discs and polygons, float (side, side, 3) in 0 to 255.

    The density of radii falls with their third power (Lee, Mumford and Huang 2001).
    """
    image = Image.fromarray(_ground(rng, side).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    smallest, largest = side / 128, side / 4
    for _ in range(400):
        share = rng.random() * (1 - (smallest / largest) ** 2)
        radius = smallest / np.sqrt(1 - share)
        centre = rng.uniform(0, side, 2)
        colour = tuple(int(level) for level in rng.integers(10, 246, 3))
        if rng.random() < 0.4:
            draw.ellipse([*(centre - radius), *(centre + radius)], fill=colour)
            continue
        corners = rng.integers(3, 7)
        angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
        shape = centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        draw.polygon([tuple(corner) for corner in shape], fill=colour)
    return np.asarray(image, np.float32)


def _ground(rng: np.random.Generator, side: int) -> np.ndarray:
    """A height field of all scales, in two colours, lit from one side; shape as `_leaves`."""
    height = sum(noise(rng, 4 * 2**k, 4 * 2**k, side) / 2**k for k in range(6))
    slope = np.diff(height, axis=1, prepend=height[:, :1]) * side / 16
    dark, light = rng.uniform(10, 150, 3), rng.uniform(90, 250, 3)
    mix = 1 / (1 + np.exp(-rng.uniform(0.5, 3) * height))[..., None]
    return np.clip((dark + (light - dark) * mix) * (1 + 0.3 * np.tanh(slope))[..., None], 0, 255)


def _weave(rng: np.random.Generator, side: int) -> np.ndarray:
    """Two gratings, warped by smooth noise, each in two colours; shape as `_leaves`."""
    y, x = np.mgrid[:side, :side] / side
    shades = []
    for _ in range(2):
        angle, count = rng.uniform(0, np.pi), rng.uniform(3, side / 12)
        bent = rng.uniform(0, 0.6) * noise(rng, 5, 5, side) / count
        phase = 2 * np.pi * count * (x * np.cos(angle) + y * np.sin(angle) + bent)
        sharpness = rng.uniform(1, 8)
        shades.append(0.5 + 0.5 * np.tanh(sharpness * np.sin(phase)) / np.tanh(sharpness))
    first, second = (shade[..., None] for shade in shades)
    a, b, c = rng.uniform(10, 246, (3, 3))
    return (a * first + b * (1 - first)) * (1 - 0.5 * second) + 0.5 * c * second
