"""Networks that grow while they are trained, resolution by resolution (Karras et al. 2018)."""

from collections.abc import Callable
from typing import ClassVar

from common import errors
from common.distributed.collectives import sharded_random
from common.growth import Phase, growth, powers_of_two
from common.nn import pyramid
from common.nn.equalized import EqualizedConv2D, EqualizedDense
from common.nn.progressive import (
    GrowingDiscriminator,
    MinibatchStandardDeviation,
    doubled,
    faded,
    lerp,
    width_at,
)
from common.noise_to_image import NoiseToImage
from common.players import Player
from common.staged import Stage, Staged

import keras
import tensorflow as tf
from keras import ops
from keras.layers import Activation, Flatten, LeakyReLU


class Growing(Staged, NoiseToImage):
    """G and D start at a low resolution, and each higher one is faded in.

    All layers exist from the start. A step is compiled for each resolution, of which the fade is a
    function of the step; only the layers up to this resolution take part. At the start and at the
    end of every fade the optimizers start anew.

    A subclass says how these differ, and calls `build_players`:

    - `build_generator`: z, with classes [z, one-hot c], -> the images of each of `all_sides`, from
      coarse to fine, and last a `Grown` of them named "grown", which starts at `first_level`;
    - `d_outputs`: number of outputs of the discriminator;
    - `smoothed`: what happens to its maps before their side is halved; nothing by default.

    Args:
        base_maps: the layers of side S have 2 base_maps / S maps, at most `max_maps`; 8192 in the
            paper, which leaves all sides up to 32 pixels at the maximum.
        max_maps: maximum number of maps of a layer; 512 in the paper.
        latent_size: number of components of z.
        stable_images: number of images seen at each resolution after it is faded in; one number for
            all resolutions, or one for each from the coarsest on, as in [40000,60000,100000]; the
            authors' code has 600000.
        fade_images: number of images seen while a resolution is faded in; one number for all, or
            one for each but the coarsest; the authors' code has 600000.
        batch_size: number of samples per step.
        group: number of images in a group whose deviation D sees; --batch_size must be a multiple
            of it. 16 in ProGAN's runs for CelebA-HQ.
        conditional: use the classes of a labelled dataset.
        classes: number of classes; with fewer than 2 the networks take no class.
        mirror: flip every other real image horizontally, for faces and scenes.
        learning_rate: step size of Adam, for both networks.
        beta_1: Adam's decay rate for the first moment.
        half_life: number of images after which a weight of the generator counts half in its moving
            average; it replaces --ema. Default: --ema.

    Attributes:
        first_side: side in pixels at which training starts.
        rates: factor of the learning rate by side; 1 for the others.
        all_sides: the resolutions of the generator, from 4 pixels on.
        side: side of the images in the step that is being traced.
    """

    defaults: ClassVar[dict] = {
        "batch_size": 32,
        "sample_every": 1000,
    }
    unused_options = ("width",)
    first_side: ClassVar[int] = 4
    rates: ClassVar[dict[int, float]] = {}
    logged = ("d_loss", "g_loss", "level")

    def __init__(
        self,
        image_size: int = 32,
        base_maps: int = 512,
        max_maps: int = 64,
        latent_size: int = 64,
        stable_images: int | list[int] = 60_000,
        fade_images: int | list[int] = 60_000,
        batch_size: int = 32,
        group: int = 4,
        conditional: bool = False,
        classes: int = 0,
        mirror: bool = False,
        learning_rate: float = 1e-3,
        beta_1: float = 0.0,
        ema: float = 0.999,
        half_life: int | None = None,
        **shared,
    ):
        errors.at_least_one(base_maps=base_maps, max_maps=max_maps, group=group)
        errors.at_least_one(half_life=half_life)
        if batch_size > group and batch_size % group:
            raise errors.UserError(f"--batch_size {batch_size}: give a multiple of --group {group}")
        ema = 0.5 ** (batch_size / half_life) if ema and half_life else ema  # 0 is for none
        rates = {"learning_rate": learning_rate, "beta_1": beta_1, "ema": ema}
        super().__init__(image_size=image_size, latent_size=latent_size, **rates, **shared)
        self.all_sides = powers_of_two(4, image_size)
        self.base_maps, self.max_maps, self.group = base_maps, max_maps, group
        self.classes = classes if conditional and classes > 1 else 0
        self.mirror = mirror
        sides = [side for side in self.all_sides if side >= self.first_side]
        self.growth = growth(sides, stable_images, fade_images, batch_size)
        self.set_stages([self.stage_for(phase) for phase in self.growth.phases])

    def stage_for(self, phase: Phase) -> Stage:
        anew = phase.side > self.first_side
        return Stage(phase.steps, self.objectives, ("discriminator", "generator"), reset=anew)

    def maps(self, side: int) -> int:
        """Number of maps of the layers of a side."""
        return width_at(side, self.base_maps, self.max_maps)

    @property
    def first_level(self) -> int:
        """Index in `all_sides` of the resolution at which training starts."""
        return self.all_sides.index(self.first_side)

    def adam(self, beta_2: float = 0.99) -> keras.optimizers.Adam:
        """A new Adam with the options' constants and the paper's beta 2."""
        return super().adam(beta_2)

    # The networks.

    def to_rgb(self, h):
        """Feature maps (B, S, S, N) -> an image (B, S, S, C), float32."""
        h = EqualizedConv2D(self.channels, 1, gain=1.0)(h)
        return Activation("linear", dtype="float32")(h)

    def build_discriminator(self) -> keras.Model:
        """Images (B, S, S, C) of any of the sides -> (B, d_outputs), float32."""
        blocks = {side: self.d_block(side) for side in self.all_sides[1:]} | {4: self.d_output()}
        from_rgb = {side: self.from_rgb(side) for side in self.all_sides}
        return GrowingDiscriminator(from_rgb, blocks, name="discriminator")

    def from_rgb(self, side: int) -> keras.Model:
        x = keras.Input((side, side, self.channels))
        return keras.Model(x, LeakyReLU(0.2)(EqualizedConv2D(self.maps(side), 1)(x)))

    def d_block(self, side: int) -> keras.Model:
        """Two convolutions: (B, side, side, maps) -> (B, side / 2, side / 2, maps there)."""
        x = keras.Input((side, side, self.maps(side)))
        h = self.smoothed(LeakyReLU(0.2)(EqualizedConv2D(self.maps(side), 3)(x)))
        h = LeakyReLU(0.2)(EqualizedConv2D(self.maps(side // 2), 3, "down")(h))
        return keras.Model(x, h, name=f"block_{side}")

    def smoothed(self, h):
        """What happens to the maps of D before their side is halved; nothing."""
        return h

    def d_output(self) -> keras.Model:
        """The 4x4 layers: (B, 4, 4, maps) -> (B, d_outputs)."""
        x = keras.Input((4, 4, self.maps(4)))
        h = MinibatchStandardDeviation(self.group)(x)
        h = LeakyReLU(0.2)(EqualizedConv2D(self.maps(4), 3)(h))
        h = LeakyReLU(0.2)(EqualizedDense(self.maps(2))(Flatten()(h)))
        h = EqualizedDense(self.d_outputs, gain=1.0)(h)
        return keras.Model(x, Activation("linear", dtype="float32")(h), name="block_4")

    def build_combined(self) -> keras.Model:
        """G into D at full size: what G takes -> D's output."""
        output = self.discriminator(self.generator.outputs[-1])
        return keras.Model(self.generator.inputs, output, name="combined")

    @property
    def players(self) -> dict[str, Player]:
        return {name: p._replace(growing=True) for name, p in super().players.items()}

    # The course of training.

    @property
    def side(self) -> int:
        return self.growth.phases[self.stage].side

    def rate_factor(self, step: int) -> float:
        return self.rates.get(self.growth.phases[self.stage_of(step)].side, 1.0)

    def fade(self) -> tf.Tensor:
        """Weight of the coarser resolution in the current step, in [0, 1]."""
        steps = self.growth.fade_steps(self.side)
        if not steps:
            return tf.zeros(())
        done = ops.cast(self.steps_done - self.growth.start(self.side), "float32")
        return ops.clip(1.0 - done / steps, 0.0, 1.0)

    def compiled_step(self) -> Callable[[tuple], dict[str, tf.Tensor]]:
        self._step_of: dict[int, Callable] = {}
        return super().compiled_step()

    def _enter(self, index: int, count: int) -> Callable:
        """Begins or resumes a stage; the fade and the rest of a resolution have one step."""
        step = super()._enter(index, count)
        return self._step_of.setdefault(self.growth.phases[index].side, step)

    def train_step(self, batch) -> dict[str, tf.Tensor]:
        """One training step of the current resolution; then the sampler is at its level."""
        logs = super().train_step(batch)
        level = self.all_sides.index(self.side) - self.fade()
        for network in (self.generator, self.average_of("generator")):
            network.get_layer("grown").level.assign(level)
        return logs | {"level": level}

    # A step at a resolution.

    def objectives(self, x: tf.Tensor, labels: tf.Tensor) -> tuple[dict, dict]:
        """The losses of both players; real images are reduced, and faded as generated ones are."""
        if self.mirror:
            shape = (ops.shape(x)[0], 1, 1, 1)
            flip = sharded_random(keras.random.uniform, shape, seed=self.noise) < 0.5
            x = ops.where(flip, x[:, :, ::-1], x)
        x = pyramid.reduced(x, self.side)
        if self.growth.fade_steps(self.side):
            x = faded(x, self.fade())
        return super().objectives(x, labels)

    def generate(self, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Images of the current resolution from fresh noise, and their classes."""
        inputs = self.inputs_of(self.draw_z(labels), labels)
        return self.images_of(self.at_side(self.generator)(inputs, training=True)), labels

    def inputs_of(self, z: tf.Tensor, labels: tf.Tensor):
        """What the generator takes: z, with classes [z, one-hot c]."""
        return [z, tf.one_hot(labels, self.classes)] if self.classes else z

    def generator_inputs(self, number: int, batch: tuple):
        return self.inputs_of(super().generator_inputs(number, batch), batch[1])

    def at_side(self, network: keras.Model) -> keras.Model:
        """The part of a generator that makes the images of the current and the next coarser side.

        Args:
            network: a functional model whose first outputs are the images of `all_sides`.
        """
        k = self.all_sides.index(self.side)
        coarser = k - 1 if self.growth.fade_steps(self.side) else k
        return keras.Model(network.input, network.outputs[coarser : k + 1])

    def images_of(self, outputs: list[tf.Tensor]) -> tf.Tensor:
        """The images of the current side as they are faded in, from the outputs of `at_side`."""
        *coarse, fine = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        return lerp(fine, doubled(coarse[0]), self.fade()) if coarse else fine

    def judge(self, images: tf.Tensor, classes: tf.Tensor, real: bool) -> tf.Tensor:
        fade = self.fade() if self.growth.fade_steps(self.side) else None
        return self.discriminator(images, fade=fade, training=True)

    # Use.

    @property
    def sampler(self) -> keras.Model:
        """What the generator takes -> images (B, S, S, C) in [-1, 1], at the level of training."""
        network = self.sampling_network
        image = ops.clip(network.outputs[-1], -1.0, 1.0)
        return keras.Model(network.input, image, name="sampler")
