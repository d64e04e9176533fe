"""A model as any Keras model: `fit` on the user's own `tf.data`, and Keras' weight files."""

from dcgan.dcgan import DCGAN
from pix2pix.pix2pix import Pix2Pix

import keras
import numpy as np
import pytest
import tensorflow as tf


def images(count, side, channels, seed=0):
    random = np.random.default_rng(seed)
    return random.uniform(-1, 1, (count, side, side, channels)).astype(np.float32)


def pix2pix(**options):
    pairs = images(6, 32, 3, 0), images(6, 32, 3, 1)
    model = Pix2Pix(image_size=32, width=2, inference_statistics="moving", **options)
    return model, tf.data.Dataset.from_tensor_slices(pairs).batch(2), pairs[0]


def dcgan(**options):
    labelled = images(6, 28, 1), np.arange(6, dtype=np.int32)
    model = DCGAN(width=4, **options)
    noise = model.latent.of_seed(0, 3)
    return model, tf.data.Dataset.from_tensor_slices(labelled).batch(2), noise


@pytest.mark.parametrize("make", [pix2pix, dcgan])
def test_fit_trains_on_a_dataset_of_float_batches(make):
    model, dataset, x = make()
    before = model.sampler(x, training=False).numpy()
    seen = []
    record = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs))
    history = model.fit(dataset, epochs=2, callbacks=[record], verbose=0).history
    assert {"d_loss", "g_loss"} <= set(history) and len(history["g_loss"]) == 2 == len(seen)
    assert all(np.isfinite(values).all() for values in history.values())
    assert not np.allclose(model.sampler(x, training=False), before)


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("make", [pix2pix, dcgan])
def test_weight_files_of_keras_give_back_the_predictions(make, ema, tmp_path):
    model, dataset, x = make(ema=ema)
    model.fit(dataset, epochs=1, verbose=0)
    model.save_weights(tmp_path / "x.weights.h5")
    expected = model.sampler(x, training=False)
    other, _, _ = make(ema=ema)
    assert not np.allclose(other.sampler(x, training=False), expected)
    other.load_weights(tmp_path / "x.weights.h5")
    np.testing.assert_array_equal(other.sampler(x, training=False), expected)
    np.testing.assert_array_equal(
        other.generator(x, training=False), model.generator(x, training=False)
    )
    other.fit(dataset, epochs=1, verbose=0)  # it can be trained further


@pytest.mark.parametrize("make", [pix2pix, dcgan])
def test_the_average_is_usable_after_fit(make):
    model, dataset, x = make(ema=0.9)
    assert model.sampling_network is model.average_generator
    model.fit(dataset, epochs=2, verbose=0)
    made = model.sampler(x, training=False).numpy()
    assert np.isfinite(made).all()
    assert not np.allclose(made, model.generator(x, training=False))
    # Its moving statistics are those of its own weights.
    statistics = [v.numpy() for v in model.average_generator.non_trainable_weights]
    model.update_average_statistics()
    for before, after in zip(
        statistics, model.average_generator.non_trainable_weights, strict=True
    ):
        np.testing.assert_array_equal(before, after.numpy())
