"""Materials of a facade: albedo, height and gloss of each part in detail.

Every painter has the signature `painter(part, patch, layer, setting)`. It modifies `layer` (5, h,
w) in place, which is filled with the part's colour and height, and may return the fraction of each
pixel that the part covers (a railing is see-through).
"""

from dataclasses import dataclass

from common.data.synthetic.facades.parts import Part, Patch, stripes

import numpy as np

HEIGHT, GLOSS = 3, 4  # channels of a layer, after its RGB albedo


def colour(red: float, green: float, blue: float) -> np.ndarray:
    """A colour (3, 1, 1) that broadcasts over layers, whose channels come first."""
    return np.array([red, green, blue], np.float32)[:, None, None]


GLASS = colour(0.11, 0.14, 0.17)
GLASS_GLOSS = 0.75
LAMPLIGHT = colour(1.0, 0.82, 0.50)

# Course height, block length, joint width, spread of the blocks' tones, tone of the joints.
MASONRY = {
    "brick": (0.0125, 0.034, 0.0020, 0.13, 1.30),
    "ashlar": (0.036, 0.085, 0.0030, 0.05, 0.70),
    "concrete": (0.110, 0.190, 0.0028, 0.035, 0.72),
    "tiles": (0.0150, 0.016, 0.0030, 0.14, 0.62),
    "slate": (0.0130, 0.022, 0.0018, 0.10, 0.75),
    "paving": (0.0300, 0.070, 0.0020, 0.06, 0.75),
}


@dataclass(frozen=True)
class Setting:
    """What the materials of a scene have in common."""

    rng: np.random.Generator
    panes: tuple[int, int]  # columns and rows of a window's panes
    sky: np.ndarray  # (3, 1, 1) the colour that glass reflects
    stain: np.ndarray  # (side, side) about 1, blotches and streaks of rain
    table: np.ndarray  # (64, 64) in [-1, 1], tones of single stones


def wall(part: Part, patch: Patch, layer, setting: Setting):
    """Masonry in courses, or plain plaster; stained by blotches and by streaks of rain."""
    layer[:3] *= setting.stain[patch.window]
    if part.material not in MASONRY:
        return
    course, length, joint, spread, joint_tone = MASONRY[part.material]
    row = np.floor(patch.y / course).astype(int)  # (h, 1)
    shift = row % 2 * (length / 2)
    block = np.floor((patch.x + shift) / length).astype(int)
    layer[:3] *= 1 + spread * setting.table[row % 64, block % 64]
    beds = patch.stripes(patch.y, course, joint)
    upright = np.stack(
        [stripes(patch.x + offset, length, joint, patch.pixel) for offset in (0, length / 2)]
    )
    joints = np.maximum(beds, upright[row[:, 0] % 2])
    base = layer[:3].mean(0) if part.material == "brick" else layer[:3]
    layer[:3] += joints * (base * joint_tone - layer[:3])
    layer[HEIGHT] -= 0.0012 * joints


def window(part: Part, patch: Patch, layer, setting: Setting):
    """Casements in a deep reveal: dark glass that mirrors the sky, sometimes with curtains."""
    columns, rows = setting.panes
    if patch.width > 2.2 * patch.height:
        columns *= 3
    bar, border = 0.0032, 0.0060
    pitch_x, pitch_y = patch.width / columns, patch.height / rows
    bars_x = patch.stripes(patch.x, pitch_x, bar, -bar / 2)
    bars_y = patch.stripes(patch.y, pitch_y, bar, -bar / 2)
    half_x, half_y = patch.width / 2, patch.height / 2
    clear_x = (1 - bars_x) * (np.abs(patch.x - half_x) < half_x - border)
    clear_y = (1 - bars_y) * (np.abs(patch.y - half_y) < half_y - border)
    clear = clear_x * clear_y
    layer[:3] += clear * (_glass(patch, setting) - layer[:3])
    layer[GLOSS] = GLASS_GLOSS * clear
    layer[HEIGHT] += 0.003 * (1 - clear)


def _glass(patch: Patch, setting: Setting) -> np.ndarray:
    """Colour (3, h, w) of a window's glass: the reflected sky over the room behind it."""
    curtain, mirror, tilt, drawn, lamp = setting.rng.random(5).tolist()
    s, v = 2 * patch.u - 1, patch.v
    inside = GLASS
    if curtain < 0.35:
        folds = 0.40 * (np.abs(s) > 0.35 + 0.5 * drawn) * (0.9 + 0.1 * np.sin(patch.u * 55))
        inside = inside + folds * (1 - 0.4 * v)
    elif curtain < 0.5:
        inside = inside + 0.38 * (v < 0.2 + 0.5 * drawn)
    if lamp < 0.06:
        inside = inside + 0.35 * LAMPLIGHT * (1 - 0.6 * v)
    slant = np.minimum(np.maximum(1.1 - 1.1 * patch.v + 0.5 * (tilt - 0.5) * s, 0), 1)
    reflection = (0.10 + 0.42 * mirror) * slant + 0.05
    return inside + reflection * (setting.sky - inside)


def door(part: Part, patch: Patch, layer, setting: Setting):
    """Two leaves with sunk panels under a transom light."""
    leaf, panel = patch.width / 2, patch.height / 3.6
    below_light = patch.v > 0.24
    sunk_x = 1 - patch.stripes(patch.x, leaf, 0.32 * leaf, -0.16 * leaf)
    sunk_y = 1 - patch.stripes(patch.y, panel, 0.28 * panel, -0.14 * panel)
    sunk = sunk_x * sunk_y
    gap = patch.stripes(patch.x, leaf, 0.0025, -0.00125)
    layer[:3] *= 1 - 0.22 * sunk - 0.55 * gap * below_light
    layer[HEIGHT] -= 0.002 * sunk
    glass = _glass(patch, setting)
    light = (patch.v < 0.20) & (patch.x > 0.006) & (patch.x < patch.width - 0.006)
    layer[:3] += light * (glass - layer[:3])
    layer[GLOSS] = light * GLASS_GLOSS


def shop(part: Part, patch: Patch, layer, setting: Setting):
    """A sign with lettering, panes with goods in warm light behind them, and a riser below."""
    sign, riser = patch.v < 0.20, patch.v > 0.86
    posts = patch.stripes(patch.x, patch.width / 3, 0.007, -0.0035)
    goods = setting.rng.random((5, 24)).astype(np.float32)
    shelf = goods[(patch.v * 5).astype(int).clip(0, 4), (patch.u * 24).astype(int).clip(0, 23)]
    glow = np.clip(1.2 - np.abs(patch.v - 0.4) * 1.6, 0, 1)
    inside = GLASS + (glow * (0.15 + 0.30 * shelf * (patch.v > 0.5))) * LAMPLIGHT
    inside += (0.22 * np.clip(1 - 1.6 * patch.v, 0, 1)) * setting.sky
    glazed = ~sign & ~riser & (posts < 0.5)
    letters = (setting.rng.random(30) < 0.62).astype(np.float32)
    lettering = letters[(patch.u * 30).astype(int).clip(0, 29)] * (np.abs(patch.u - 0.5) < 0.34)
    lettering = lettering * (np.abs(patch.v - 0.10) < 0.045)
    layer[:3] += lettering * (colour(0.95, 0.88, 0.66) - layer[:3])
    layer[:3] += glazed * (inside - layer[:3])
    layer[HEIGHT] += np.where(glazed, -0.008, 0.006 * sign)
    layer[GLOSS] = 0.8 * glazed


def shutter(part: Part, patch: Patch, layer, setting: Setting):
    """A louvred leaf in its frame."""
    slats = patch.stripes(patch.y, 0.0085, 0.0035)
    rim = np.minimum(patch.x, patch.width - patch.x) < 0.0035
    layer[:3] *= 1 - 0.42 * slats * ~rim


def awning(part: Part, patch: Patch, layer, setting: Setting):
    """Striped cloth that comes forward as it goes down."""
    pale = patch.stripes(patch.x, 0.036, 0.018)
    fall = 1.08 - 0.20 * patch.v
    layer[:3] += pale * (colour(0.93, 0.91, 0.86) - layer[:3])
    layer[:3] *= fall
    layer[HEIGHT] *= 0.25 + 0.75 * patch.v


def railing(part: Part, patch: Patch, layer, setting: Setting):
    """A wrought-iron railing in front of the window, on a slab."""
    bars = patch.stripes(patch.x, 0.0088, 0.0026)
    ring = np.abs(patch.v - 0.42) < 0.09
    rails = (patch.y < 0.0042) | (np.abs(patch.v - 0.20) < 0.03)
    slab = patch.y > patch.height - 0.011
    layer[:3] += slab * (colour(0.70, 0.68, 0.64) - layer[:3])
    lattice = np.maximum(np.clip(bars * (1 + 0.8 * ring), 0, 1), rails)
    layer[HEIGHT] *= np.where(slab, 1, 0.5)
    return np.maximum(lattice, slab)


def balustrade(part: Part, patch: Patch, layer, setting: Setting):
    """Stone balusters, wider in the middle, between a handrail and a slab."""
    belly = 0.0052 + 0.0034 * np.sin(np.pi * np.clip(patch.v, 0, 1)) ** 2
    distance = np.abs(np.mod(patch.x, 0.014) - 0.007)
    baluster = np.clip((belly - distance) / patch.pixel + 0.5, 0, 1)
    solid = (patch.v < 0.2) | (patch.v > 0.78)
    layer[:3] *= 1 - 0.25 * (1 - solid) * (distance > 0.003)
    layer[HEIGHT] *= np.where(solid, 1, 0.6)
    return np.maximum(baluster, solid)


def pane(part: Part, patch: Patch, layer, setting: Setting):
    """A balcony of clear glass with a steel handrail on a slab."""
    solid = (patch.y < 0.005) | (patch.y > patch.height - 0.013)
    tint = setting.sky * 0.55 + 0.12
    layer[:3] = np.where(solid, layer[:3], tint)
    layer[GLOSS] = np.where(solid, 0, 0.5)
    layer[HEIGHT] *= np.where(solid, 1, 0.35)
    return np.where(solid, 1, 0.55)


def cornice(part: Part, patch: Patch, layer, setting: Setting):
    """A moulding that steps forward as it goes up, over a row of dentils where it is tall."""
    layer[HEIGHT] *= 1 - 0.75 * np.floor(patch.v * 3) / 3
    if patch.height > 0.02:
        dentils = patch.stripes(patch.x, 0.013, 0.006) * (patch.v > 0.62)
        layer[:3] *= 1 - 0.30 * dentils


def pillar(part: Part, patch: Patch, layer, setting: Setting):
    """A round shaft with flutes where it is wide enough, between a base and a capital."""
    ends = (patch.y < patch.width * 0.55) | (patch.y > patch.height - patch.width * 0.45)
    bulge = np.sqrt(np.clip(1 - (2 * patch.u - 1) ** 2, 0, 1))
    layer[HEIGHT] *= np.where(ends, 1.15, 0.35 + 0.65 * bulge)
    if patch.width > 0.016:
        flutes = patch.stripes(patch.x, patch.width / 5, 0.35 * patch.width / 5)
        layer[:3] *= np.where(ends, 1.04, 1 - 0.22 * flutes)


def relief(part: Part, patch: Patch, layer, setting: Setting):
    """Carved stone: a sunk field with an ornament mirrored about the middle."""
    edge = np.minimum(np.minimum(patch.u, 1 - patch.u), np.minimum(patch.v, 1 - patch.v))
    field = np.clip((edge - 0.10) * 12, 0, 1)
    k, m = setting.rng.integers(2, 5, 2)
    across = np.abs(2 * patch.u - 1)
    ornament = np.sin(k * 3.1 * across + 4 * patch.v) * np.sin(m * 3.1 * patch.v + 2.5 * across)
    layer[:3] *= 1 - 0.16 * field + 0.10 * field * ornament
    layer[HEIGHT] += 0.003 * field * (ornament - 0.6)


def timber(part: Part, patch: Patch, layer, setting: Setting):
    """A beam: grain along its length."""
    along, across = (patch.x, patch.y) if patch.width > patch.height else (patch.y, patch.x)
    layer[:3] *= 1 + 0.12 * np.sin(across * 2400 + 6 * np.sin(along * 40))


PAINTERS = {
    painter.__name__: painter
    for painter in (
        window, door, shop, shutter, awning, railing, balustrade, pane, cornice, pillar, relief,
        timber,
    )
}  # fmt: skip
