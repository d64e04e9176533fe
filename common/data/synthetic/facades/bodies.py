"""Bodies of the embedded facades: extent, storeys and bays, wall, roof, beams and orders.

Everything is drawn once per scene, in unit coordinates, from the odds of a style.
"""

from common.data.synthetic.facades.parts import Colour, Part
from common.data.synthetic.facades.styles import STYLES

import numpy as np

# Height of the roof or gable above the eaves, as a fraction of the image.
CROWN_HEIGHTS = {
    "flat": (0.02, 0.12), "mansard": (0.17, 0.26), "hip": (0.14, 0.22), "pediment": (0.16, 0.24),
    "gable": (0.28, 0.40), "steps": (0.26, 0.36), "bell": (0.24, 0.34),
}  # fmt: skip
GABLED = ("gable", "steps", "bell")
MIRRORED = {"rising": "falling", "falling": "rising"}


class Body:
    """A facade before its windows and doors: its dimensions, and its `parts` from back to front."""

    def __init__(self, rng: np.random.Generator):
        self.rng, self.parts = rng, []
        self.style = style = STYLES[str(rng.choice(list(STYLES)))]
        self.crown = str(rng.choice(style.crowns))
        self.wall, self.trim, self.frame, self.accent, self.cloth = (
            self._colour(choices)
            for choices in (style.walls, style.trims, style.frames, style.accents, style.accents)
        )
        self.stone = self._colour(style.walls if style.wall == style.base else ((0.7, 0.66, 0.6),))
        self.opening = str(rng.choice(style.openings))
        self.hood = str(rng.choice(["gable", "arch", "box"]))
        gabled = self.crown in GABLED
        margin = 0.22 if gabled else 0.12
        tight = self._chance(0.15 if gabled else 0.5)
        self.left, right = (0.0, 0.0) if tight else rng.uniform(0.02, margin, 2)
        self.right = 1 - right
        self.ground = rng.uniform(0.90, 0.97)
        self.top = rng.uniform(0.01, 0.05)
        self.eaves = self.top + rng.uniform(*CROWN_HEIGHTS[self.crown])
        if self.crown == "flat" and tight and self._chance(0.5):
            self.top, self.eaves = 0.0, 0.03
        shares = rng.uniform(0.86, 1.0) ** np.arange(rng.integers(*style.storeys, endpoint=True))
        shares[0] *= rng.uniform(1.1, 1.5)
        if gabled:
            shares = shares[:-1] if len(shares) > 2 else shares
        # Floors from the ground up: storey k is between floors[k] and floors[k + 1].
        rise = np.concatenate([[0], np.cumsum(shares)]) / shares.sum()
        self.floors = self.ground - rise * (self.ground - self.eaves)
        widths = np.ones(rng.integers(*style.bays, endpoint=True))
        self.middle = len(widths) // 2
        if self._chance(0.4):
            widths[self.middle] *= rng.uniform(1.1, 1.5)
        pier = rng.uniform(0.01, 0.05) * (self.right - self.left)
        inner = self.right - self.left - 2 * pier
        self.edges = (
            self.left + pier + inner * np.concatenate([[0], widths.cumsum()]) / widths.sum()
        )

    def _chance(self, odds: float) -> bool:
        return self.rng.random() < odds

    def _colour(self, choices: tuple[Colour, ...]) -> Colour:
        """One of the colours, a little lighter or darker and a little off in hue."""
        colour = np.array(choices[self.rng.integers(len(choices))])
        colour = colour * self.rng.uniform(0.92, 1.06) + self.rng.normal(0, 0.012, 3)
        return tuple(colour.clip(0, 1))

    def _add(self, label, material, box, colour, height=0.0, outline="box", rise=0.0):
        box = tuple(map(float, box))
        self.parts.append(Part(label, material, box, colour, height, outline, rise))

    def _build(self):
        """Adds all parts of the body."""
        style = self.style
        self._crown()
        self._add("wall", style.wall, (self.left, self.eaves, self.right, self.ground), self.wall)
        if style.base != style.wall or self._chance(0.3):
            base = style.base if style.base != "plaster" else "ashlar"
            box = (self.left, self.floors[1], self.right, self.ground)
            self._add("wall", base, box, self.stone, 0.002)
        if style.beams:
            self._beams()
        self._bands()
        if self._chance(style.pilasters):
            self._pilasters()

    def _crown(self):
        """The roof or gable over the eaves; roofs are background, edged by a molding."""
        left, right, top, eaves = self.left, self.right, self.top, self.eaves
        width, crown, edge = right - left, self.crown, 0.013
        if crown == "flat":
            return
        if crown in ("mansard", "hip"):
            slope = self.rng.uniform(*((0.05, 0.12) if crown == "mansard" else (0.25, 0.5)))
            roof, lead = self._colour((self.style.roof,)), self._colour(((0.42, 0.44, 0.46),))
            self._chimneys(top)
            self._add("molding", "lead", (left, top, right, eaves), lead, -0.008, "mansard", slope)
            box = (left + 0.6 * edge, top + 0.7 * edge, right - 0.6 * edge, eaves)
            self._add("background", self.style.tiles, box, roof, -0.010, "mansard", slope)
            self._dormers(slope * width / 2)
            return
        outline, rise = ("gable", 1.0) if crown in ("gable", "pediment") else (crown, 0.86)
        rim = "molding" if crown == "gable" else "cornice"
        self._add(rim, "rim", (left, top, right, eaves), self.trim, 0.014, outline, rise)
        box = (left + 1.6 * edge, top + 1.5 * edge, right - 1.6 * edge, eaves)
        self._add("wall", self.style.wall, box, self.wall, 0.0, outline, rise)
        centre, tall = (left + right) / 2, eaves - top
        if crown == "pediment":
            radius = 0.22 * tall
            middle = eaves - 0.38 * tall
            box = (centre - radius, middle - radius, centre + radius, middle + radius)
            self._add("deco", "relief", box, self.trim, 0.006, "round")
        elif self.style.beams:
            self._gable_beams(centre, tall)

    def _chimneys(self, top: float):
        for x in self.rng.uniform(self.left + 0.2, self.right - 0.2, self.rng.integers(0, 3)):
            wide, up = self.rng.uniform(0.03, 0.05), self.rng.uniform(0.02, 0.04)
            box = (x, max(top - up, 0.002), x + wide, top + 0.03)
            self._add("deco", "brick", box, (0.55, 0.36, 0.29), 0.0)

    def _dormers(self, slope: float):
        """Windows in the roof over the bays where it is high enough, each with its own gable."""
        tall, step = self.eaves - self.top, 1 + self._chance(0.4)
        outline = str(self.rng.choice(["gable", "arch"]))
        for bay in range(0, len(self.edges) - 1, step):
            middle = (self.edges[bay] + self.edges[bay + 1]) / 2
            wide = min(0.5 * (self.edges[bay + 1] - self.edges[bay]), 0.09) / 2
            if min(middle - self.left, self.right - middle) < 0.8 * slope + wide:
                continue
            top, sill = self.eaves - 0.72 * tall, self.eaves - 0.10 * tall
            house = (middle - wide - 0.012, top, middle + wide + 0.012, sill)
            self._add("molding", "stone", house, self.trim, 0.008)
            head = (middle - wide - 0.02, top - 0.032, middle + wide + 0.02, top + 0.004)
            self._add("deco", "stone", head, self.trim, 0.016, outline, 1.0)
            box = (middle - wide, top + 0.012, middle + wide, sill)
            self._add("window", "window", box, self.frame)

    def _gable_beams(self, centre: float, tall: float):
        """Collar beams, and posts from the lower one down to the eaves."""
        half = (self.right - self.left) / 2
        for share in (0.05, 0.47, 0.66):
            y, reach = self.eaves - share * tall, half * (1 - share) - 0.03
            box = (centre - reach, y - 0.011, centre + reach, y)
            self._add("molding", "timber", box, self.trim, 0.004)
        for x in np.linspace(centre - 0.5 * half, centre + 0.5 * half, 4):
            box = (x - 0.007, self.eaves - 0.47 * tall, x + 0.007, self.eaves)
            self._add("pillar", "timber", box, self.trim, 0.0035)

    def _beams(self):
        """Posts between the bays, rails at the floors and under the windows, braces outside."""
        thick, above = 0.0075, self.floors[1]
        for x in (self.left + thick, *self.edges[1:-1], self.right - thick):
            box = (x - thick, self.eaves, x + thick, above)
            self._add("pillar", "timber", box, self.trim, 0.0035)
        last = len(self.edges) - 2
        braced = (0, last) if self._chance(0.6) else range(last + 1)
        steep = str(self.rng.choice(["rising", "falling"]))
        for low, high in zip(self.floors[1:-1], self.floors[2:], strict=True):
            for bay in braced:
                start, end = self.edges[bay] + thick, self.edges[bay + 1] - thick
                reach = 0.30 * (end - start)
                for left, outline in ((start, steep), (end - reach, MIRRORED[steep])):
                    box = (left, high + 0.006, left + reach, low - 0.012)
                    self._add("deco", "timber", box, self.trim, 0.003, outline, 0.2)
            rail = low - 0.24 * (low - high)
            for top, bottom, height in (
                (low - 0.012, low + 0.006, 0.007),
                (rail, rail + 0.011, 0.004),
            ):
                self._add(
                    "molding", "timber", (self.left, top, self.right, bottom), self.trim, height
                )

    def _bands(self):
        """String courses at the floors, and the main cornice at the eaves."""
        left, right = self.left, self.right
        if self._chance(self.style.band):
            tall = self.rng.uniform(0.010, 0.018)
            for floor in self.floors[1:-1] if self._chance(0.6) else self.floors[1:2]:
                self._add("molding", "stone", (left, floor - tall, right, floor), self.trim, 0.007)
        if self.crown in GABLED:
            return
        tall = self.rng.uniform(0.018, 0.042)
        box = (left - 0.006, self.eaves - 0.3 * tall, right + 0.006, self.eaves + 0.7 * tall)
        self._add("cornice", "cornice", box, self.trim, self.rng.uniform(0.014, 0.028))

    def _pilasters(self):
        """A giant order: shafts between the bays, from the first floor (or the ground) up."""
        bottom = self.floors[1] if self._chance(0.7) else self.ground
        bay = self.edges[1] - self.edges[0]
        half = min(self.rng.uniform(0.010, 0.016), 0.16 * bay)
        axes = self.edges if self._chance(0.6) else self.edges[[0, -1]]
        for x in axes:
            x = np.clip(x, self.left + half, self.right - half)
            self._add(
                "pillar",
                "pillar",
                (x - half, self.eaves + 0.02, x + half, bottom),
                self.trim,
                0.011,
            )
