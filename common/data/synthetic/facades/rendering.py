"""Rendering of facades: the parts of a scene are painted into a surface, which is then lit.

Each part adds its albedo, height and gloss to the surface. The light is computed once, from the
surface's height field: every sill, reveal, balcony and cornice has a height, from which all cast
shadows, edge lights and ambient occlusion follow.
"""

from collections.abc import Callable
from dataclasses import dataclass

from common.data.synthetic.facades.materials import GLOSS, HEIGHT, PAINTERS, Setting, wall
from common.data.synthetic.facades.parts import Part, Patch

import numpy as np
from PIL import Image
from scipy import ndimage

DEEPEST_FALL = 0.045  # greatest difference of heights that casts shadows


@dataclass(frozen=True)
class Scene:
    """A facade: its parts from back to front, and its extent."""

    parts: list[Part]
    panes: tuple[int, int]  # columns and rows of a window's panes
    extent: tuple[float, float, float, float]  # left, eaves, right, ground of the building


def draw_photo(
    scene: Scene,
    rng: np.random.Generator,
    size: int,
    light_of: Callable[[np.random.Generator], "Light"] | None = None,
) -> np.ndarray:
    """Renders a photo, uint8 (size, size, 3), in daylight or another light.

    Draws the same numbers from `rng` at every size, and in every light that draws as `Light` does.
    """
    side = 2 * size
    light = (light_of or Light)(rng)
    setting = Setting(
        rng=rng,
        panes=scene.panes,
        sky=light.sky.mean(0)[:, None, None],
        stain=_stain(rng, side),
        table=rng.uniform(-1, 1, (64, 64)).astype(np.float32),
    )
    surface = np.empty((5, side, side), np.float32)
    _paint_sky(surface, light, noise(rng, 12, 5, side))
    for part in _surroundings(scene, rng) + scene.parts:
        _paint(surface, part, setting)
    grain = 1 + 0.04 * (1 - surface[GLOSS]) * noise(rng, 128, 128, side)
    image = light.on(surface) * grain
    image = image[:, 0::2] + image[:, 1::2]
    image = image[:, :, 0::2] + image[:, :, 1::2]  # (3, size, size), four samples a pixel
    image = np.clip(63.75 * image + 0.5, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(image.transpose(1, 2, 0))


def _stain(rng: np.random.Generator, side: int) -> np.ndarray:
    """Factor (side, side) on the albedo of walls: blotches, and streaks of rain in places."""
    blotches = noise(rng, 7, 7, side) + 0.7 * noise(rng, 45, 45, side)
    streaks = noise(rng, 7, 110, side) * np.clip(noise(rng, 6, 6, side) + 0.4, 0, 1.5)
    return 1 + 0.04 * blotches - 0.035 * streaks


def noise(rng: np.random.Generator, rows: int, columns: int, side: int) -> np.ndarray:
    """Smooth noise (side, side) of about unit variance, with `rows` x `columns` features."""
    lattice = rng.standard_normal((rows, columns), dtype=np.float32)
    return np.asarray(Image.fromarray(lattice).resize((side, side), Image.Resampling.BICUBIC))


def _paint_sky(surface: np.ndarray, light: "Light", clouds: np.ndarray):
    """Fills the surface with sky, which is neither lit by the sun nor shaded."""
    side = surface.shape[-1]
    y = ((np.arange(side, dtype=np.float32) + 0.5) / side)[:, None]
    zenith, horizon = light.sky[..., None, None]
    sky = zenith + (horizon - zenith) * np.clip(y / 0.6, 0, 1)
    surface[:3] = sky + 0.7 * np.clip(0.8 * clouds, 0, 1) * (0.95 - sky)
    surface[HEIGHT] = -DEEPEST_FALL
    surface[GLOSS] = 1


def _surroundings(scene: Scene, rng: np.random.Generator) -> list[Part]:
    """The blank walls of the neighbouring buildings, and the pavement in front."""
    left, eaves, right, ground = scene.extent
    roofline = eaves + 0.15 * (ground - eaves)
    parts = []
    for start, end in ((0.0, left), (right, 1.0)):
        tone = rng.uniform(0.35, 0.6)
        if end > start:
            box = (start, roofline, end, 1.0)
            colour = (1.05 * tone, tone, 0.93 * tone)
            parts.append(Part("background", "plaster", box, colour, -0.02))
    parts.append(Part("background", "paving", (0.0, ground, 1.0, 1.0), (0.52, 0.51, 0.49)))
    kerb = ground + 0.55 * (1 - ground)
    parts.append(Part("background", "plaster", (0.0, kerb, 1.0, 1.0), (0.33, 0.33, 0.34), -0.004))
    return parts


def _paint(surface: np.ndarray, part: Part, setting: Setting):
    """Blends a part into the surface."""
    patch = Patch(part, surface.shape[-1])
    if not patch.alpha.size:
        return
    layer = np.empty((5, *patch.alpha.shape), np.float32)
    layer[...] = np.reshape((*part.colour, part.height, 0), (5, 1, 1))
    alpha = patch.alpha
    visible = PAINTERS.get(part.material, wall)(part, patch, layer, setting)
    if visible is not None:
        alpha = alpha * visible
    below = surface[(slice(None), *patch.window)]
    layer -= below
    layer *= alpha
    below += layer


class Light:
    """Sun and sky of one scene."""

    def __init__(self, rng: np.random.Generator):
        overcast = rng.random() < 0.25
        warmth = rng.uniform(0, 1) ** 2 * (1 - 0.8 * overcast)
        # Run of a shadow to the side and down, for a unit of height.
        self.run = rng.choice([-1, 1]) * rng.uniform(0.4, 1.0), rng.uniform(0.6, 1.3)
        strength = 0.16 if overcast else rng.uniform(0.48, 0.62)
        self.sun = strength * np.float32([1.06 + 0.10 * warmth, 1.0, 0.92 - 0.22 * warmth])
        self.ambient = (1.04 - strength) * np.float32([0.96, 0.995, 1.045])
        self.sky = np.float32([[0.36, 0.56, 0.86], [0.78, 0.86, 0.94]])  # zenith, horizon
        if overcast:
            self.sky = np.float32([[0.68, 0.72, 0.77], [0.88, 0.89, 0.90]])
        self.sky[1] += warmth * np.float32([0.16, 0.0, -0.20])

    def on(self, surface: np.ndarray) -> np.ndarray:
        """The lit surface (3, side, side), in [0, 1] but for highlights."""
        height, gloss = surface[HEIGHT], surface[GLOSS]
        side = len(height)
        down = np.linspace(1.06, 0.88, side, dtype=np.float32)[:, None]  # streets are dim below
        hollow = ndimage.uniform_filter(height, side // 32 + 1, mode="nearest") - height
        ambient = (1 - np.clip(22 * hollow, -0.06, 0.45)) * down
        direct = self._sunlit(height) * (1 + self._relief(height))
        light = ambient * self.ambient[:, None, None] + direct * self.sun[:, None, None]
        # Glass shows a reflection, which is not lit; a part of each shadow still shows on it.
        light += gloss * (0.8 + 0.2 * light - light)
        light[:, height <= -DEEPEST_FALL] = 1  # the sky shines itself
        return surface[:3] * light

    def _sunlit(self, height: np.ndarray) -> np.ndarray:
        """Share of the sun that reaches each point (side, side): a march towards the sun."""
        side = len(height)
        reach = DEEPEST_FALL * max(abs(self.run[0]), self.run[1]) * side
        margin = int(reach) + 1
        padded = np.pad(height, margin, mode="edge")
        clearance = np.full_like(height, -1)
        for t in np.linspace(0, 1, int(np.clip(reach / 1.5, 4, 18)) + 1)[1:]:
            dx = margin - round(t * DEEPEST_FALL * self.run[0] * side)
            dy = margin - round(t * DEEPEST_FALL * self.run[1] * side)
            blocker = padded[dy : dy + side, dx : dx + side] - np.float32(t * DEEPEST_FALL)
            np.maximum(clearance, blocker, out=clearance)
        return 1 - np.clip((clearance - height) / 0.0030, 0, 1)

    def _relief(self, height: np.ndarray) -> np.ndarray:
        """Relative gain of light where the surface turns to the sun (side, side), in +-0.3."""
        side = len(height)
        slope = np.zeros_like(height)
        slope[:, 1:-1] += self.run[0] * (height[:, 2:] - height[:, :-2])
        slope[1:-1] += self.run[1] * (height[2:] - height[:-2])
        return np.clip(0.12 * side * slope, -0.3, 0.3)
