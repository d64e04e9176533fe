"""The capability of being measured by the likelihood of a Parzen window around the samples."""

from common.evaluation import generated_images
from common.images import image_file
from common.inference.sampler import sampler_of
from common.metrics import parzen_window
from common.tasks.capability import Capability
from common.tasks.evaluation import Evaluation

import numpy as np

VALIDATION = 1000  # images that choose the width of the Gaussians


class ParzenWindow(Capability):
    """The model's images are compared with test images as Goodfellow et al. 2014 did (table 1)."""

    def evaluate(self, evaluation: Evaluation):
        """Also computes the log-likelihood of test images under a Parzen window.

        Each of 10,000 samples (seed 0) is the centre of a Gaussian, whose width is the one of ten
        that fits 1,000 training images best. The mean over the test images is given in nats with
        its standard error, for pixels in [0, 1], and the same for 10,000 other training images in
        place of the samples.
        """
        model, data = evaluation.model, evaluation.data
        count = generated_images.COUNT
        train, _ = data.arrays("train", VALIDATION + count)
        test, _ = data.arrays("test", count)
        if model.classes or len(train) <= VALIDATION:
            return
        sampler = sampler_of(model)
        samples = sampler.all(sampler.noise(0, count))
        validation, others = vectors(train[:VALIDATION]), vectors(train[VALIDATION:])
        results = {}
        for name, centres in (("samples", vectors(samples)), ("training_images", others)):
            sigma = parzen_window.best_sigma(validation, centres)
            (each,) = parzen_window.log_likelihoods(vectors(test), centres, np.array([sigma]))
            error = float(each.std(ddof=1) / np.sqrt(len(each)))
            results[name] = {"mean": float(each.mean()), "standard_error": error, "sigma": sigma}
        own, real = (
            f"{r['mean']:.1f} ± {r['standard_error']:.1f} nats (sigma {r['sigma']:.3f})"
            for r in results.values()
        )
        evaluation.add(
            "parzen_window",
            results | {"test_images": len(test)},
            f"Parzen window: log-likelihood {own} with {len(samples)} samples, {real} with "
            f"{len(others)} training images",
        )


def vectors(images: np.ndarray) -> np.ndarray:
    """uint8 images (N, S, S, C) -> float32 (N, S * S * C) in [0, 1]."""
    return image_file.to_unit(images).reshape(len(images), -1) / 2 + 0.5
