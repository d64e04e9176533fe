"""What translators between two domains can be measured by, without pairs and with known ones."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from common.data.sources.unpaired import as_digits
from common.data.unpaired import HeldOut, UnpairedImages
from common.errors import UserError
from common.evaluation.reference_classifier import trained_classifier
from common.evaluation.tables import aligned
from common.images import image_file
from common.metrics.image_quality import l1

import numpy as np

BATCH = 16  # images that go through a network at a time
NAMES = {
    "cycle_l1": "cycle L1",
    "counterpart_l1": "L1 to the counterpart",
    "identity_l1": "the identity map's",
    "ratio": "ratio of the two",
    "digit_kept": "same digit after the cycle",
    "digit_right": "translated to the right digit",
    "images": "images",
}
FORMATS = {"digit_kept": ".2%", "digit_right": ".2%", "images": "d"}

Translate = Callable[[np.ndarray], np.ndarray]
Judge = Callable[[np.ndarray], np.ndarray]


def measure(
    forth: Translate,
    back: Translate,
    held_out: Iterable[HeldOut],
    judge_x: Judge | None = None,
    judge_y: Judge | None = None,
) -> dict[str, float]:
    """Scores of one direction, means over the held-out images.

    A judge says which digits images show, float (B, H, W, C) -> int (B,). Verdicts on images of
    a domain that it has not learnt say nothing, so there is one for each domain, or none.

    Args:
        forth: the translator of these images, float32 (B, H, W, C) both ways.
        back: the other one.
        held_out: images of one domain.
        judge_x: of the images' domain.
        judge_y: of the other domain.

    Returns:
        `cycle_l1`, mean |back(forth(x)) - x|; of images with counterparts `counterpart_l1`,
        between them and the translations, `identity_l1`, between them and the images, and the
        `ratio` of the two; by judge_x `digit_kept`, the share whose cycle it takes for the same
        digit as the image; by judge_y `digit_right`, the share whose translation it takes for the
        digit that they show; `images`, their number.

    Raises:
        UserError: there are no images.
    """
    totals: dict[str, float] = {}
    count = 0
    for batch in batched(held_out):
        x = np.stack([one.x for one in batch])
        y = forth(x)
        cycle = back(y)
        scores = {"cycle_l1": l1(cycle, x)}
        if batch[0].target is not None:
            counterpart = np.stack([one.target for one in batch])
            scores["counterpart_l1"] = l1(y, counterpart)
            scores["identity_l1"] = l1(x, counterpart)
        if judge_x is not None:
            scores["digit_kept"] = judge_x(cycle) == judge_x(x)
        if judge_y is not None:
            scores["digit_right"] = judge_y(y) == np.array([one.label for one in batch])
        for name, values in scores.items():
            totals[name] = totals.get(name, 0.0) + float(np.sum(values))
        count += len(batch)
    if not count:
        raise UserError("no held-out images: there is nothing to evaluate on")
    means = {name: total / count for name, total in totals.items()}
    if "identity_l1" in means:
        means["ratio"] = means["counterpart_l1"] / means["identity_l1"]
    return means | {"images": count}


def judge_of(data: UnpairedImages) -> Judge | None:
    """The reference classifier of the digits that a set is made from; None if it is not one of digits."""
    if data.labelled is None:
        return None
    classifier = trained_classifier(data.labelled)
    return lambda x: classifier.logits(as_digits(image_file.to_uint8(x))).argmax(axis=1)


def batched(items: Iterable[HeldOut]) -> Iterator[list[HeldOut]]:
    items = iter(items)
    while batch := list(islice(items, BATCH)):
        yield batch


def table(results: dict[str, dict[str, float]]) -> list[list[str]]:
    """The scores of `measure`: a head, then a row for each, with a column for each direction."""
    known = [name for name in NAMES if any(name in scores for scores in results.values())]
    rows = [["", *results]]
    for name in known:
        form = FORMATS.get(name, ".4f")
        rows.append([NAMES[name], *(_shown(scores.get(name), form) for scores in results.values())])
    return rows


def format_table(results: dict) -> str:
    """`table` as aligned lines."""
    return aligned(table(results))


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
