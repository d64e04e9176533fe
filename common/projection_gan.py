"""What SAGAN and BigGAN have in common: a hinge loss, a projection discriminator, attention."""

from typing import ClassVar

from common import errors
from common.nn import losses
from common.nn.attention import attention_of
from common.nn.optimizers import adam
from common.nn.residual import Layout, check_attention, layout_of
from common.noise_to_image import Alternating, ClassConditional, Judged
from common.players import kept

import tensorflow as tf
from keras import ops


class ProjectionGAN(ClassConditional, Alternating):
    """Class-conditional networks with spectral normalization, and an update of each in turn.

    D sees real and generated images in one pass, which counts as one power iteration of its
    spectral normalization (`common/nn/spectral.py`); the pass through D for G's update does not
    count. G's update has its own noise and classes. Classes of generated images are uniform.

    Args:
        image_size: image side in pixels: 32, 64, 128 or 256.
        width: number of filters that the layers have multiples of.
        latent_size: number of components of z.
        learning_rate: step size of the generator's Adam.
        d_learning_rate: step size of the discriminator's Adam.
        beta_1, beta_2: Adam's decay rates for the first and the second moment.
        n_critic: discriminator updates per generator update.
        attention_size: side in pixels of the maps with self-attention in both networks, 0 for none;
            default 16 for images of 32 pixels, more for larger ones.
    """

    targets: ClassVar[tuple[float, float]] = (1.0, -1.0)
    usual_attention: ClassVar[int] = 32

    def __init__(
        self,
        image_size: int = 32,
        width: int = 64,
        latent_size: int = 128,
        learning_rate: float = 1e-4,
        d_learning_rate: float = 4e-4,
        beta_1: float = 0.0,
        beta_2: float = 0.999,
        n_critic: int = 1,
        attention_size: int | None = None,
        *,
        name: str,
        **shared,
    ):
        sizes = {"image_size": image_size, "width": width, "latent_size": latent_size}
        rates = {"learning_rate": learning_rate, "beta_1": beta_1}
        super().__init__(name=name, **sizes, **rates, **shared)
        errors.above_zero(d_learning_rate=d_learning_rate)
        errors.below_one(beta_2=beta_2)
        errors.at_least_one(n_critic=n_critic)
        self.d_learning_rate, self.beta_2, self.n_critic = d_learning_rate, beta_2, n_critic
        usual = min(self.usual_attention, image_size // 2)
        self.attention_size = usual if attention_size is None else attention_size
        check_attention(self.attention_size, image_size)
        self.build_players(
            losses.hinge,
            lambda: self.adam(self.beta_2),
            d_optimizer=lambda: adam(self.d_learning_rate, self.beta_1, self.beta_2),
        )

    @property
    def layout(self) -> Layout:
        return layout_of(self.image_size)

    def objectives(self, x: tf.Tensor, labels: tf.Tensor) -> tuple[dict, dict]:
        """The losses of both players, from one pass of D over real and generated images."""
        images, classes = self.generate(labels)
        both = ops.concatenate([x, images]), ops.concatenate([labels, classes])
        on_real, on_fake = ops.split(self.judge(*both, real=True), 2)
        real, fake = Judged(x, labels, on_real), Judged(images, classes, on_fake)
        losses = {"discriminator": self.d_loss(real, fake), "generator": self.g_loss(real, fake)}
        return losses, self.logs(real, fake)

    def fake_classes(self, labels: tf.Tensor) -> tf.Tensor:
        return self.uniform_classes(labels)

    def g_objectives(self, x: tf.Tensor, labels: tf.Tensor) -> tuple[dict, dict]:
        """G's loss on fresh noise and classes; D's spectral normalization is as before."""
        with kept(self.discriminator.non_trainable_weights):
            return super().g_objectives(x, labels)

    def g_loss(self, real: Judged | None, fake: Judged) -> tf.Tensor:
        """-E[D(G(z, y), y)]."""
        return losses.wasserstein(1.0, fake.output)

    def logs(self, real: Judged, fake: Judged) -> dict[str, tf.Tensor]:
        """`g_gamma`, `d_gamma`: |gamma|, how much the attention of G and of D counts."""
        networks = {"g_gamma": self.generator, "d_gamma": self.discriminator}
        layers = {name: attention_of(network) for name, network in networks.items()}
        return {
            name: ops.abs(ops.cast(layer.gamma, "float32"))
            for name, layer in layers.items()
            if layer is not None
        }
