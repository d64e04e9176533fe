"""Objectives on equal networks: the networks are equal, and the table of the results."""

from benchmarks.objectives import IMAGES_COMMON, OBJECTIVES, table, with_equal_networks
from tests.helpers.models import weight_counts

import keras
import pytest


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_networks_of_all_objectives_are_equal(name):
    objective = OBJECTIVES[name]
    model = with_equal_networks(objective)(**IMAGES_COMMON | objective.options)
    first = OBJECTIVES["cross_entropy" if objective.normalize else "cross_entropy_plain_d"]
    other = with_equal_networks(first)(**IMAGES_COMMON | first.options)
    assert weight_counts(model) == weight_counts(other)
    kinds = [type(layer) for layer in model.discriminator.layers]
    normalized = any(issubclass(kind, keras.layers.BatchNormalization) for kind in kinds)
    assert normalized == objective.normalize


def test_a_row_has_mean_and_spread_over_the_seeds():
    runs = [{"objective": "a", "seed": seed, "modes": value} for seed, value in enumerate([2, 4])]
    assert table(runs) == [("objective", "modes"), ("a", "3 ± 1")]
