"""Players of the adversarial game: what each minimizes, and which variables it may change."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import keras
import tensorflow as tf


class Player(NamedTuple):
    """One of the players of the game: what it minimizes, and what it may change.

    Attributes:
        compiled: the Keras model that carries the player's loss and optimizer.
        network: the model whose trainable variables an update changes, and no others.
        growing: whether some of these variables may not take part in the loss yet.
    """

    compiled: keras.Model
    network: keras.Model
    growing: bool = False

    @property
    def optimizer(self) -> keras.optimizers.Optimizer:
        return self.compiled.optimizer

    @property
    def variables(self) -> list[keras.Variable]:
        return self.network.trainable_variables

    def build(self):
        """Creates the optimizer's variables (Adam's are twice the weights) unless they exist.

        Only training needs them, so a model has them from its first step on, or from when its
        state is read.
        """
        if not self.optimizer.built:
            with tf.init_scope():  # the step may be being traced
                self.optimizer.build(self.variables)

    def gradients(self, tape: tf.GradientTape, loss: tf.Tensor) -> list[tf.Tensor]:
        """d loss / d variables, scaled as the optimizer asks for (float16) and `apply` undoes."""
        self.build()
        scale = self.optimizer.scale_loss(tf.ones_like(loss))
        return tape.gradient(loss, [v.value for v in self.variables], output_gradients=scale)

    def apply(self, gradients: list[tf.Tensor | None]):
        """Updates the variables; among them None is an error unless the network is growing."""
        pairs = [*zip(gradients, self.variables, strict=True)]
        if self.growing:
            pairs = [pair for pair in pairs if pair[0] is not None]
        elif missing := [v.path for g, v in pairs if g is None]:
            raise ValueError(f"the loss does not depend on {', '.join(missing)}")
        self.optimizer.apply(*zip(*pairs, strict=True))


@contextmanager
def watching(variables: list[keras.Variable]) -> Iterator[tf.GradientTape]:
    """A gradient tape that records what depends on these variables, and nothing else.

    The list says whose variables a loss may update. `trainable` is never flipped for that: Keras 3
    reads it when a step is traced, and a discriminator frozen inside `combined` stays frozen.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([v.value for v in variables])
        yield tape


@contextmanager
def kept(variables: list[keras.Variable]) -> Iterator[None]:
    """Restores the variables' values at the end: moving statistics that a pass must not change."""
    before = [tf.identity(v.value) for v in variables]
    yield
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)


def loss_name(player: str) -> str:
    """The name under which a player's loss is logged: "d_loss", "g_loss", "d_a_loss", ..."""
    return player.replace("discriminator", "d").replace("generator", "g") + "_loss"
