"""The deviation of the last values, compared with NumPy."""

from common.nn.moving_deviation import MovingDeviation

import numpy as np
import pytest
import tensorflow as tf


@pytest.mark.parametrize("jit", [None, True], ids=["graph", "xla"])
def test_the_deviation_is_that_of_the_last_values(jit):
    values = np.random.default_rng(0).normal(3, 2, 9).astype("float32")
    layer = MovingDeviation(4)
    call = tf.function(layer, jit_compile=jit, autograph=False)
    found = [float(call(tf.constant(value))) for value in values]
    expected = [values[max(0, n - 3) : n + 1].std() for n in range(len(values))]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found[0] == 0 and int(layer.count) == 4
    assert layer.trainable_variables == []
