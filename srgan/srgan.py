"""SRGAN: single-image super-resolution with a perceptual loss.

Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network
Christian Ledig, Lucas Theis, Ferenc Huszar, Jose Caballero, Andrew Cunningham, Alejandro Acosta,
Andrew Aitken, Alykhan Tejani, Johannes Totz, Zehan Wang, Wenzhe Shi. CVPR 2017, arXiv:1609.04802

With I_HR an image, I_LR the same downscaled, G(I_LR) its reconstruction and phi VGG19's features:

    stage 1    L_G = mean (I_HR - G(I_LR))^2                               (equation 4)
    stage 2    L_G = mean (phi(I_HR) - phi(G(I_LR)))^2 + 1e-3 (-log D(G(I_LR)))   (3, 5, 6)
               L_D = -log D(I_HR) - log(1 - D(G(I_LR)))                    (equation 2)

Stage 1 gives SRResNet; stage 2 starts from it, and in its second half the learning rate is a tenth
(section 3.2). Low-resolution images are in [0, 1] and high-resolution ones in [-1, 1], as there.

Deviations: G and D are updated at once from one forward pass of G and one of D over its images,
where the paper alternates. Training images are also mirrored and rotated (--augment). The output
has no tanh, whose saturation costs PSNR at black and white: values out of range are clipped.

    python3 srgan/srgan.py --dataset div2k
"""

import sys
from pathlib import Path
from typing import ClassVar, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import cli, errors
from common.errors import UserError
from common.nn import losses, perceptual
from common.nn.layers import BatchNormalization, PixelShuffle
from common.nn.optimizers import adam
from common.plan import Plan
from common.players import Player
from common.staged import Stage, Staged
from common.tasks.super_resolution import SuperResolution

import keras
import tensorflow as tf
from keras.layers import Activation, Add, Conv2D, Dense, LeakyReLU, PReLU


class SRGAN(Staged):
    """SRResNet with sub-pixel upsampling: first alone, then against an eight-layer discriminator.

    Args:
        scale: upscaling factor, 4 as in the paper or 2.
        image_size: side of the high-resolution training patches in pixels, a multiple of `scale`.
        blocks: residual blocks of the generator; 16 in the paper.
        width: number of filters of the first convolution of each network; 64 in the paper.
        pooling: what turns the discriminator's last map into a vector: flatten as in the paper, or
            global average pooling, which needs a fraction of the weights.
        stage: stages to train: both; mse, stage 1 alone; gan, stage 2 alone, from the run --begin.
        pretrain_steps: steps of stage 1.
        gan_steps: steps of stage 2; the learning rate falls to a tenth after half of them.
        begin: run whose generator stage 2 starts from with --stage gan: as it was at the end of its
            stage 1, or after its last step if it had one stage only.
        content: content loss of stage 2: vgg54 or vgg22 in VGG19's features, mse in pixels.
            Default: vgg54 if its weights are on disk or can be downloaded, else mse.
        adversarial_weight: weight of the adversarial loss beside the content loss.
        learning_rate: step size of Adam, for both networks.
        beta_1: Adam's decay rate for the first moment.
        ema: decay of the moving average of the generator's weights, from 0 (none) to below 1.
    """

    logged = ("resnet_loss", "mse", "content", "adversarial", "d_loss", "g_loss")
    defaults: ClassVar[dict] = {
        "batch_size": 16,
        "sample_every": 1000,
    }

    def __init__(
        self,
        scale: Literal[2, 4] = 4,
        image_size: int = 96,
        blocks: int = 16,
        width: int = 64,
        pooling: Literal["flatten", "global"] = "flatten",
        stage: Literal["both", "mse", "gan"] = "both",
        pretrain_steps: int = 1_000_000,
        gan_steps: int = 200_000,
        begin: str | None = None,
        content: Literal["vgg54", "vgg22", "mse"] | None = None,
        adversarial_weight: float = 1e-3,
        learning_rate: float = 1e-4,
        beta_1: float = 0.9,
        ema: float = 0.0,
    ):
        super().__init__(ema=ema, name="srgan")
        errors.at_least_one(blocks=blocks, width=width)
        errors.at_least_one(pretrain_steps=pretrain_steps, gan_steps=gan_steps)
        errors.above_zero(learning_rate=learning_rate)
        errors.not_negative(adversarial_weight=adversarial_weight)
        errors.below_one(beta_1=beta_1)
        if image_size < 16 or image_size % scale:
            raise UserError(f"--image_size {image_size}: give a multiple of {scale} from 16 up")
        self.scale, self.image_size = scale, image_size
        self.blocks, self.width, self.pooling = blocks, width, pooling
        self.stage_option, self.begin_run, self.content = stage, begin, content
        self.mse_steps = pretrain_steps if stage != "gan" else 0
        self.gan_steps = gan_steps if stage != "mse" else 0
        self.adversarial_weight = adversarial_weight
        self.content_distance = losses.mse  # until `prepare`
        stages = (
            Stage(self.mse_steps, self.resnet_objectives, ("resnet",)),
            Stage(self.gan_steps, self.objectives, ("discriminator", "generator")),
        )
        self.set_stages([stage for stage in stages if stage.steps])

        self.generator = self.build_generator()
        if self.mse_steps:
            self.generator.compile(loss=losses.mse, optimizer=adam(learning_rate, beta_1))
        if self.gan_steps:
            self.discriminator = self.build_discriminator()
            self.discriminator.compile(
                loss=losses.cross_entropy, optimizer=adam(learning_rate, beta_1)
            )
            lr = keras.Input((image_size // scale, image_size // scale, 3))
            sr = self.generator(lr)
            self.combined = keras.Model(lr, [self.discriminator(sr), sr], name="combined")
            self.combined.compile(
                loss=[losses.cross_entropy, self.content_loss],
                loss_weights=[adversarial_weight, 1.0],
                optimizer=adam(learning_rate, beta_1),
            )
        self.compile()

    # Who plays, and for how long.

    @property
    def players(self) -> dict[str, Player]:
        """The generator has an optimizer for each stage: those of stage 1 do not fit stage 2."""
        players = {}
        if self.mse_steps:
            players["resnet"] = Player(self.generator, self.generator)
        return players | (super().players if self.gan_steps else {})

    def rate_factor(self, step: int) -> float:
        """1; a tenth in the second half of stage 2 (section 3.2)."""
        return 0.1 if 2 * (step - self.mse_steps) >= self.gan_steps > 0 else 1.0

    @property
    def plan(self) -> Plan:
        if (self.stage_option == "gan") != (self.begin_run is not None):
            raise UserError("--stage gan and --begin RUN belong together: give both, or neither")
        return super().plan._replace(
            resolved={"content": self.content},  # a resumed run must not take another one
            initial_run=self.begin_run,
            initial_step=end_of_stage_1,
        )

    def prepare(self, data):
        """Loads the network of the content loss."""
        if self.gan_steps:
            self.content, self.content_distance = perceptual.content_loss(self.content)

    # The networks (figure 4).

    def build_generator(self) -> keras.Model:
        """SRResNet: images (B, H, W, 3) in [0, 1] -> (B, scale H, scale W, 3), about [-1, 1]."""

        def convolved(h, filters, kernel=3):
            return Conv2D(filters, kernel, padding="same")(h)

        def activated(h):  # one slope a channel, so that any size can go through
            return PReLU(keras.initializers.Constant(0.25), shared_axes=[1, 2])(h)

        x = keras.Input((None, None, 3))
        h = first = activated(convolved(x, self.width, 9))
        for _ in range(self.blocks):
            skip = h
            h = activated(normalized(convolved(h, self.width)))
            h = Add()([normalized(convolved(h, self.width)), skip])
        h = Add()([normalized(convolved(h, self.width)), first])
        for _ in range(self.scale // 2):  # (B, 2H, 2W, width), (B, 4H, 4W, width)
            h = activated(PixelShuffle(2)(convolved(h, 4 * self.width)))
        h = Activation("linear", dtype="float32")(convolved(h, 3, 9))
        return keras.Model(x, h, name="generator")

    @property
    def halo(self) -> int:
        """Radius of the generator's receptive field in pixels of its input, rounded up."""
        # 9x9, the blocks, two 3x3; then what looks at finer pixels: 3x3 and 9x9, or 9x9 alone.
        return 4 + 2 * self.blocks + 2 + 2

    def build_discriminator(self) -> keras.Model:
        """High-resolution images (B, S, S, 3) in [-1, 1] -> logits (B, 1)."""
        x = keras.Input((self.image_size, self.image_size, 3))
        h = LeakyReLU(0.2)(Conv2D(self.width, 3, padding="same")(x))
        for k in range(1, 8):  # filters double with every other convolution, sides halve between
            filters, strides = self.width * 2 ** (k // 2), 1 + k % 2
            h = Conv2D(filters, 3, strides, padding="same")(h)
            h = LeakyReLU(0.2)(normalized(h))
        if self.pooling == "global":
            h = keras.layers.GlobalAveragePooling2D(keepdims=True)(h)
        h = keras.layers.Flatten()(h)  # 18,432 for 96x96, or 512
        h = LeakyReLU(0.2)(Dense(16 * self.width)(h))
        h = Activation("linear", dtype="float32")(Dense(1)(h))
        return keras.Model(x, h, name="discriminator")

    # The two stages.

    def content_loss(self, hr: tf.Tensor, sr: tf.Tensor) -> tf.Tensor:
        """Distance of super-resolved images from their originals, in features or in pixels."""
        return self.content_distance(hr, sr)

    def resnet_objectives(self, lr: tf.Tensor, hr: tf.Tensor) -> tuple[dict, dict]:
        """Stage 1: the generator alone.

        Args:
            lr: low-resolution images, float32 (B, S / scale, S / scale, 3) in [0, 1].
            hr: their originals, float32 (B, S, S, 3) in [-1, 1].
        """
        mse = self.generator.compute_loss(y=hr, y_pred=self.generator(lr, training=True))
        return {"resnet": mse}, {"mse": mse}

    def objectives(self, lr: tf.Tensor, hr: tf.Tensor) -> tuple[dict, dict]:
        """Stage 2: G and D, on the same batch."""
        fake, sr = self.combined(lr, training=True)
        real = self.discriminator(hr, training=True)
        d_loss = self.discriminator.compute_loss(y=tf.ones_like(real), y_pred=real)
        d_loss += self.discriminator.compute_loss(y=tf.zeros_like(fake), y_pred=fake)
        g_loss = self.combined.compute_loss(y=[tf.ones_like(fake), hr], y_pred=[fake, sr])
        adversarial = losses.cross_entropy(tf.ones_like(fake), fake)
        content = g_loss - self.adversarial_weight * adversarial
        logs = {"mse": losses.mse(hr, sr), "content": content, "adversarial": adversarial}
        return {"discriminator": d_loss, "generator": g_loss}, logs


def end_of_stage_1(options: dict, newest: int) -> int:
    """The step of a run to start stage 2 from: where its stage 1 ended, if it had a second."""
    return min(newest, options["pretrain_steps"]) if options["stage"] == "both" else newest


def normalized(h):
    """Batch normalization; its moving averages are long, since inference relies on them."""
    return BatchNormalization(momentum=0.99, gamma_initializer="ones")(h)


if __name__ == "__main__":
    cli.main(SRGAN, SuperResolution)
