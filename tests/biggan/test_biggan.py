"""BigGAN: the networks, chunks of z, the shared embedding, orthogonal regularization."""

import re

from biggan.biggan import BigGAN
from common import recipes, registry
from common.errors import UserError
from common.nn import losses
from common.nn.attention import attention_of
from common.nn.conditional_normalization import ConditionalBatchNormalization
from common.nn.spectral import SpectralLayer
from common.signatures import pick
from common.training import checkpoint
from tests.helpers.models import changed, random_batch, state_restored, values, weight_counts
from tests.helpers.shown_commands import parse

import keras
import numpy as np
import pytest
import tensorflow as tf

CLASSES, EMBEDDING, CHUNK = 3, 5, 2
X, Y = random_batch(32, 4, classes=CLASSES)


def small(**options):
    keras.utils.set_random_seed(1)
    sizes = {"width": 2, "latent_size": 4 * CHUNK, "embedding_size": EMBEDDING}
    return BigGAN(**({"classes": CLASSES} | sizes | options))


@pytest.fixture(scope="module")
def shared():
    """Read-only: a test restores what it changes."""
    return small()


def one_hot(classes):
    return tf.one_hot(classes, CLASSES)


def noise(count):
    return tf.constant(np.random.default_rng(2).normal(size=(count, 4 * CHUNK)), tf.float32)


def conditional(model):
    """The class-conditional normalizations of G, two for each block."""
    layers = model.generator._flatten_layers()
    return [layer for layer in layers if isinstance(layer, ConditionalBatchNormalization)]


# The networks.


def test_the_numbers_of_weights_for_32_pixels():
    for options, generator, discriminator in (
        ({"width": 64, "channels": 3, "latent_size": 80}, 4_369_156, 4_289_282),
        ({"width": 32, "latent_size": 64, "embedding_size": 32}, 1_065_794, 1_073_026),
        ({"width": 16, "latent_size": 64, "embedding_size": 32}, 294_466, 269_250),
        ({"width": 8, "latent_size": 64, "embedding_size": 32}, 87_746, 67_810),
    ):
        expected = {"generator": generator, "discriminator": discriminator}
        assert weight_counts(BigGAN(**options)) == expected


@pytest.mark.parametrize(
    ("recipe", "generator", "discriminator"),
    [("imagenet128", 70_433_988, 87_982_370), ("imagenet256", 82_235_844, 99_225_890)],
)
def test_the_papers_networks_for_imagenet(recipe, generator, discriminator, monkeypatch):
    """Their shapes and weights; orthogonal initial values would take minutes."""
    monkeypatch.setattr(keras.initializers.Orthogonal, "__call__", zeros)
    options = parse(["biggan/biggan.py", "--config", recipe]) | {"ema": 0.0}
    model = BigGAN(**pick(BigGAN, options) | {"classes": 1000})
    assert weight_counts(model) == {"generator": generator, "discriminator": discriminator}
    maps = [attention_of(each).input.shape[1:] for each in (model.generator, model.discriminator)]
    times = options["image_size"] // 128
    assert maps == [(64, 64, 192 * times), (64, 64, 96 * times)]
    assert model.generator.output.shape[1:] == (options["image_size"],) * 2 + (3,)


def zeros(self, shape, dtype=None):
    return tf.zeros(shape, dtype or "float32")


def test_all_but_the_shared_embedding_and_the_last_normalization_is_spectrally_normalized(shared):
    attention = {"self_attention/gamma"}
    others = {"shared_embedding/kernel", "batch_normalization/gamma", "batch_normalization/beta"}
    for network, rest in (
        (shared.generator, attention | others),
        (shared.discriminator, attention),
    ):
        layers = [each for each in network._flatten_layers() if isinstance(each, SpectralLayer)]
        assert all(layer.eps == 1e-6 for layer in layers)
        normalized = {id(v) for layer in layers for v in layer.trainable_variables}
        paths = [v.path for v in network.trainable_variables if id(v) not in normalized]
        assert {re.sub(r"_\d+/", "/", path) for path in paths} == rest


def test_initial_kernels_are_orthogonal(shared):
    for network in (shared.generator, shared.discriminator):
        for kernel in network.trainable_variables:
            if kernel.name == "kernel":
                w = kernel.numpy().reshape(-1, kernel.shape[-1])
                product = w.T @ w if len(w) >= w.shape[1] else w @ w.T
                np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-4)


def test_one_embedding_is_shared_by_all_normalizations(shared):
    weights = shared.generator.trainable_variables
    tables = [v for v in weights if len(v.shape) == 2 and v.shape[0] == CLASSES]
    assert [v.shape for v in tables] == [(CLASSES, EMBEDDING)]
    layers = conditional(shared)
    assert len(layers) == 6
    for layer in layers:
        assert layer.to_gain.kernel.shape[0] == layer.to_bias.kernel.shape[0] == EMBEDDING + CHUNK
        kernels = [layer.to_gain.kernel, layer.to_bias.kernel]
        before = values(kernels)
        with state_restored(shared):
            for other in layers:
                if other is not layer:
                    silence(other, slice(None))
            one, another = (shared.generator([noise(1), one_hot([c])]) for c in (0, 1))
        assert np.abs(one - another).max() > 1e-5
        assert not any(changed(before, kernels))


def silence(layer, rows):
    """Makes a normalization independent of these components of its vector."""
    for kernel in (layer.to_gain.kernel, layer.to_bias.kernel):
        value = kernel.numpy()
        value[rows] = 0
        kernel.assign(value)


@pytest.mark.parametrize("number", range(4))
def test_each_chunk_of_z_changes_the_image_by_its_own_weights_alone(shared, number):
    z = np.repeat(noise(1).numpy(), 2, axis=0)
    z[1, number * CHUNK : (number + 1) * CHUNK] += 1.0

    def difference():
        one, other = shared.generator([tf.constant(z), one_hot([1, 1])]).numpy()
        return np.abs(one - other).max()

    assert difference() > 1e-3
    with state_restored(shared):
        if number:
            for layer in conditional(shared)[2 * number - 2 : 2 * number]:
                silence(layer, slice(EMBEDDING, None))
        else:
            kernel = next(v for v in shared.generator.trainable_variables if v.shape[0] == CHUNK)
            kernel.assign(tf.zeros_like(kernel))
        assert difference() < 1e-6


def test_a_mixture_of_classes_is_linear_in_the_embedding(shared):
    weights = np.array([[0.25, 0.75, 0.0]], "float32")
    mixed = shared.generator([noise(1), tf.constant(weights)])
    embedding = shared.generator.get_layer("shared_embedding").kernel
    with state_restored(shared):
        embedding.assign(np.tile(weights @ embedding.numpy(), (CLASSES, 1)))
        np.testing.assert_allclose(shared.generator([noise(1), one_hot([2])]), mixed, atol=1e-5)


# Training.


def test_regularization_covers_the_kernels_of_g_without_the_embedding(shared):
    paths = {v.path for v in shared.regularized()}
    kernels = {v.path for v in shared.generator.trainable_variables if v.path.endswith("kernel")}
    assert kernels - paths == {"shared_embedding/kernel"}
    assert paths < kernels


def test_g_is_updated_by_the_regularization_too(shared):
    with state_restored(shared):
        without, _ = BigGAN.__mro__[1].g_objectives(shared, X, Y)
    with state_restored(shared):
        objectives, _ = shared.g_objectives(X, Y)
    expected = losses.orthogonal(shared.regularized(), 1e-4)
    assert float(expected) > 1e-4
    difference = float(objectives["generator"] - without["generator"])
    assert difference == pytest.approx(float(expected), rel=0.05, abs=2e-6)


def test_averaged_weights_with_their_own_statistics_give_the_same_images_after_reload(tmp_path):
    model = small(ema=0.5)
    model.compile(jit="off")
    model.set_average_batches([(X, Y)] * 2)
    model.g_step(X, Y)
    model.update_average_statistics()
    assert model.sampler is model.average_generator
    before = model.sampler([noise(2), one_hot([0, 1])]).numpy()
    checkpoint.save(tmp_path, 1, model)
    other = small(ema=0.5)
    checkpoint.load(checkpoint.path_of(tmp_path, 1), other)
    np.testing.assert_array_equal(other.sampler([noise(2), one_hot([0, 1])]), before)


def test_the_recipes():
    files = recipes.named(registry.file_of("biggan"))
    assert set(files) == {"mnist", "cifar10", "imagenet128", "imagenet256"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"latent_size": 10}, "--latent_size 10: give a multiple of 4"),
        ({"embedding_size": 0}, "--embedding_size 0"),
        ({"orthogonal_weight": -1.0}, "--orthogonal_weight -1.0"),
        ({"image_size": 28}, "--image_size 28: give one of 32, 64"),
        ({"classes": 1}, "2 classes or more, here are 1"),
    ],
)
def test_invalid_options_are_refused_by_name(options, said):
    with pytest.raises(UserError, match=said):
        small(**options)
