"""Benchmarks: floating-point operations against closed forms, and the profile of a step."""

from benchmarks import operations
from benchmarks.cases import CASES, Sizes

import pytest
import tensorflow as tf
from keras import layers


def test_a_convolution_and_its_gradients_take_what_the_closed_form_says():
    layer = layers.Conv2D(5, 3, padding="same", use_bias=False)
    x = tf.ones((2, 8, 8, 4))
    layer(x)

    @tf.function
    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        return tape.gradient(y, [x, layer.kernel.value])

    forward = 2 * (2 * 8 * 8 * 5) * (3 * 3 * 4)  # a product and a sum for each weight and output
    assert operations.floating_point_operations(layer, (x,)) == forward
    # The gradient by x, that by the kernel, and the output, each as much.
    assert operations.floating_point_operations(gradients, (x,)) == 3 * forward


@pytest.mark.parametrize(
    "layer, shape, expected",
    [
        (layers.Dense(7, use_bias=False), (3, 11), 2 * 3 * 11 * 7),
        (
            layers.Conv2DTranspose(2, 4, 2, padding="same", use_bias=False),
            (1, 5, 5, 3),
            2 * (5 * 5 * 3) * (4 * 4 * 2),
        ),
    ],
)
def test_other_layers(layer, shape, expected):
    x = tf.ones(shape)
    layer(x)
    assert operations.floating_point_operations(layer, (x,)) == expected


def test_the_profile_finds_the_costliest_operation():
    a = tf.random.stateless_normal((600, 600), [1, 2])

    @tf.function
    def step(a):
        return tf.reduce_sum(tf.nn.relu(tf.matmul(a, a)))

    step(a)
    shares = operations.profile(lambda: step(a).numpy(), rounds=3)
    assert shares[0].name.endswith("MatMul")
    assert 0 < operations.share_of_products(shares) <= 1
    assert sum(each.share for each in shares) <= 1
    assert shares == sorted(shares, key=lambda each: -each.seconds)


@pytest.mark.parametrize(
    "event, name",
    [
        ("generator/conv/convolution:_MklNativeConv2D", "generator/conv/convolution: Conv2D"),
        ("d/conv/BiasAdd:_FusedConv2D", "d/conv/BiasAdd: Conv2D"),
        ("CpuExecutable::ExecuteAsyncOnStream", "compiled by XLA: optimizers, or the step"),
        ("StatefulPartitionedCall:StatefulPartitionedCall", None),
        ("EagerLocalExecute: __inference_train_step_9072", None),
        ("ExecutorState::Process", None),
        ("train_step", None),
    ],
)
def test_what_is_an_operation(event, name):
    assert operations._readable(event) == name


def test_what_a_wgan_does_once_a_round_counts():
    case, sizes = CASES["wgan"], Sizes(image_size=32, width=4, batch_size=2)
    model = case.build(sizes)
    batch = tuple(map(tf.constant, case.batch(model, sizes.batch_size)))
    often, once = (
        operations.floating_point_operations(function, batch)
        for function in (lambda *b: model.train_step(b), lambda *b: case.once(model, b))
    )
    assert 0 < once < often * 2
