"""Evaluation of unpaired translation: cycle consistency, known targets, digits."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from common.data.sources.changed_digits import as_digits
from common.data.unpaired import HeldOut, UnpairedImages
from common.errors import UserError
from common.evaluation.formatting import text_table
from common.evaluation.reference_classifier import trained_classifier
from common.images import image_file
from common.metrics.agreement import label_agreement, relabelled_agreement
from common.metrics.checkerboard import checkerboard, power_spectrum
from common.metrics.directions import marked
from common.metrics.image_quality import l1, ssim

import numpy as np

BATCH = 16  # images per forward pass
NAMES = {
    "cycle_l1": "cycle L1",
    "target_l1": "L1 to the target",
    "identity_l1": "L1 of the identity map",
    "ratio": "ratio of the two",
    "mean_l1": "L1 of the mean image",
    "target_ssim": "SSIM to the target",
    "identity_ssim": "SSIM of the identity map",
    "mean_ssim": "SSIM of the mean image",
    "checkerboard": "checkerboard / the targets'",
    "digit_preserved": "same digit after the cycle",
    "digit_accuracy": "translated to the right digit",
    "relation_accuracy": "the same after the best relabelling",
    "images": "images",
}
FORMATS = dict.fromkeys(("digit_preserved", "digit_accuracy", "relation_accuracy"), ".2%")
FORMATS |= {"checkerboard": ".2f", "images": "d"}

Translate = Callable[[np.ndarray], np.ndarray]
Classify = Callable[[np.ndarray], np.ndarray]


def measure(
    forth: Translate,
    back: Translate,
    held_out: Iterable[HeldOut],
    classify_source: Classify | None = None,
    classify_target: Classify | None = None,
    mean_image: np.ndarray | None = None,
) -> dict[str, float]:
    """Scores of one direction of translation, means over held-out images.

    A classifier maps images, float (B, H, W, C), to digits, int (B,). Its predictions are
    meaningful only in the domain that it was trained on, so there is one for each domain, or none.

    Args:
        forth: translator of these images, float32 (B, H, W, C) -> (B, H, W, C).
        back: translator of the opposite direction.
        held_out: images of the source domain.
        classify_source: classifier of the source domain.
        classify_target: classifier of the target domain.
        mean_image: mean training image of the target domain, (H, W, C), at least 11 pixels wide and
            high.

    Returns:
        `cycle_l1`, mean |back(forth(x)) - x|; for images with known targets `target_l1`, between
        target and translation, `identity_l1`, between target and image, and the `ratio` of the two;
        with `mean_image` also `mean_l1`, between target and mean image, and `target_ssim`,
        `identity_ssim` and `mean_ssim`, the SSIM of the same, and `checkerboard`, the
        `checkerboard` number of the translations divided by that of the targets;
        with `classify_source` `digit_preserved`, the share of images whose cycle is predicted as
        the same digit; with `classify_target` `digit_accuracy`, the share of translations predicted
        as the digit of the image, and `relation_accuracy`, the same after the best permutation of
        the digits: translators may find a relation that turns each digit into another one;
        `images`, their number.

    Raises:
        UserError: there are no images.
    """
    totals: dict[str, float] = {}
    labels, predicted = [], []
    spectra = np.zeros((2, 1, 1))  # of the translations and of the targets
    count = 0
    for batch in batched(held_out):
        x = np.stack([one.x for one in batch])
        y = forth(x)
        cycle = back(y)
        scores = {"cycle_l1": l1(cycle, x)}
        if batch[0].target is not None:
            target = np.stack([one.target for one in batch])
            guesses = {"target": y, "identity": x}
            if mean_image is not None:
                guesses["mean"] = np.broadcast_to(mean_image, target.shape)
                scores |= {f"{name}_ssim": ssim(guess, target) for name, guess in guesses.items()}
                spectra = spectra + [power_spectrum(images) for images in (y, target)]
            scores |= {f"{name}_l1": l1(guess, target) for name, guess in guesses.items()}
        if classify_source is not None:
            scores["digit_preserved"] = classify_source(cycle) == classify_source(x)
        if classify_target is not None:
            labels += [one.label for one in batch]
            predicted += list(classify_target(y))
        for name, values in scores.items():
            totals[name] = totals.get(name, 0.0) + float(np.sum(values))
        count += len(batch)
    if not count:
        raise UserError("no held-out images: there is nothing to evaluate on")
    means = {name: total / count for name, total in totals.items()}
    if "identity_l1" in means:
        means["ratio"] = means["target_l1"] / means["identity_l1"]
    if spectra.any():
        means["checkerboard"] = checkerboard(spectra[0]) / checkerboard(spectra[1])
    if labels:
        digits = np.array(labels), np.array(predicted)
        means["digit_accuracy"] = label_agreement(*digits)
        means["relation_accuracy"] = relabelled_agreement(*digits)
    return means | {"images": count}


def digit_classifier(data: UnpairedImages) -> Classify | None:
    """The reference classifier of domain A of a dataset of digits; None for other datasets."""
    if data.labelled is None:
        return None
    classifier = trained_classifier(data.labelled)
    return lambda x: classifier.logits(as_digits(image_file.to_uint8(x))).argmax(axis=1)


def batched(items: Iterable[HeldOut]) -> Iterator[list[HeldOut]]:
    """Lists of up to BATCH items."""
    items = iter(items)
    while batch := list(islice(items, BATCH)):
        yield batch


def table(results: dict[str, dict[str, float]]) -> list[list[str]]:
    """Scores of `measure` as cells.

    Args:
        results: {direction: scores}.

    Returns:
        A header, then a row for each score with a column for each direction.
    """
    known = [name for name in NAMES if any(name in scores for scores in results.values())]
    rows = [["", *results]]
    for name in known:
        form = FORMATS.get(name, ".4f")
        cells = (_formatted(scores.get(name), form) for scores in results.values())
        rows.append([marked(name, NAMES[name]), *cells])
    return rows


def format_table(results: dict[str, dict[str, float]]) -> str:
    """`table` as aligned lines."""
    return text_table(table(results))


def _formatted(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
