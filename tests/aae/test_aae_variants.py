"""AAE: priors, labels, how a step is compiled, and invalid options."""

from aae.aae import AAE
from common.errors import UserError
from common.nn.layers import BatchNormalization
from tests.aae.small_aae import (
    CLASSES,
    SIDE,
    batch,
    classify_labelled,
    decoded,
    encoded,
    next_prior_sample,
    reconstruct,
    regularize,
    restore,
    small,
    state_of,
)
from tests.helpers.models import assert_close, log_sigmoid, values

import keras
import numpy as np
import pytest
import tensorflow as tf


@pytest.mark.parametrize("options", [{}, {"labels": 7}, {"supervised": True}])
def test_only_the_supervised_variant_depends_on_the_labels_of_a_batch(options):
    model, (x, y) = small(**options), batch()
    model.autoencoder.optimizer.learning_rate = 0.0
    one, other = (
        float(reconstruct(model, x, labels)["reconstruction_loss"]) for labels in (y, (y + 1) % 3)
    )
    assert (one != other) == model.supervised


def test_the_supervised_decoder_takes_the_label():
    model, (x, y) = small(supervised=True), batch()
    code = np.concatenate([encoded(model, x), np.eye(CLASSES)[y]], axis=1)
    expected = np.mean(((np.asarray(x) + 1) / 2 - decoded(model, code)) ** 2)
    assert float(reconstruct(model, x, y)["reconstruction_loss"]) == pytest.approx(
        expected, rel=1e-5
    )
    assert model.encoder.output_shape == (None, 4) and model.classes == CLASSES
    z, y = np.ones((CLASSES, 4), "float32"), np.eye(CLASSES, dtype="float32")
    expected = decoded(model, np.concatenate([z, y], 1))
    np.testing.assert_allclose(model.sampler([z, y]), 2 * expected - 1, atol=1e-5)


@pytest.fixture
def few_labels():
    return small(labels=7)


def test_semi_supervised_codes_are_style_and_class_probabilities(few_labels):
    x, _ = batch()
    code = few_labels.encoder(x).numpy()
    assert code.shape == (8, 4 + CLASSES)
    np.testing.assert_allclose(code[:, 4:].sum(1), 1, rtol=1e-5)
    logits = few_labels.classifier(x).numpy()
    np.testing.assert_allclose(code[:, 4:], keras.ops.softmax(logits), atol=1e-6)
    prior = few_labels.prior_sample(2000).numpy()
    assert set(np.unique(prior[:, 4:])) == {0.0, 1.0}
    np.testing.assert_allclose(prior[:, 4:].mean(0), 1 / CLASSES, atol=0.05)
    np.testing.assert_allclose(prior[:, :4].std(0), 1, atol=0.06)


def test_semi_supervised_each_tower_of_d_takes_its_part_of_the_code_and_losses_are_summed(
    few_labels,
):
    x, _ = batch()
    code, prior = few_labels.encoder(x, training=True).numpy(), next_prior_sample(few_labels)
    real, fake = few_labels.discriminator(prior).numpy(), few_labels.discriminator(code).numpy()
    assert real.shape == (8, 2)
    other_class, other_style = prior.copy(), prior.copy()
    other_class[:, 4:], other_style[:, :4] = prior[:, 4:][:, ::-1], prior[:, :4] + 1
    by_class, by_style = (
        np.asarray(few_labels.discriminator(codes)) != real for codes in (other_class, other_style)
    )
    assert not by_class[:, 0].any() and by_class[:, 1].any()
    assert by_style[:, 0].any() and not by_style[:, 1].any()
    losses = regularize(few_labels, x)
    d_loss = -log_sigmoid(real).mean(0).sum() - log_sigmoid(-fake).mean(0).sum()
    assert float(losses["d_loss"]) == pytest.approx(d_loss, rel=1e-5)
    of_updated_d = few_labels.discriminator(code).numpy()
    encoder_loss = -log_sigmoid(of_updated_d).mean(0).sum()
    assert float(losses["encoder_loss"]) == pytest.approx(encoder_loss, rel=1e-5)


def test_semi_supervised_classifier_loss_is_the_cross_entropy_of_labelled_images(few_labels):
    x, y = (part.numpy() for part in few_labels.labelled)
    assert len(x) == 7 and x.min() >= -1 and x.max() <= 1
    assert np.bincount(y).tolist() == [3, 2, 2]
    state = few_labels.noise.state.numpy()
    chosen = keras.random.randint((50,), 0, 7, seed=few_labels.noise).numpy()
    few_labels.noise.state.assign(state)
    assert set(chosen) == set(range(7))
    logits = few_labels.classifier(x[chosen], training=True)  # by batch statistics
    expected = -keras.ops.log_softmax(logits).numpy()[np.arange(50), y[chosen]].mean()
    assert float(classify_labelled(few_labels, 50)["classifier_loss"]) == pytest.approx(
        expected, rel=1e-5
    )


def test_only_the_semi_supervised_encoder_is_normalized(few_labels):
    def normalizations(network):
        return sum(isinstance(layer, BatchNormalization) for layer in network.layers)

    assert normalizations(few_labels.encoder) == 2
    assert normalizations(few_labels.decoder) == normalizations(few_labels.discriminator) == 0
    assert normalizations(small().encoder) == 0


def test_the_semi_supervised_classifier_learns_the_labelled_images(few_labels):
    few_labels.classifier.optimizer.learning_rate = 0.03
    losses = [float(classify_labelled(few_labels, 20)["classifier_loss"]) for _ in range(40)]
    assert losses[-1] < 0.1 * losses[0]
    images, classes = few_labels.labelled
    assert (np.argmax(few_labels.classifier(images), axis=1) == classes.numpy()).all()


def test_a_step_without_labelled_images_is_an_error(monkeypatch):
    model = small(labels=7)
    monkeypatch.setattr(model, "labelled", None)
    with pytest.raises(ValueError, match="prepare"):
        classify_labelled(model, 2)


@pytest.mark.parametrize("prior", ["gaussian", "mixture", "swiss_roll"])
def test_the_sampler_decodes_samples_of_the_prior(prior):
    model = small(prior=prior, code_size=2, prior_std=1.5)
    z = model.latent.of_seed(0, 5)
    assert model.latent.size == (3 if prior == "mixture" else 2)
    code = 1.5 * np.asarray(model.prior(z))
    np.testing.assert_allclose(model.sampler(z), model.decoder(code), atol=1e-5)
    np.testing.assert_allclose(model.sampler(z)[2:3], model.sampler(z[2:3]), atol=1e-5)
    assert model.sampling_network is model.decoder and model.classes == 0
    assert model.prior_sample(6).shape == (6, 2)


# The compiled step.


def test_xla_computes_what_the_plain_graph_computes(monkeypatch):
    """Losses, and Adam's first moments, which after one step are multiples of the gradients."""
    model, data = small(labels=7), batch()
    prior = model.prior_sample(8)  # XLA draws other numbers from one seed
    monkeypatch.setattr(model, "prior_sample", lambda count: prior)
    monkeypatch.setattr(keras.random, "randint", lambda shape, *_, seed: tf.range(*shape) % 7)
    results = []
    for jit in ("off", "on"):
        small(labels=7).compile(jit=jit)
        assert model.jit_step == (jit == "on")
        model.make_train_function()
        losses = model.train_function(iter([data]))
        moments = [values(player.optimizer._momentums) for player in model.players.values()]
        results.append([*losses.values(), *moments])
    model.compile(jit="off")
    plain, compiled = results
    assert_close(compiled, plain)


@pytest.mark.parametrize("prior", ["mixture", "swiss_roll"])
def test_priors_under_xla(prior):
    model = small(prior=prior, code_size=2, prior_std=1.5)
    z = model.latent.of_seed(0, 50)
    compiled = tf.function(model.prior_code, jit_compile=True)(z)
    np.testing.assert_allclose(compiled, model.prior_code(z), atol=1e-4)


def test_a_step_from_a_restored_state_is_exact():
    model, data = small(labels=7), batch()
    assert any("seed" in v.path for v in model.state()["model"])
    groups = {"encoder", "decoder", "discriminator", "model"}
    players = {"reconstruction", "discriminator", "encoder", "classifier"}
    assert set(model.state()) == groups | {f"{name}_optimizer" for name in players}
    model.train_step(data)
    state = state_of(model)
    first = model.train_step(data)
    restore(model, state)
    second = model.train_step(data)
    assert {k: float(v) for k, v in first.items()} == {k: float(v) for k, v in second.items()}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 0}, "--image_size 0"),
        ({"code_size": 0}, "--code_size 0"),
        ({"hidden": 0}, "--hidden 0"),
        ({"prior_std": 0.0}, "--prior_std 0.0"),
        ({"learning_rate": 0.0}, "--learning_rate 0.0"),
        ({"adversarial_learning_rate": -1.0}, "--adversarial_learning_rate -1.0"),
        ({"beta_1": 1.0}, "--beta_1 1.0"),
        ({"prior": "mixture"}, "--prior mixture: add --code_size 2"),
        ({"prior": "swiss_roll"}, "--prior swiss_roll: add --code_size 2"),
        ({"labels": 2}, "--labels 2: .*3 or more"),
        ({"labels": -1}, "--labels -1"),
        ({"labels": 6, "supervised": True}, "--labels 6: .*--supervised"),
        ({"labels": 6, "classes": 0}, "--labels 6: .*no labels"),
        ({"supervised": True, "classes": 0}, "--supervised: .*no labels"),
    ],
)
def test_invalid_options_are_refused_by_name(options, message):
    with pytest.raises(UserError, match=message):
        AAE(**({"image_size": SIDE, "classes": CLASSES} | options))


def test_a_step_on_unlabelled_images():
    model, (x, _) = small(classes=0), batch()
    losses = model.train_step((x, tf.zeros(8, tf.int32)))
    assert all(np.isfinite(value) for value in losses.values())


def test_mixed_precision_outputs_are_float32():
    keras.config.set_dtype_policy("mixed_float16")
    model = AAE(SIDE, classes=CLASSES, code_size=4, hidden=12, supervised=True)
    model.compile(jit="off")
    z, y = tf.zeros((2, 4)), tf.one_hot([0, 1], CLASSES)
    outputs = model.sampler([z, y]), model.encoder(batch()[0]), model.discriminator(z)
    assert all(output.dtype == tf.float32 for output in outputs)
    losses = model.train_step(batch())
    assert all(np.isfinite(value) for value in losses.values())
