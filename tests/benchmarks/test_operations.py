"""Floating-point operations against closed forms, and profiles of a step."""

from benchmarks import operations
from benchmarks.cases import CASES, Sizes

import pytest
import tensorflow as tf
from keras import layers


def test_operations_of_a_convolution_and_its_gradients():
    layer = layers.Conv2D(5, 3, padding="same", use_bias=False)
    x = tf.ones((2, 8, 8, 4))
    layer(x)

    @tf.function
    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        return tape.gradient(y, [x, layer.kernel.value])

    forward = (
        2 * (2 * 8 * 8 * 5) * (3 * 3 * 4)
    )  # a multiplication and an addition for each weight and output
    assert operations.floating_point_operations(layer, (x,)) == forward
    # The output and the gradients with respect to x and the kernel take the same number each.
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
def test_operations_of_other_layers(layer, shape, expected):
    x = tf.ones(shape)
    layer(x)
    assert operations.floating_point_operations(layer, (x,)) == expected


def test_the_profile_finds_the_most_expensive_operation():
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
def test_names_of_operations_in_profiles(event, name):
    assert operations._operation_name(event) == name


def test_operations_once_a_round_are_counted_for_wgan():
    case, sizes = CASES["wgan"], Sizes(image_size=32, width=4, batch_size=2)
    model = case.build(sizes)
    batch = tuple(map(tf.constant, case.batch(model, sizes.batch_size)))
    every_step, once = (
        operations.floating_point_operations(function, batch)
        for function in (lambda *b: model.train_step(b), lambda *b: case.once(model, b))
    )
    assert 0 < once < every_step * 2
