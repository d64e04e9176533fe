"""How a network grows: which resolution is trained, and how far it is faded in."""

from collections.abc import Sequence
from typing import NamedTuple

from common import errors
from common.errors import UserError


class Phase(NamedTuple):
    """A part of the training of one resolution: it is faded in, or trained on its own.

    Attributes:
        side: side of the images in pixels.
        fades: whether it is faded in, from fade 1 to 0.
        steps: number of training steps.
    """

    side: int
    fades: bool
    steps: int


class Growth(NamedTuple):
    """The schedule of a network that grows, in images seen.

    Attributes:
        sides: sides of the resolutions in pixels, from coarse to fine.
        stable: images of each resolution on its own.
        fade: images while each resolution is faded in; 0 for the first.
        batch_size: images of a training step.
    """

    sides: tuple[int, ...]
    stable: tuple[int, ...]
    fade: tuple[int, ...]
    batch_size: int

    @property
    def phases(self) -> list[Phase]:
        """The phases in order; steps are rounded up."""
        counts = zip(self.sides, self.fade, self.stable, strict=True)
        both = [(side, pair) for side, *pair in counts]
        return [
            Phase(side, fades, -(-images // self.batch_size))
            for side, pair in both
            for fades, images in zip((True, False), pair, strict=True)
            if images
        ]

    @property
    def ends(self) -> dict[int, int]:
        """Step after which the training of each resolution ends, by side."""
        return {side: sum(p.steps for p in self.phases if p.side <= side) for side in self.sides}

    def start(self, side: int) -> int:
        """Step after which the training of a resolution starts."""
        return sum(phase.steps for phase in self.phases if phase.side < side)

    def fade_steps(self, side: int) -> int:
        """Steps while a resolution is faded in."""
        return sum(p.steps for p in self.phases if p.side == side and p.fades)

    def level(self, step: int) -> float:
        """Where training is after so many steps: k for the k-th resolution alone, k - fade before.

        k counts from 0 for the coarsest of `sides`.
        """
        k = sum(self.start(side) <= step for side in self.sides) - 1
        side = self.sides[k]
        steps = self.fade_steps(side)
        return k - max(0.0, 1.0 - (step - self.start(side)) / steps) if steps else float(k)


def powers_of_two(first: int, last: int) -> tuple[int, ...]:
    """first, 2 first, ..., last: (4, 8, 16, 32).

    Raises:
        UserError: `last` is no such number.
    """
    sides = [first]
    while sides[-1] < last:
        sides.append(2 * sides[-1])
    if sides[-1] != last or len(sides) < 2:
        examples = ", ".join(str(first * 2**k) for k in (1, 2, 3))
        raise UserError(f"--image_size {last}: give {first} times a power of two: {examples}, ...")
    return tuple(sides)


def growth(
    sides: Sequence[int], stable: int | list[int], fade: int | list[int], batch_size: int
) -> Growth:
    """The schedule that the options --stable_images and --fade_images ask for.

    Args:
        sides: sides of the resolutions in pixels, from coarse to fine.
        stable: images of each resolution on its own, one number for all or one for each.
        fade: images while a resolution is faded in, one number for all or one for each but the
            first.
        batch_size: images of a training step.

    Raises:
        UserError: the numbers do not fit the resolutions.
    """
    errors.at_least_one(batch_size=batch_size)
    stable_images = _each("stable_images", stable, sides)
    fade_images = _each("fade_images", fade, sides[1:])
    errors.at_least_one(stable_images=min(stable_images))
    errors.not_negative(fade_images=min(fade_images))
    return Growth(tuple(sides), stable_images, (0, *fade_images), batch_size)


def _each(option: str, images: int | list[int], sides: Sequence[int]) -> tuple[int, ...]:
    images = [images] * len(sides) if isinstance(images, int) else images
    if len(images) != len(sides):
        given = f"{len(images)} number{'s' * (len(images) != 1)}"
        raise UserError(
            f"--{option} {given}: give one number, or one for each of the {len(sides)} sides "
            f"{', '.join(map(str, sides))}, as in [{','.join(['60000'] * len(sides))}]"
        )
    return tuple(images)
