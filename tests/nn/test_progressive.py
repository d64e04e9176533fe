"""Pixel norms, minibatch deviations and fades against NumPy."""

from common.nn.progressive import (
    GrowingDiscriminator,
    Grown,
    MinibatchStandardDeviation,
    PixelNormalization,
    doubled,
    faded,
    lerp,
    width_at,
)

import keras
import numpy as np
import pytest
import tensorflow as tf

X = np.random.default_rng(0).normal(1, 2, (8, 4, 4, 3)).astype("float32")
MIXED = ["mixed_float16", "mixed_bfloat16"]


def test_a_pixel_norm_against_numpy():
    x = X.astype("float64")
    expected = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-8)
    np.testing.assert_allclose(PixelNormalization()(X), expected, rtol=1e-5)
    z = x.reshape(8, -1)
    expected = z / np.sqrt((z**2).mean(axis=-1, keepdims=True) + 1e-8)
    np.testing.assert_allclose(PixelNormalization()(z.astype("float32")), expected, rtol=1e-5)
    assert np.abs(PixelNormalization()(np.zeros((2, 3)))).max() == 0


@pytest.mark.parametrize("policy", MIXED)
def test_a_pixel_norm_is_computed_in_float32(policy):
    """The square of 300 overflows in float16."""
    x = tf.cast(300 * X, policy.removeprefix("mixed_"))
    y = PixelNormalization(dtype=policy)(x)
    assert y.dtype == x.dtype
    np.testing.assert_allclose(
        tf.cast(y, tf.float32), PixelNormalization()(X), rtol=0.02, atol=0.02
    )


def deviation_maps(x, group):
    """Image i is in group i mod (B / group)."""
    x, groups = x.astype("float64"), len(x) // group
    maps = np.empty((*x.shape[:3], 1))
    for g in range(groups):
        of_group = x[g::groups]
        assert len(of_group) == group
        maps[g::groups] = np.sqrt(of_group.var(axis=0) + 1e-8).mean()
    return maps


@pytest.mark.parametrize("group", [1, 2, 4, 8])
def test_minibatch_deviations_against_numpy(group):
    y = MinibatchStandardDeviation(group)(X)
    np.testing.assert_array_equal(y[..., :3], X)
    np.testing.assert_allclose(y[..., 3:], deviation_maps(X, group), rtol=1e-5)
    assert MinibatchStandardDeviation(group).compute_output_shape(X.shape) == y.shape


def test_a_smaller_batch_is_one_group():
    y = MinibatchStandardDeviation(16)(X)
    np.testing.assert_allclose(y[..., 3:], deviation_maps(X, 8), rtol=1e-5)


def test_a_batch_of_unknown_size():
    graph = tf.function(
        lambda x: MinibatchStandardDeviation(4)(x),
        input_signature=[tf.TensorSpec((None, 4, 4, 3))],
        autograph=False,
    )
    for count, group in ((8, 4), (4, 4), (2, 2)):
        expected = deviation_maps(X[:count], group)
        np.testing.assert_allclose(graph(tf.constant(X[:count]))[..., 3:], expected, rtol=1e-5)


def slopes(layer, x):
    """The gradient by x of the squared gradient by x of a function of the deviation."""
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = tf.reduce_sum(tf.sin(layer(x)))
        loss = tf.reduce_sum(tf.square(inner.gradient(y, x)))
    return outer.gradient(loss, x)


def test_second_gradients_of_the_deviation_under_xla():
    layer, x = MinibatchStandardDeviation(4), tf.constant(X)
    compiled, plain = tf.function(slopes, jit_compile=True)(layer, x), slopes(layer, x)
    np.testing.assert_allclose(compiled, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("policy", MIXED)
def test_the_deviation_is_computed_in_float32(policy):
    """Differences of 0.001 around 1 vanish when squared in float16."""
    x = tf.cast(1 + 0.01 * X, policy.removeprefix("mixed_"))
    y = MinibatchStandardDeviation(4, dtype=policy)(x)
    assert y.dtype == x.dtype
    expected = deviation_maps(tf.cast(x, tf.float32).numpy(), 4)
    np.testing.assert_allclose(tf.cast(y[..., 3:], tf.float32), expected, rtol=0.01)


def test_widths_of_the_paper():
    """nf(s) = min(8192 / 2^s, 512), and the layers of side 2^r have nf(r - 1)."""
    sides = [4, 8, 16, 32, 64, 128, 256, 512, 1024]
    widths = [width_at(side, 8192, 512) for side in sides]
    assert widths == [512, 512, 512, 512, 256, 128, 64, 32, 16]
    assert [width_at(side, 1024, 128) for side in sides[:4]] == [128, 128, 128, 64]
    assert width_at(1024, 16, 4) == 1


def numpy_faded(x, fade):
    count, side, _, channels = x.shape
    coarse = x.reshape(count, side // 2, 2, side // 2, 2, channels).mean(axis=(2, 4))
    return (1 - fade) * x + fade * coarse.repeat(2, axis=1).repeat(2, axis=2)


@pytest.mark.parametrize("fade", [0.0, 0.3, 1.0])
def test_real_images_fade_into_their_coarse_ones(fade):
    np.testing.assert_allclose(faded(X, fade), numpy_faded(X, fade), rtol=1e-5, atol=1e-6)
    if fade == 0:
        np.testing.assert_array_equal(faded(X, fade), X)


def test_doubled_is_nearest_neighbour():
    np.testing.assert_array_equal(doubled(X), X.repeat(2, axis=1).repeat(2, axis=2))


def test_an_image_at_a_level():
    images = [np.random.default_rng(k).normal(size=(2, 2**k, 2**k, 3)) for k in (1, 2, 3)]
    enlarged = [x.repeat(8 // x.shape[1], axis=1).repeat(8 // x.shape[1], axis=2) for x in images]
    grown = Grown(level=1.0)
    np.testing.assert_allclose(grown(images), enlarged[1], rtol=1e-6)
    for level, k, fade in ((0, 0, 0), (0.75, 1, 0.25), (1, 1, 0), (1.4, 2, 0.6), (2, 2, 0)):
        grown.level.assign(level)
        expected = (1 - fade) * enlarged[k] + fade * enlarged[k - 1] if fade else enlarged[k]
        np.testing.assert_allclose(grown(images), expected, rtol=1e-4, atol=1e-5)
    assert not grown.trainable_variables and len(grown.variables) == 1


@pytest.fixture(scope="module")
def discriminator():
    """Of images of 4, 8 and 16 pixels; all layers are linear."""
    keras.utils.set_random_seed(3)

    def network(shape, *layers):
        return keras.Sequential([keras.Input(shape), *layers])

    dense = {side: network((side, side, 1), keras.layers.Dense(5)) for side in (4, 8, 16)}
    pool = keras.layers.AveragePooling2D(2)
    pools = {side: network((side, side, 5), keras.layers.Dense(5), pool) for side in (8, 16)}
    last = network((4, 4, 5), keras.layers.Flatten(), keras.layers.Dense(1))
    network = GrowingDiscriminator(dense, pools | {4: last}, name="discriminator")
    network(np.zeros((1, 16, 16, 1)), fade=0.5)
    network(np.zeros((1, 8, 8, 1)), fade=0.5)
    return network


def test_a_discriminator_fades_from_the_coarser_input(discriminator):
    x = np.random.default_rng(0).normal(size=(2, 16, 16, 1)).astype("float32")
    coarse = x.reshape(2, 8, 2, 8, 2, 1).mean(axis=(2, 4))
    whole, new = discriminator(x), discriminator(x, fade=0.0)
    np.testing.assert_allclose(new, whole, atol=1e-6)
    np.testing.assert_allclose(discriminator(x, fade=1.0), discriminator(coarse), atol=1e-5)
    halfway = discriminator(x, fade=0.25)  # linear, so are its fades
    expected = 0.75 * whole + 0.25 * discriminator(coarse)
    np.testing.assert_allclose(halfway, expected, rtol=1e-4, atol=1e-4)


def test_all_layers_are_the_discriminators(discriminator):
    dense = 3 * (5 + 5) + 2 * (25 + 5) + 80 + 1
    assert sum(np.prod(v.shape) for v in discriminator.trainable_variables) == dense


def test_lerp_is_exact_at_both_ends():
    fine, coarse = tf.constant(X), tf.constant(1e6 * X[::-1])
    np.testing.assert_array_equal(lerp(fine, coarse, 0.0), fine)
    np.testing.assert_array_equal(lerp(fine, coarse, 1.0), coarse)
