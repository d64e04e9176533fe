"""Models that keep moving averages of their networks' weights."""

from collections.abc import Iterable

from common.errors import UserError
from common.nn.counter import add_counter
from common.nn.weight_average import WeightAverage

import keras
import tensorflow as tf

AVERAGE_BATCHES = 20  # by which the statistics of averaged weights are estimated


class Averaged(keras.Model):
    """A model with a moving average of its generator's weights, or of several networks'.

    Args:
        ema: decay of the exponential moving average of the generator's weights, in [0, 1); 0 for
            none. It is warmed up: after n updates the decay is min(ema, (1 + n) / (10 + n)), so
            that a short run does not average its initial weights. Moving statistics of batch
            normalization are not averaged; `update_average_statistics` estimates them for the
            averaged weights.

    Attributes:
        averages: the moving averages of networks' weights, by the network's name.

    Raises:
        UserError: the decay is out of range.
    """

    def __init__(self, ema: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= ema < 1:
            raise UserError(f"--ema {ema}: give a decay from 0 (none) to below 1, such as 0.999")
        self.ema = ema
        self.average_generator = None
        self.averages: dict[str, WeightAverage] = {}

    @property
    def decays(self) -> dict[str, float]:
        """Decay of the moving average of a network's weights, by the network's name; 0 for none.

        A model that averages other networks than the generator overrides this. It has each of them
        as an attribute NAME and a method `build_NAME`.
        """
        return {"generator": self.ema}

    def average_of(self, name: str) -> keras.Model:
        """The network with averaged weights; the network itself where there is no average."""
        return self.averages[name].average if name in self.averages else getattr(self, name)

    def add_averages(self):
        """Builds the averages of `decays` that are not there yet."""
        for name, decay in self.decays.items():
            if not decay or name in self.averages:
                continue
            average = getattr(self, f"build_{name}")()
            setattr(self, f"average_{name}", average)  # an attribute, so that Keras tracks it
            network, count = getattr(self, name), add_counter(self)
            self.averages[name] = WeightAverage(network, average, decay, count)

    def update_averages(self, updated: set[int]):
        """Takes new weights into the averages: those of variables (`id`) that were updated."""
        for average in self.averages.values():
            if any(id(v) in updated for v in average.network.trainable_variables):
                average.update()

    # Their moving statistics.

    def generator_inputs(self, number: int, batch: tuple):
        """What the generator takes for the `number`-th batch: by default, its first tensor."""
        return batch[0]

    def average_inputs(self, name: str, number: int, batch: tuple):
        """What a network that is averaged takes for the `number`-th batch.

        The generator takes its `generator_inputs`; another network, by default, the batch's first
        tensor.
        """
        return self.generator_inputs(number, batch) if name == "generator" else batch[0]

    def set_average_batches(self, batches: Iterable[tuple]):
        """Sets the batches by which `update_average_statistics` estimates moving statistics.

        They are to be the same in every process of a run: then the statistics are a function of the
        weights alone, and a resumed run has the same.
        """
        normalized = {name: each for name, each in self.averages.items() if each.normalized}
        batches = [*enumerate(batches)] if normalized else []
        for name, average in normalized.items():
            average.inputs = [self.average_inputs(name, *numbered) for numbered in batches]

    def update_average_statistics(self):
        """Estimates the moving statistics of the averages for their weights as they are.

        To be called before they are used or saved; does nothing where there are none, or where they
        have not changed since the last time.
        """
        for average in self.averages.values():
            average.update_statistics()

    def fit(self, x=None, *arguments, **options) -> keras.callbacks.History:
        """Keras' `fit`, which leaves the averages ready for use.

        Where no batches were set by `set_average_batches`, their moving statistics are estimated by
        the first ones of the dataset `x`.
        """
        history = super().fit(x, *arguments, **options)
        unset = any(each.normalized and not each.inputs for each in self.averages.values())
        if unset and isinstance(x, tf.data.Dataset):
            self.set_average_batches(x.take(AVERAGE_BATCHES))
        self.update_average_statistics()
        return history
