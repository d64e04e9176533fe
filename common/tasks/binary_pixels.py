"""The capability of generators that draw binary pixels."""

from collections.abc import Callable
from typing import Any

from common.adversarial import Adversarial
from common.data.binarized import Binarized
from common.images.captions import beside, titled
from common.inference.sample_grid import fixed_grid
from common.inference.sampler import sampler_of
from common.tasks.capability import Capability

import numpy as np


class BinaryPixels(Capability):
    """The model may draw pixels that are black or white.

    Its instances have `discrete`, whether they do, and then `probabilities`: a network with the
    input of `sampler` whose images, in [-1, 1], are the pixels' probabilities of being white.
    """

    def sample_grid(self, model: Adversarial, data: Any) -> Callable[[], np.ndarray] | None:
        """Samples on the left, the probabilities of their pixels on the right."""
        if not model.discrete:
            return None
        networks = model.sampler, model.probabilities
        draws = [fixed_grid(sampler_of(model, network=network)) for network in networks]
        titles = "samples", "probabilities of white"
        return lambda: beside([titled(draw(), t) for draw, t in zip(draws, titles, strict=True)])

    def evaluation_data(self, model: Adversarial, data: Any) -> Any:
        """The data with binary pixels."""
        return Binarized(data) if model.discrete else data
