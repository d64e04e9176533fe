"""Content losses: preprocessing, layers, distances, and the fallback without weights."""

from common.errors import UserError
from common.io import keras_cache
from common.nn import losses, perceptual

import keras
import numpy as np
import pytest

X = np.random.default_rng(0).uniform(-1, 1, (2, 2, 32, 32, 3)).astype("float32")


@pytest.fixture(scope="module")
def features():
    return perceptual.vgg19_features("block2_conv2")


def test_features_equal_those_of_keras_with_its_preprocessing(features):
    vgg = keras.applications.VGG19(include_top=False, weights=None)
    plain = keras.Model(vgg.input, vgg.get_layer("block2_conv2").output)
    plain.set_weights(features.get_weights())
    prepared = keras.applications.vgg19.preprocess_input((X[0].astype("float64") + 1) * 127.5)
    ours = np.asarray(features(X[0]))
    assert ours.shape == (2, 16, 16, 128)
    np.testing.assert_allclose(ours, plain(prepared), rtol=1e-3, atol=1e-3)
    assert ours.min() == 0 < ours.max()  # after the activation
    assert not features.trainable_variables


def test_the_layers_are_those_of_the_paper():
    vgg = keras.applications.VGG19(include_top=False, weights=None)
    names = [layer.name for layer in vgg.layers]
    for key, pooling, convolution in (("vgg54", 5, 4), ("vgg22", 2, 2)):
        name = perceptual.LAYERS[key]
        # phi_{i,j}: the j-th convolution before the i-th pooling (section 2.2.1).
        before = names[: names.index(f"block{pooling}_pool")]
        since = before[names.index(f"block{pooling - 1}_pool") + 1 :]
        assert since[convolution - 1] == name
    assert "block2_conv2" in names


def test_distance_is_the_mean_squared_difference_of_scaled_features():
    def stub(x, training):
        return 3.0 * x[:, ::2]

    x, y = X
    expected = np.mean(((3 * x[:, ::2] - 3 * y[:, ::2]) / 12.75) ** 2)
    assert float(perceptual.distance(stub)(x, y)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16"])
def test_features_are_float32_under_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    assert perceptual.vgg19_features("block1_conv1")(X[0]).dtype == "float32"
    assert keras.config.dtype_policy().name == policy


@pytest.fixture
def no_weights(monkeypatch):
    def missing(*_):
        raise UserError("VGG19 needs w.h5, which could not be downloaded")

    monkeypatch.setattr(keras_cache, "weights_file", missing)


def test_without_weights_the_default_is_the_pixel_loss(no_weights, capsys):
    assert perceptual.content_loss(None) == ("mse", losses.mse)
    output = capsys.readouterr().out
    assert "w.h5" in output and "--content mse" in output


def test_a_loss_asked_for_by_name_is_never_replaced(no_weights):
    with pytest.raises(UserError, match=r"--content vgg22: VGG19 needs .* --content mse"):
        perceptual.content_loss("vgg22")
    assert perceptual.content_loss("mse") == ("mse", losses.mse)


def test_with_weights_the_default_is_vgg(monkeypatch):
    asked = []
    monkeypatch.setattr(keras_cache, "weights_file", lambda *a: asked.append(a) or "w.h5")
    monkeypatch.setattr(perceptual, "vgg19_features", lambda layer, path: (layer, path))
    monkeypatch.setattr(perceptual, "distance", lambda features: features)
    assert perceptual.content_loss(None) == ("vgg54", ("block5_conv4", "w.h5"))
    assert perceptual.content_loss("vgg22") == ("vgg22", ("block2_conv2", "w.h5"))
    assert asked[0][0].endswith("_notop.h5") and asked[0][1].endswith(asked[0][0])
