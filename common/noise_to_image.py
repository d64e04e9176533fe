"""Generators of images from noise, and the training steps that most of their papers share."""

from collections.abc import Callable
from typing import ClassVar, NamedTuple

from common import errors
from common.adversarial import Adversarial
from common.distributed.collectives import sharded_random
from common.errors import UserError
from common.nn.counter import add_counter
from common.nn.latent import Latent
from common.nn.optimizers import adam

import keras
import tensorflow as tf
from keras import ops


class Judged(NamedTuple):
    """Images, real or generated, and what the discriminator says of them.

    Attributes:
        images: float32 (B, S, S, C) in [-1, 1].
        classes: int32 (B,); meaningless without labels.
        output: the discriminator's output in training mode, of whatever structure it has: a logit
            (B, 1), a list of heads, a reconstruction, ...
    """

    images: tf.Tensor
    classes: tf.Tensor
    output: tf.Tensor | list[tf.Tensor]


class NoiseToImage(Adversarial):
    """G(z) against D(x), both updated at once, from one forward pass of each.

    A subclass writes its networks in `build_generator` and `build_discriminator`, calls
    `build_players` at the end of its constructor, and overrides what its paper changes: the
    `targets`, or `d_loss`, `g_loss`, `penalty`, `logs`, or how D is called, `judge`. One whose
    players are others than these two overrides `players` and `objectives`.

    Args:
        image_size: image side in pixels; convolutional networks need 4 to 7 times a power of two,
            such as 28, 32 or 64.
        channels: image channels, 1 for grayscale or 3 for RGB.
        width: number of filters next to the image in both networks; deeper layers have multiples.
        latent_size: number of components of z.
        learning_rate: step size of the optimizers of both networks.
        beta_1: Adam's decay rate for the first moment.
        ema: decay of the moving average of the generator's weights, from 0 (none) to below 1.
    """

    targets: ClassVar[tuple[float, float]] = (1.0, 0.0)  # of D's output: real, fake
    g_target: ClassVar[float | None] = None  # of D's output in G's loss; default that of real
    distribution: ClassVar[str] = "normal"  # of the components of z

    def __init__(
        self,
        image_size: int = 28,
        channels: int = 1,
        width: int = 64,
        latent_size: int = 100,
        learning_rate: float = 2e-4,
        beta_1: float = 0.5,
        ema: float = 0.0,
        *,
        name: str,
    ):
        super().__init__(ema=ema, name=name)
        errors.at_least_one(width=width, latent_size=latent_size)
        errors.above_zero(learning_rate=learning_rate)
        errors.below_one(beta_1=beta_1)
        self.image_size, self.channels, self.classes = image_size, channels, 0
        self.width, self.learning_rate, self.beta_1 = width, learning_rate, beta_1
        self.latent = Latent(latent_size, self.distribution)
        self.noise = keras.random.SeedGenerator()

    def adam(self, beta_2: float = 0.999) -> keras.optimizers.Adam:
        """A new Adam with the options' constants."""
        return adam(self.learning_rate, self.beta_1, beta_2)

    def build_players(
        self,
        loss: Callable | list[Callable] | None = None,
        optimizer: Callable[[], keras.optimizers.Optimizer] | None = None,
        loss_weights: float | list[float] | None = None,
        d_optimizer: Callable[[], keras.optimizers.Optimizer] | None = None,
    ):
        """Builds and compiles D, and G into D (`combined`), each with an optimizer of its own.

        Args:
            loss: Keras loss of D's output, or a list of one for each of its outputs; None where
                `d_loss` and `g_loss` do not call it.
            optimizer: makes an optimizer; default `adam`.
            loss_weights: as in Keras.
            d_optimizer: makes D's optimizer, if it is another one.
        """
        compiled = {"loss": loss, "loss_weights": loss_weights}
        optimizer = optimizer or self.adam
        self.generator = self.build_generator()
        self.discriminator = self.build_discriminator()
        self.discriminator.compile(optimizer=(d_optimizer or optimizer)(), **compiled)
        self.combined = self.build_combined()
        self.combined.compile(optimizer=optimizer(), **compiled)
        self.compile()

    def build_generator(self) -> keras.Model:
        """z (B, latent) -> images (B, S, S, C) in [-1, 1]."""
        raise TypeError(f"{type(self).__name__} must define build_generator")

    def build_discriminator(self) -> keras.Model:
        """Images (B, S, S, C) -> the output that the losses take."""
        raise TypeError(f"{type(self).__name__} must define build_discriminator")

    def build_combined(self) -> keras.Model:
        """G into D: z (B, latent) -> D's output."""
        z = keras.Input((self.latent.size,))
        return keras.Model(z, self.discriminator(self.generator(z)), name="combined")

    def generator_inputs(self, number: int, batch: tuple):
        """Noise of the seed `number` for a batch of the same size."""
        return self.latent.of_seed(number, batch[0].shape[0])

    # What a paper may change.

    def judge(self, images: tf.Tensor, classes: tf.Tensor, real: bool) -> tf.Tensor:
        """D's output in training mode for images that are real or generated."""
        return self.discriminator(images, training=True)

    def d_loss(self, real: Judged, fake: Judged) -> tf.Tensor:
        """D's loss: its outputs for real and for generated images against their `targets`."""
        on_real, on_fake = self.targets
        D, y, y_fake = self.discriminator, real.output, fake.output
        loss = D.compute_loss(y=filled(y, on_real), y_pred=y)
        return loss + D.compute_loss(y=filled(y_fake, on_fake), y_pred=y_fake)

    def g_loss(self, real: Judged | None, fake: Judged) -> tf.Tensor:
        """G's loss: D's output for generated images against the target of real ones.

        `real` is None where G is updated on a batch of its own (`Alternating`).
        """
        target = self.targets[0] if self.g_target is None else self.g_target
        return self.combined.compute_loss(y=filled(fake.output, target), y_pred=fake.output)

    def penalty(self, real: Judged, fake: Judged) -> tuple[tf.Tensor | float, dict]:
        """A term of D's loss that needs the images, and what is logged of it, by name."""
        return 0.0, {}

    def logs(self, real: Judged, fake: Judged) -> dict[str, tf.Tensor]:
        """What is logged beside the losses, by name."""
        return {}

    # The step.

    def generate(self, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Images from fresh noise, as many as there are labels (B,), and their classes (B,)."""
        return self.generator(self.draw_z(labels), training=True), labels

    def draw_z(self, labels: tf.Tensor) -> tf.Tensor:
        """Fresh noise for each of the labels (B,): z (B, latent)."""
        return self.latent.draw(ops.shape(labels)[0], self.noise)

    def judged(self, images: tf.Tensor, classes: tf.Tensor, real: bool) -> Judged:
        return Judged(images, classes, self.judge(images, classes, real))

    def objectives(self, x: tf.Tensor, labels: tf.Tensor) -> tuple[dict, dict]:
        """The losses of both players.

        Args:
            x: images, float32 (B, S, S, C) in [-1, 1].
            labels: their classes, int32 (B,).
        """
        # Two passes of D: batch normalization must not mix real and generated images.
        fake = self.judged(*self.generate(labels), real=False)
        real = self.judged(x, labels, real=True)
        # G's tape need not record the penalty, which is none of its loss.
        penalty, logs = self.penalty(real, fake._replace(images=tf.stop_gradient(fake.images)))
        d_loss = self.d_loss(real, fake) + penalty
        losses = {"discriminator": d_loss, "generator": self.g_loss(real, fake)}
        return losses, self.logs(real, fake) | logs


def filled(output, value: float):
    """Tensors of the shapes of D's output, of whatever structure, with one value everywhere."""
    return keras.tree.map_structure(lambda each: value * tf.ones_like(each), output)


def check_classes(classes: int, name: str):
    """Raises a UserError if the dataset of a model has not the classes that it needs."""
    if classes < 2:
        raise UserError(
            f"--dataset: {name} needs images of 2 classes or more, here are {classes}; give a "
            "folder with a subfolder for each class, or a labelled dataset such as mnist"
        )


class ClassConditional(NoiseToImage):
    """`NoiseToImage` with a generator that takes a class: G(z, c).

    `build_generator` takes z and a one-hot class; `build_discriminator` may take the class beside
    the images.

    Args:
        classes: number of classes, 2 or more.
    """

    def __init__(self, classes: int = 10, *, name: str, **shared):
        super().__init__(name=name, **shared)
        check_classes(classes, name)
        self.classes = classes

    def build_combined(self) -> keras.Model:
        """G into D: z (B, latent) and one-hot classes (B, K) -> D's output."""
        z, c = keras.Input((self.latent.size,)), keras.Input((self.classes,))
        images = self.generator([z, c])
        output = self.discriminator([images, c] if self.d_takes_class else images)
        return keras.Model([z, c], output, name="combined")

    def generator_inputs(self, number: int, batch: tuple):
        """Noise of the seed `number`, and the classes of the batch."""
        z = super().generator_inputs(number, batch)
        return [z, tf.one_hot(batch[1], self.classes)]

    @property
    def d_takes_class(self) -> bool:
        return len(self.discriminator.inputs) > 1

    def fake_classes(self, labels: tf.Tensor) -> tf.Tensor:
        """Classes for the generated images, int32 (B,): those of the batch."""
        return labels

    def generate(self, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        z, classes = self.draw_z(labels), self.fake_classes(labels)
        return self.generator([z, tf.one_hot(classes, self.classes)], training=True), classes

    def judge(self, images: tf.Tensor, classes: tf.Tensor, real: bool) -> tf.Tensor:
        if not self.d_takes_class:
            return super().judge(images, classes, real)
        return self.discriminator([images, tf.one_hot(classes, self.classes)], training=True)

    def uniform_classes(self, labels: tf.Tensor, start: int = 0) -> tf.Tensor:
        """A number drawn uniformly from `start` to K - 1 for each of the labels, int32 (B,)."""
        shape = ops.shape(labels)
        return sharded_random(keras.random.randint, shape, start, self.classes, "int32", self.noise)


class Alternating(NoiseToImage):
    """`NoiseToImage` with `n_critic` updates of D per update of G, each on its own batch and noise.

    A training step is one update of D. G is updated at the end of a step in which D has had its
    number of updates.
    """

    counts = ("generator_steps",)
    n_critic: int = 1

    def __init__(self, *arguments, **shared):
        super().__init__(*arguments, **shared)
        self.g_steps = add_counter(self, "generator_steps")
        self.d_steps = add_counter(self, "discriminator_steps")  # since G's last

    def d_updates(self) -> tf.Tensor:
        """Number of updates of D before the next one of G, int64 scalar."""
        return tf.constant(self.n_critic, tf.int64)

    def train_step(self, batch) -> dict[str, tf.Tensor]:
        """One update of D; then one of G, if it is due."""
        logs = self.update(*batch, objectives=self.d_objectives, only=["discriminator"])
        self.d_steps.assign_add(1)
        g_is_due = self.d_steps >= self.d_updates()
        on_d_batch = logs["g_loss"]  # where G is not updated
        g_loss = tf.cond(g_is_due, lambda: self.g_step(*batch), lambda: on_d_batch)
        return logs | {"g_loss": g_loss, "generator_steps": ops.cast(self.g_steps, "float32")}

    def d_objectives(self, x: tf.Tensor, labels: tf.Tensor) -> tuple[dict, dict]:
        """D's loss; G's on the same images is logged alone."""
        losses, logs = self.objectives(x, labels)
        g_loss = losses.pop("generator")
        return losses, logs | {"g_loss": g_loss}

    def g_objectives(self, x: tf.Tensor, labels: tf.Tensor) -> tuple[dict, dict]:
        """G's loss on fresh noise; D sees no real images for it."""
        fake = self.judged(*self.generate(labels), real=False)
        return {"generator": self.g_loss(None, fake)}, {}

    def g_step(self, x: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Updates G, restarts the count of D's updates, and returns G's loss."""
        logs = self.update(x, labels, objectives=self.g_objectives, only=["generator"])
        self.g_steps.assign_add(1)
        self.d_steps.assign(0)
        return logs["g_loss"]
