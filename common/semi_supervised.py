"""Models with a classifier that learns from few labels, beside many unlabelled images."""

from typing import ClassVar

from common import errors
from common.adversarial import Adversarial
from common.data.label_subset import FewLabels, few_labels

import keras
import tensorflow as tf


class SemiSupervised(Adversarial):
    """Base of models with a classifier that learns from few labels.

    It stands before the other bases, as in `class SGAN(SemiSupervised, NoiseToImage)`. A step takes
    its labelled images from `labelled`; those of the batch count as unlabelled, whatever their
    labels.

    Args:
        labels: number of training images with a label, in equal shares of the classes; the labels
            of all others are not used.
        baseline: train the classifier on the labelled images alone, to compare with.
        classifier_ema: decay of the moving average of the classifier's weights, which classifies,
            from 0 (none) to below 1.

    Attributes:
        classifying: name of the attribute that is the classifier: images -> logits (B, K), or
            several outputs of which these are the first.
        labelled: the labelled images, once `prepare` was called.
    """

    has_baseline = True
    classifying: ClassVar[str] = "classifier"

    def __init__(
        self, labels: int = 100, baseline: bool = False, classifier_ema: float = 0.99, **shared
    ):
        super().__init__(**shared)
        errors.at_least_one(labels=labels)
        errors.below_one(classifier_ema=classifier_ema)
        self.labels, self.baseline, self.classifier_ema = labels, baseline, classifier_ema
        self.labelled = FewLabels()

    def prepare(self, data):
        """Keeps the labelled images: a function of data and seed, so not part of checkpoints."""
        self.labelled = few_labels(data, self.labels)

    @property
    def decays(self) -> dict[str, float]:
        return super().decays | {self.classifying: self.classifier_ema}

    def average_inputs(self, name: str, number: int, batch: tuple):
        """Also for the baseline's statistics there are labelled images alone."""
        if name == self.classifying and self.baseline:
            return self.labelled.x
        return super().average_inputs(name, number, batch)

    def classify(self, images) -> tf.Tensor:
        """Class probabilities of real images.

        Args:
            images: float32 (B, S, S, C) in [-1, 1].

        Returns:
            float32 (B, K). Deterministic, and for each image independent of the others.
        """
        logits, *_ = keras.tree.flatten(self.average_of(self.classifying)(images, training=False))
        return tf.nn.softmax(logits)
