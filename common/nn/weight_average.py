"""Moving averages of a network's weights, with moving statistics that belong to them.

Averaged weights have other activations than the weights that they average, and the average of the
moving statistics of batch normalization is not the statistics of these activations. So they are
estimated anew, on some batches.
"""

from collections.abc import Iterable

import keras
from keras import ops


class WeightAverage:
    """The moving average of a network's weights.

    Args:
        network: holds the current weights.
        average: network of the same architecture, to hold the averages.
        decay: decay in the long run, in (0, 1); it is warmed up, as `update` says.
        count: number of updates, an integer variable.

    Attributes:
        inputs: batches by which `update_statistics` estimates moving statistics.
    """

    def __init__(
        self, network: keras.Model, average: keras.Model, decay: float, count: keras.Variable
    ):
        self.network, self.average, self.decay, self.count = network, average, decay, count
        self.inputs: list = []
        self._estimated_at = 0  # updates that it had when its statistics were estimated
        self.restart()

    @property
    def normalized(self) -> bool:
        """Whether it has moving statistics."""
        return bool(normalizations(self.average))

    def restart(self):
        """Sets the averages to the network's weights."""
        self.average.set_weights(self.network.get_weights())

    def update(self):
        """Takes the network's weights into the averages."""
        update(self.average, self.network, self.decay, self.count)

    def update_statistics(self):
        """Estimates the moving statistics for the averages as they are, by `inputs`.

        Does nothing without inputs, or if the averages have not changed since the last time.
        """
        if self.inputs and self._estimated_at != int(self.count):
            estimate_statistics(self.average, self.inputs)
            self._estimated_at = int(self.count)


def update(average: keras.Model, network: keras.Model, ema: float, count: keras.Variable):
    """Updates averaged weights by the weights of a network of the same architecture.

    The decay warms up: after n updates it is min(ema, (1 + n) / (10 + n)), so that a short run does
    not average its initial weights. Moving statistics are the network's, until they are estimated.

    Args:
        average: holds the averages.
        network: holds the current weights.
        ema: decay in the long run, in (0, 1).
        count: n, an integer variable, which is incremented.
    """
    n = ops.cast(count, "float32")
    decay = ops.minimum(ema, (1.0 + n) / (10.0 + n))
    pairs = zip(average.trainable_variables, network.trainable_variables, strict=True)
    for mean, weight in pairs:
        mean.assign(decay * mean + (1.0 - decay) * weight)
    pairs = zip(average.non_trainable_weights, network.non_trainable_weights, strict=True)
    for own, current in pairs:
        own.assign(current)
    count.assign_add(1)


def normalizations(network: keras.Model) -> list[keras.layers.BatchNormalization]:
    """The network's batch normalizations that use moving statistics at inference."""
    return [
        layer
        for layer in network._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
        and getattr(layer, "inference_statistics", "moving") == "moving"
    ]


def estimate_statistics(network: keras.Model, inputs: Iterable):
    """Sets the moving statistics to the mean of the statistics of some batches.

    A function of the weights and the inputs: it depends on nothing that the statistics were before,
    and no other variable of the network changes, the random state of its dropout included.

    Args:
        network: a functional model.
        inputs: batches of what it takes, one or more.
    """
    layers = normalizations(network)
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    statistics = {id(v) for layer in layers for v in layer.non_trainable_variables}
    others = [v for v in network.non_trainable_variables if id(v) not in statistics]
    before = [v.numpy() for v in others]
    try:
        for number, batch in enumerate(inputs):
            for layer in layers:  # the k-th batch counts 1 / k: their mean
                layer.momentum = number / (number + 1)
            network(batch, training=True)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for variable, value in zip(others, before, strict=True):
            variable.assign(value)
