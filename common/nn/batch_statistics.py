"""Moving statistics of batch normalization, estimated anew for weights that were not trained.

An average of weights has other activations than the weights that it averages, and the average of
their moving statistics is not the statistics of these activations.
"""

from collections.abc import Iterable

import keras


def normalizations(network: keras.Model) -> list[keras.layers.BatchNormalization]:
    """The network's batch normalizations that use moving statistics at inference."""
    return [
        layer
        for layer in network._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
        and getattr(layer, "inference_statistics", "moving") == "moving"
    ]


def estimate(network: keras.Model, inputs: Iterable):
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
