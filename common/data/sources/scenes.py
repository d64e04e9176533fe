"""Generated scenes with captions, of the digits of a labelled dataset."""

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property

from common.data.sources import labelled
from common.data.sources.captioned_files import Drawn
from common.data.sources.labelled_splits import ArraySplit
from common.data.sources.splits import hash_of_names
from common.data.synthetic import captioned_scenes as scenes
from common.errors import UserError
from common.images import image_file

import numpy as np

COUNTS = {"train": 20_000, "test": 2_000, "held_out": 2_000, "classifier": 20_000}
COMPARED = ("digit", "colour", "background")  # attributes in one of which wrong scenes differ


@dataclass
class SceneSplit:
    """Generated scenes of the digits of a split."""

    split: str
    digits: ArraySplit
    count: int
    _found: dict[tuple, list[tuple]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return self.count

    def scene(self, index: int) -> scenes.Scene:
        return scenes.scene(self.split, index, int(self.digits.labels[index % len(self.digits)]))

    def read(self, index: int, side: int) -> np.ndarray:
        digit = self.digits.take(np.array([index % len(self.digits)]))[0]
        image = scenes.draw(self.scene(index), self.split, index, digit)
        return image if side == scenes.SIDE else image_file.resize(image, side, side)

    def draw(self, index: int, random: np.random.Generator) -> Drawn:
        what = self.scene(index)
        text, named = scenes.caption(what, random)
        if (near := self._near(what, named, random)) is not None:
            return Drawn(text, 0, named, near)
        while True:  # in a split too small for a near one
            wrong = int(random.integers(self.count))
            if what.differs(self.scene(wrong), named):
                return Drawn(text, 0, named, wrong)

    def _near(
        self, what: scenes.Scene, named: tuple[str, ...], random: np.random.Generator
    ) -> int | None:
        """A scene that differs from another in one of the named attributes of `COMPARED` alone."""
        changed = str(random.choice([each for each in COMPARED if each in named]))
        found = self._changed(_compared(what), COMPARED.index(changed))
        if not found:
            return None
        return int(random.choice(self.by_attributes[found[random.integers(len(found))]]))

    def _changed(self, attributes: tuple, place: int) -> list[tuple]:
        """The attributes of other scenes that differ in this place alone; found once."""
        if (attributes, place) not in self._found:
            self._found[attributes, place] = [
                key
                for key in self.by_attributes
                if [i for i in range(len(COMPARED)) if key[i] != attributes[i]] == [place]
            ]
        return self._found[attributes, place]

    @cached_property
    def by_attributes(self) -> dict[tuple, list[int]]:
        """Indices of the scenes that have the same attributes of `COMPARED`."""
        found: dict[tuple, list[int]] = defaultdict(list)
        for index in range(self.count):
            found[_compared(self.scene(index))].append(index)
        return dict(found)

    def facts(self, index: int) -> dict[str, str]:
        what = self.scene(index)
        return {"digit": str(what.digit), "colour": what.colour, "background": what.background}

    def captions(self) -> list[str]:
        random = np.random.default_rng(0)
        return [self.draw_text(index % self.count, random) for index in range(2000)]

    def draw_text(self, index: int, random: np.random.Generator) -> str:
        return scenes.caption(self.scene(index), random)[0]

    def digest(self) -> str:
        return hash_of_names([self.split, self.digits.digest()])


def _compared(what: scenes.Scene) -> tuple:
    return tuple(getattr(what, each) for each in COMPARED)


def scene_splits(name: str, data_dir: str | None, seed: int) -> dict[str, SceneSplit]:
    """Scenes of the digits of a labelled dataset, MNIST's or generated ones."""
    found = labelled.find(name, data_dir, seed)
    if found.class_names != [str(k) for k in range(10)] or found.channels != 1:
        raise UserError(f"--dataset {name}: scenes need grayscale digits of ten classes")
    digits = {"train": found.train, "classifier": found.train}
    digits |= {"test": found.test, "held_out": found.test}
    return {split: SceneSplit(split, digits[split], count) for split, count in COUNTS.items()}
