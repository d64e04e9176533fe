"""Noise-to-image models with several updates of D per update of G, in the plain graph and XLA."""

from functools import partial

from common.nn import losses
from common.noise_to_image import Alternating
from tests.helpers.models import (
    assert_close,
    changed_networks,
    fixed_latent,
    log_sigmoid,
    values,
)
from tests.helpers.toy_gan import BATCH, ConditionalToy, Toy, forward, made

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops


class AlternatingToy(Alternating, Toy):
    """3, 1 and 2 updates of D before the first three updates of G; records every z."""

    def __init__(self):
        super().__init__()
        self.noises = []

    def d_updates(self):
        return tf.gather(tf.constant([3, 1, 2, 9], tf.int64), self.g_steps)

    def draw_z(self, labels):
        self.noises.append(super().draw_z(labels))
        return self.noises[-1]


class OneToOneToy(Alternating, Toy):
    """One update of D, then one of G: the default."""


class AlternatingConditionalToy(ConditionalToy, Alternating):
    n_critic = 2


def step_and_changes(model):
    """One training step: its logs, and the networks that it changes."""
    logs = {}
    networks = changed_networks(model, lambda: logs.update(model.train_step(BATCH)))
    return {name: float(value) for name, value in logs.items()}, networks


def test_g_is_updated_after_the_due_updates_of_d():
    model = made(AlternatingToy)
    g_updates, d_steps, logged = [], [], []
    for _ in range(6):
        logs, networks = step_and_changes(model)
        assert "discriminator" in networks
        g_updates.append("generator" in networks)
        d_steps.append(int(model.d_steps))
        logged.append(logs["generator_steps"])
    assert g_updates == [False, False, True, True, False, True]
    assert d_steps == [1, 2, 0, 0, 1, 0]
    assert logged == [0, 0, 1, 2, 2, 3] and "generator_steps" in model.counts
    for counter in (model.g_steps, model.d_steps):
        assert any(v is counter for v in model.state()["model"])


def test_each_update_draws_fresh_noise():
    model = made(AlternatingToy)
    for _ in range(4):
        model.train_step(BATCH)
    noises = [tuple(z.numpy().ravel()) for z in model.noises]
    assert len(noises) == len(set(noises)) == 4 + 2


def test_an_update_of_g_changes_g_alone():
    model = made(AlternatingToy)
    assert changed_networks(model, lambda: model.g_step(*BATCH)) == {"generator"}


def test_g_is_updated_by_the_updated_d():
    """One step is the same as an update of D followed by one of G, which logs its loss."""
    model, other = made(OneToOneToy), made(OneToOneToy)
    logs = model.train_step(BATCH)
    other.update(*BATCH, objectives=other.d_objectives, only=["discriminator"])
    expected = other.update(*BATCH, objectives=other.g_objectives, only=["generator"])
    assert float(logs["g_loss"]) == pytest.approx(float(expected["g_loss"]), rel=1e-6)
    for name, network in model.networks.items():
        assert_close(values(network.variables), values(other.networks[name].variables))


def test_gs_loss_is_that_of_ds_batch_until_g_is_due():
    model = made(AlternatingToy)
    _, _, fake = forward(model)
    logs, networks = step_and_changes(model)
    assert networks == {"discriminator"}
    assert logs["g_loss"] == pytest.approx(-log_sigmoid(fake).mean(), rel=1e-5)


def test_class_conditional_and_alternating_combine():
    model = made(AlternatingConditionalToy)
    networks = [step_and_changes(model)[1] for _ in range(4)]
    assert networks == [{"discriminator"}, {"discriminator", "generator"}] * 2
    assert model.d_takes_class
    assert int(model.g_steps) == 2


class PenalizedCritic(Alternating, Toy):
    """Hinge loss and gradient penalty."""

    targets = (1.0, -1.0)

    def __init__(self):
        super().__init__(losses.hinge)

    def g_loss(self, real, fake):
        return losses.wasserstein(1.0, fake.output)

    def penalty(self, real, fake):
        points = losses.interpolated(real.images, fake.images, self.noise)
        norm = losses.gradient_norm(partial(self.discriminator, training=True), points)
        return 10.0 * losses.gradient_penalty(norm), {"gradient_norm": ops.mean(norm)}


def test_a_hinge_model_with_a_gradient_penalty_trains_the_same_under_xla(monkeypatch):
    """Gradient descent changes the weights by multiples of the gradients."""
    e = tf.reshape(tf.linspace(0.1, 0.9, 6), (6, 1, 1, 1))  # XLA draws other numbers from one seed
    monkeypatch.setattr(keras.random, "uniform", lambda shape, **_: e)
    results = []
    for jit in ("on", "off"):
        model = made(PenalizedCritic)
        model.latent = fixed_latent(tf.random.stateless_normal((6, 3), (1, 2)))
        model.compile(jit=jit)
        assert model.jit_step == (jit == "on")
        model.make_train_function()
        weights = [v for network in model.networks.values() for v in network.trainable_variables]
        before = values(weights)
        logs = model.train_function(iter([BATCH]))
        updates = [new - old for new, old in zip(values(weights), before, strict=True)]
        assert all(np.abs(update).max() > 1e-4 for update in updates if update.ndim == 2)
        results.append([*logs.values(), *updates])
    assert float(logs["gradient_norm"]) > 0
    for compiled, plain in zip(*results, strict=True):
        np.testing.assert_allclose(compiled, plain, rtol=1e-3, atol=1e-6)
