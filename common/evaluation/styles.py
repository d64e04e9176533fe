"""What truncation, noise and style mixing do to a style-based generator's images."""

from common.evaluation.reference_classifier import ReferenceClassifier, probabilities
from common.images.image_file import to_unit
from common.metrics.directions import marked

import numpy as np


def pixel_variance(images: np.ndarray) -> float:
    """Variance over the images of each pixel in [-1, 1], averaged over pixels and channels.

    Args:
        images: uint8 (N, S, S, C).
    """
    return float(np.var(to_unit(images), axis=0).mean())


def truncation(
    images: dict[float, np.ndarray], classifier: ReferenceClassifier | None
) -> dict[str, dict[str, float]]:
    """By psi: `variance` of the pixels, and `lowered`, by which share it is below that of psi 1.

    With a classifier also `confidence`, its mean probability of the most probable class.

    Args:
        images: by psi, one of which is 1, the images of the same noise, uint8 (N, S, S, C).
        classifier: the reference classifier; None if there is none.
    """
    full, results = pixel_variance(images[1.0]), {}
    for psi, each in images.items():
        variance = pixel_variance(each)
        results[str(psi)] = {"variance": variance, "lowered": 1.0 - variance / max(full, 1e-12)}
        if classifier is not None:
            best = probabilities(classifier.logits(each)).max(axis=1)
            results[str(psi)]["confidence"] = float(best.mean())
    return results


def noise(
    images: np.ndarray, others: list[np.ndarray], classifier: ReferenceClassifier | None
) -> dict[str, float]:
    """`change`: mean absolute difference in units of [-1, 1] between images of different noise.

    With a classifier also `class_kept`: share of the images with other noise that it takes for the
    same class.

    Args:
        images: uint8 (N, S, S, C).
        others: images of the same w, with other noise each.
        classifier: the reference classifier; None if there is none.
    """
    exact = to_unit(images)
    results = {"change": float(np.mean([np.abs(exact - to_unit(o)).mean() for o in others]))}
    if classifier is not None:
        before = classifier.logits(images).argmax(axis=1)
        kept = [classifier.logits(other).argmax(axis=1) == before for other in others]
        results["class_kept"] = float(np.mean(kept))
    return results


def mixing(mixed: np.ndarray, coarse: np.ndarray, fine: np.ndarray) -> dict[str, float]:
    """Share of the mixed images whose class is that of the coarse or of the fine source.

    Args:
        mixed, coarse, fine: classes of the mixed images and of their sources, int (N,). Pairs of
            one class say nothing and do not count.

    Returns:
        `coarse` and `fine`, the shares, and `count`, the number of pairs that differ.
    """
    differ = coarse != fine
    count = int(differ.sum())
    shares = {"coarse": (mixed == coarse)[differ], "fine": (mixed == fine)[differ]}
    return {name: float(s.mean()) if count else 0.0 for name, s in shares.items()} | {
        "count": count
    }


def tables(results: dict) -> list[tuple[str, list[list[str]]]]:
    """Captions and cells of the tables of truncation, noise and mixing, each with a header.

    Args:
        results: `truncation` by psi, `noise`, and with a classifier `mixing` by crossover.
    """
    rows = results["truncation"]
    scored = all("confidence" in row for row in rows.values())
    cells = [["psi", "variance", "lowered", *["confidence"] * scored]]
    for psi, row in rows.items():
        shown = [psi, f"{row['variance']:.4f}", f"{row['lowered']:.1%}"]
        cells.append(shown + ([f"{row['confidence']:.2%}"] if scored else []))
    found = [("Truncation", cells)]
    kept = results["noise"].get("class_kept")
    head, shown = ["", "mean change"], ["other noise", f"{results['noise']['change']:.4f}"]
    if kept is not None:
        head, shown = [*head, marked("class_kept", "class kept")], [*shown, f"{kept:.2%}"]
    found.append(("Noise", [head, shown]))
    if "mixing" in results:
        cells = [["layers of the coarse source", "its class", "the fine one's", "pairs"]]
        cells += [
            [layers, f"{row['coarse']:.1%}", f"{row['fine']:.1%}", str(row["count"])]
            for layers, row in results["mixing"].items()
        ]
        found.append(("Class of mixed images", cells))
    return found
