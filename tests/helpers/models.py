"""What the tests of models share: random batches, weights before and after an update, noise."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf


def random_batch(size=16, count=4, channels=1, classes=1, seed=0):
    """A batch of a labelled dataset.

    Returns:
        Uniform noise, float32 (count, size, size, channels) in [-1, 1), and int32 labels (count,):
        0, 1, ..., classes - 1, 0, 1, ...
    """
    x = np.random.default_rng(seed).uniform(-1, 1, (count, size, size, channels))
    return tf.constant(x, tf.float32), tf.constant(np.arange(count) % classes, tf.int32)


def count_weights(network: keras.Model) -> int:
    """Number of trainable weights."""
    return sum(int(np.prod(v.shape)) for v in network.trainable_variables)


def weight_counts(model) -> dict[str, int]:
    """`count_weights` of each of the model's networks, by name."""
    return {name: count_weights(network) for name, network in model.networks.items()}


def values(variables) -> list[np.ndarray]:
    return [v.numpy() for v in variables]


def assign(variables, arrays: Sequence[np.ndarray]):
    """Sets variables to what `values` has returned for them."""
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def randomize(network: keras.Model, deviation: float = 0.3, seed: int = 0):
    """Draws all trainable weights from N(0, deviation).

    Initial weights of 0.02 make the gradients of a narrow network as small as rounding errors.
    """
    random, weights = np.random.default_rng(seed), network.trainable_variables
    assign(weights, [random.normal(0, deviation, v.shape) for v in weights])


def magnify(model):
    """Makes the initial weights of all networks ten times as large: every loss depends on them."""
    for network in model.networks.values():
        for variable in network.trainable_variables:
            variable.assign(10 * variable)


@contextmanager
def state_restored(model) -> Iterator:
    """Restores every variable of a checkpoint at the end; yields the model."""
    variables = state_variables(model)
    before = values(variables)
    yield model
    assign(variables, before)


def state_variables(model) -> list[keras.Variable]:
    """Every variable of a checkpoint."""
    return [v for group in model.state().values() for v in group]


def changed(before: Sequence[np.ndarray], variables) -> list[bool]:
    """For each variable, whether it differs from its value before."""
    pairs = zip(before, variables, strict=True)
    return [not np.array_equal(old, new.numpy()) for old, new in pairs]


def changed_networks(model, action: Callable[[], object]) -> set[str]:
    """Names of the model's networks with a variable that the action changes."""
    before = {name: values(network.variables) for name, network in model.networks.items()}
    action()
    return {
        name
        for name, network in model.networks.items()
        if any(changed(before[name], network.variables))
    }


def unchanged_weights(model, action: Callable[[], object]) -> list[str]:
    """Paths of the trainable weights that the action does not change."""
    weights = [v for network in model.networks.values() for v in network.trainable_variables]
    before = values(weights)
    action()
    flags = changed(before, weights)
    return [v.path for v, flag in zip(weights, flags, strict=True) if not flag]


def player_update(model, player: str, gradients: dict) -> Callable[[], None]:
    """A function that updates one player by its gradients."""
    return lambda: model.players[player].apply(gradients[player])


def next_noise(model, count=4) -> tf.Tensor:
    """The z that the model's next step will draw: the random state is restored."""
    state = model.noise.state.numpy()
    z = model.latent.draw(count, model.noise)
    model.noise.state.assign(state)
    return z


def fixed_latent(z: tf.Tensor) -> SimpleNamespace:
    """Takes the place of a model's `latent` and always draws z.

    For comparing XLA with the plain graph, which draw other numbers from one seed.
    """
    return SimpleNamespace(draw=lambda count, generator: z)


def assert_close(compiled, plain, rtol=1e-4):
    """Asserts that XLA's results agree with the plain graph's: errors relative to the largest."""
    for one, other in zip(tf.nest.flatten(compiled), tf.nest.flatten(plain), strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol * np.abs(other).max())


def assert_gradients(model, gradients: dict, tape: tf.GradientTape, losses: dict, atol=1e-6):
    """Asserts that each player's gradients are those of its loss by its own weights.

    Args:
        gradients: what the model computes, by player.
        tape: a persistent tape that has recorded everything.
        losses: the losses on the tape, by player.
    """
    for player, loss in losses.items():
        expected = tape.gradient(loss, [v.value for v in model.players[player].variables])
        for one, other in zip(gradients[player], expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=atol)


def log_sigmoid(logits) -> np.ndarray:
    return -np.logaddexp(0, -np.asarray(logits, "float64"))
