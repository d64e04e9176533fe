"""Layouts of the embedded facades: the openings in a body, and their ornaments."""

from common.data.synthetic.facades.bodies import GABLED, Body
from common.data.synthetic.facades.rendering import Scene

import numpy as np


class Layout(Body):
    """A complete facade, drawn from `rng`."""

    def __init__(self, rng: np.random.Generator):
        super().__init__(rng)
        self._build()
        for storey in range(1, len(self.floors) - 1):
            self._storey(storey)
        if self.crown in GABLED:
            self._gable_openings()
        self._ground_floor()

    def scene(self) -> Scene:
        """The facade's parts and surroundings."""
        panes = self.style.panes[self.rng.integers(len(self.style.panes))]
        return Scene(self.parts, panes, (self.left, self.eaves, self.right, self.ground))

    def _storey(self, storey: int):
        """Openings of one upper storey; the first is the noble one, the last may be an attic."""
        style, rng = self.style, self.rng
        low, high = self.floors[storey], self.floors[storey + 1]
        if storey == len(self.floors) - 2:
            high += 0.028  # under the cornice
        room, noble = low - high, storey == 1
        attic = storey == len(self.floors) - 2 and storey > 1 and self._chance(0.3)
        tall = rng.uniform(*style.tall) * (0.75 if attic else 1.08 if noble else 1.0)
        span = rng.uniform(*style.span)
        opening = "box" if attic or self._chance(0.3) else self.opening
        everywhere = self._chance(style.balcony * 0.5)
        every_bay = self._chance(style.balcony * 0.6)
        ornate = not attic and self._chance(style.pediment * (1.5 if noble else 0.5))
        framed, sill, shutters, panels = (
            self._chance(odds)
            for odds in (style.surround, style.sill, style.shutters, style.panels)
        )
        bottom = low - (0.07 if everywhere or every_bay else rng.uniform(0.16, 0.24)) * room
        top = max(bottom - tall * room, high + 0.1 * room)
        for bay, (start, end) in enumerate(zip(self.edges[:-1], self.edges[1:], strict=True)):
            half, middle = span * min(end - start, 0.24) / 2, (start + end) / 2
            box = (middle - half, top, middle + half, bottom)
            if panels and style.span[0] > 0.6 and (bay + storey) % 2:
                panel = (start + 0.01, bottom + 0.008, end - 0.01, low - 0.012)
                if panel[3] - panel[1] > 0.015:
                    self._add("deco", "plaster", panel, self.accent, 0.002)
            self._opening(box, opening, framed, sill, shutters, ornate)
            accent = bay == self.middle and self._chance(style.balcony)
            if not everywhere and (every_bay or accent):
                self._balcony(middle - half - 0.02, middle + half + 0.02, low, room)
        if everywhere:
            self._balcony(self.edges[0], self.edges[-1], low, room)

    def _balcony(self, left: float, right: float, floor: float, room: float):
        box = (left, floor - 0.36 * room, right, floor + 0.008)
        stone = self.style.railing == "balustrade"
        colour = (
            self.trim
            if stone
            else (0.62, 0.63, 0.64)
            if self.style.railing == "pane"
            else (0.1,) * 3
        )
        self._add("balcony", self.style.railing, box, colour, 0.024)

    def _opening(self, box, opening, framed=False, sill=True, shutters=False, ornate=False):
        """A window with its frame, hood, shutters and sill."""
        left, top, right, bottom = box
        wide, tall = right - left, bottom - top
        rise = {"box": 0.0, "arch": min(0.5 * wide / tall, 0.6), "segment": 0.18 * wide / tall}[
            opening
        ]
        outline = "box" if opening == "box" else "arch"
        if framed or ornate:
            rim = 0.013
            frame = (left - rim, top - rim, right + rim, bottom + 0.2 * rim)
            self._add("molding", "stone", frame, self.trim, 0.0045, outline, rise)
        self._add("window", "window", box, self.frame, -0.011, outline, rise)
        if ornate:
            head = (left - 0.024, top - 0.042, right + 0.024, top - 0.011)
            self._add("deco", "stone", head, self.trim, 0.013, self.hood, 0.8)
        if shutters:
            leaf = 0.48 * wide
            if self._chance(0.12):
                self._add(
                    "blind",
                    "shutter",
                    (left, top, right, bottom),
                    self.accent,
                    -0.006,
                    outline,
                    rise,
                )
            else:
                for x in (left - leaf - 0.002, right + 0.002):
                    self._add("blind", "shutter", (x, top, x + leaf, bottom), self.accent, 0.004)
        elif self._chance(0.05):
            drawn = top + tall * self.rng.uniform(0.3, 0.9)
            self._add(
                "blind",
                "shutter",
                (left, top, right, drawn),
                (0.78, 0.76, 0.70),
                -0.008,
                outline,
                rise,
            )
        if sill:
            box = (left - 0.010, bottom - 0.002, right + 0.010, bottom + 0.012)
            self._add("sill", "stone", box, self.trim, 0.012)

    def _ground_floor(self):
        """A door in one bay; shops, or windows like those above, in the others."""
        top, ground, count = self.floors[1], self.ground, len(self.edges) - 1
        room = ground - top
        entrance = self.middle if self._chance(0.6) else int(self.rng.choice([0, count - 1]))
        shops, awnings = self._chance(self.style.shop), self._chance(0.5)
        arched = self.opening if self._chance(0.5) else "box"
        shutters = self._chance(self.style.shutters * 0.4)
        span = self.rng.uniform(*self.style.span)
        self._add(
            "molding", "stone", (self.left, ground - 0.020, self.right, ground), self.stone, 0.006
        )
        for bay in range(count):
            start, end = self.edges[bay], self.edges[bay + 1]
            middle, wide = (start + end) / 2, end - start
            if bay == entrance:
                self._entrance(middle, min(0.56 * wide, 0.13) / 2, top + 0.22 * room)
            elif shops:
                box = (start + 0.05 * wide, top + 0.18 * room, end - 0.05 * wide, ground - 0.004)
                self._add("shop", "shop", box, self.cloth, 0.002)
                if awnings:
                    cloth = (box[0] - 0.006, top + 0.30 * room, box[2] + 0.006, top + 0.50 * room)
                    self._add("blind", "awning", cloth, self.cloth, 0.042)
            else:
                half = span * min(wide, 0.24) / 2
                box = (middle - half, top + 0.26 * room, middle + half, ground - 0.28 * room)
                self._opening(box, arched, shutters=shutters)

    def _entrance(self, middle: float, half: float, top: float):
        """The door in its surround, with columns and a hood in styles with pilasters."""
        arched = self.opening != "box" or self._chance(0.25)
        rise = 0.9 * half / (self.ground - top) if arched else 0.0
        outline = "arch" if arched else "box"
        rim = (middle - half - 0.014, top - 0.014, middle + half + 0.014, self.ground)
        self._add("molding", "stone", rim, self.trim, 0.005, outline, rise)
        box = (middle - half, top, middle + half, self.ground)
        self._add("door", "door", box, self.accent, -0.013, outline, rise)
        if self._chance(self.style.pilasters + 0.15):
            for x in (middle - half - 0.030, middle + half + 0.010):
                box = (x, top - 0.004, x + 0.020, self.ground)
                self._add("pillar", "pillar", box, self.trim, 0.016)
            hood = (middle - half - 0.036, top - 0.024, middle + half + 0.036, top - 0.002)
            self._add("cornice", "cornice", hood, self.trim, 0.026)

    def _gable_openings(self):
        """One window or two over the eaves, and often an oculus or a medallion above."""
        width, tall = self.right - self.left, self.eaves - self.top
        centre = (self.left + self.right) / 2
        wide = min(0.4 * width, 1.1 * (self.edges[1] - self.edges[0])) * self.style.span[1]
        pair = 0.95 * wide if self._chance(0.4) and 1.45 * wide < 0.27 * width else 0
        top, bottom = self.eaves - 0.40 * tall, self.eaves - 0.10 * tall
        for axis in (centre - pair, centre + pair) if pair else (centre,):
            self._opening((axis - wide / 2, top, axis + wide / 2, bottom), self.opening)
        if self._chance(0.7):
            radius, middle = 0.028, self.eaves - 0.56 * tall
            box = (centre - radius, middle - radius, centre + radius, middle + radius)
            if self._chance(0.5):
                self._add("window", "window", box, self.frame, -0.008, "round")
            else:
                self._add("deco", "relief", box, self.trim, 0.006, "round")
