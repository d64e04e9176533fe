"""The capability of critics: estimates of a distance, on training and on held-out images."""

from collections.abc import Callable
from typing import ClassVar

from common.adversarial import Adversarial
from common.data.labelled import LabelledImages
from common.evaluation import generated_images
from common.images import image_file
from common.inference.sampler import TRAINING_SEED, batched, batched_on_images, sampler_of
from common.metrics.directions import better
from common.nn import losses
from common.tasks.capability import Capability
from common.tasks.evaluation import Evaluation

import numpy as np
import tensorflow as tf


class Critic(Capability):
    """The mean scores of `discriminator` estimate the distance of generated images from real ones.

    The estimate is E[f(x)] - E[f(G(z))] with the generator itself, against which the critic is
    trained, not with the average of its weights. On held-out images it is lower than on training
    images where the critic overfits (Gulrajani et al. 2017, figure 5b).
    """

    metrics: ClassVar[dict[str, int]] = better("wasserstein_train", "wasserstein_test")
    all_networks = True

    def measure(
        self, model: Adversarial, data: LabelledImages, count: int
    ) -> Callable[[], dict[str, float]]:
        """The estimate with the first `count` training images, and with as many test images."""
        sampler = sampler_of(model, network=model.generator)
        score = batched_on_images(model, lambda x: model.discriminator(x, training=False))
        splits = {split: data.arrays(split, count)[0] for split in ("train", "test")}
        noise = sampler.noise(TRAINING_SEED, count)

        def measured() -> dict[str, float]:
            generated = score(sampler.all(noise)).mean()
            return {
                f"wasserstein_{split}": float(score(x).mean() - generated)
                for split, x in splits.items()
            }

        return measured

    def evaluate(self, evaluation: Evaluation):
        """Also estimates the distance with the critic, on training and on test images.

        There is also the norm of the critic's gradient at random points between test images and
        generated ones: 1 is the aim of a gradient penalty.
        """
        model, data = evaluation.model, evaluation.data
        result = self.measure(model, data, generated_images.COUNT)()
        norms = gradient_norms(model, data, generated_images.COUNT)
        result |= {"gradient_norm": float(norms.mean()), "gradient_norm_std": float(norms.std())}
        evaluation.add(
            "critic",
            result,
            f"critic: estimated distance {result['wasserstein_train']:.3f} on training images, "
            f"{result['wasserstein_test']:.3f} on test images; gradient norm "
            f"{result['gradient_norm']:.3f} ± {result['gradient_norm_std']:.3f}",
        )


def gradient_norms(model: Adversarial, data: LabelledImages, count: int) -> np.ndarray:
    """Norms of the critic's gradient between test images and generated ones, float32 (N,)."""
    sampler = sampler_of(model, network=model.generator)
    x = image_file.to_unit(data.arrays("test", count)[0])
    x_fake = image_file.to_unit(sampler.all(sampler.noise(TRAINING_SEED, len(x))))
    e = np.random.default_rng(TRAINING_SEED).uniform(size=(len(x), 1, 1, 1))
    norm = batched(
        lambda x: losses.gradient_norm(lambda x: model.discriminator(x, training=False), x),
        tf.TensorSpec((None, *x.shape[1:]), tf.float32),
    )
    return norm((e * x + (1 - e) * x_fake).astype(np.float32))
