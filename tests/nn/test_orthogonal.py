"""Orthogonal regularization: values, and its gradient against the formula and differences."""

from common.nn import losses

import numpy as np
import pytest
import tensorflow as tf

RANDOM = np.random.default_rng(0)


def numpy_value(kernel, beta):
    w = kernel.reshape(-1, kernel.shape[-1]).T  # (outputs, rest)
    return beta * np.square((w @ w.T) * (1 - np.eye(len(w)))).sum()


def test_the_value_is_the_sum_over_kernels():
    kernels = [RANDOM.normal(size=shape) for shape in ((3, 3, 2, 5), (4, 6))]
    value = losses.orthogonal([tf.constant(k, tf.float32) for k in kernels], 0.01)
    assert float(value) == pytest.approx(sum(numpy_value(k, 0.01) for k in kernels), rel=1e-5)
    assert losses.orthogonal(kernels, 0.0) == 0.0


def test_orthogonal_filters_of_any_length_cost_nothing():
    q = np.linalg.qr(RANDOM.normal(size=(9, 4)))[0] * [1, 2, 3, 4]
    assert float(losses.orthogonal([tf.constant(q, tf.float32)], 1.0)) < 1e-8
    twice = np.repeat(q[:, :1], 2, axis=1)  # two equal filters of length 1
    assert float(losses.orthogonal([tf.constant(twice, tf.float32)], 1.0)) == pytest.approx(2)


@pytest.mark.parametrize("jit", [False, True])
def test_the_gradient(jit):
    kernel, beta = RANDOM.normal(size=(2, 2, 3, 4)), 0.1

    @tf.function(jit_compile=jit)
    def gradient(k):
        return tf.gradients(losses.orthogonal([k], beta), k)[0]

    found = gradient(tf.constant(kernel, tf.float32)).numpy()
    w = kernel.reshape(-1, 4).T
    formula = 4 * beta * ((w @ w.T) * (1 - np.eye(4))) @ w
    np.testing.assert_allclose(found, formula.T.reshape(kernel.shape), rtol=1e-4, atol=1e-5)
    for index in ((0, 0, 0, 0), (1, 0, 2, 3)):
        step = np.zeros_like(kernel)
        step[index] = 1e-4
        ends = (numpy_value(kernel + sign * step, beta) for sign in (1, -1))
        slope = np.subtract(*ends) / 2e-4
        assert found[index] == pytest.approx(slope, rel=1e-3, abs=1e-4)
