"""Whether more or less of a metric is better: the one place that says so."""

HIGHER, LOWER = 1, -1
ARROWS = {HIGHER: "↑", LOWER: "↓"}

# By name of the metric. One without a direction, such as a variance, is not here.
BETTER = {
    # generated images
    "fid": LOWER,
    "kernel_distance": LOWER,
    "precision": HIGHER,
    "recall": HIGHER,
    "density": HIGHER,
    "coverage": HIGHER,
    "sliced_wasserstein": LOWER,
    "inception_score": HIGHER,
    "smallest_class": HIGHER,
    "largest_class": LOWER,
    "accuracy": HIGHER,
    "worst_class": HIGHER,
    "spread": HIGHER,
    "least_spread": HIGHER,
    "modes": HIGHER,
    "kl": LOWER,
    "wasserstein_train": LOWER,
    "wasserstein_test": LOWER,
    # images and their targets
    "l1": LOWER,
    "psnr": HIGHER,
    "ssim": HIGHER,
    "target_l1": LOWER,
    "target_ssim": HIGHER,
    "reconstruction_mse": LOWER,
    "hole_l1": LOWER,
    "class_kept": HIGHER,
    "label_kept": HIGHER,
    # two domains
    "cycle_l1": LOWER,
    "ratio": LOWER,
    "digit_preserved": HIGHER,
    "digit_accuracy": HIGHER,
    "relation_accuracy": HIGHER,
    "target_accuracy": HIGHER,
    "label_agreement": HIGHER,
    "pixel_agreement": HIGHER,
    # text to image
    "digit": HIGHER,
    "colour": HIGHER,
    "background": HIGHER,
    "skin tone": HIGHER,
    "r_precision": HIGHER,
}


def better(*names: str) -> dict[str, int]:
    """The metrics of these names with their directions, HIGHER or LOWER."""
    return {name: BETTER[name] for name in names}


def marked(name: str, title: str | None = None) -> str:
    """The title of a metric, by default its name, with an arrow to what is better: `psnr ↑`."""
    title = name if title is None else title
    return f"{title} {ARROWS[BETTER[name]]}" if name in BETTER else title
