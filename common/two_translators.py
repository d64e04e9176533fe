"""Two translators between two domains, trained without pairs: what such models share."""

from collections.abc import Callable

from common import errors
from common.adversarial import Adversarial

import keras


class TwoTranslators(Adversarial):
    """G: A -> B and F: B -> A, and a discriminator D_A and D_B for each domain.

    An image must be recognized after its translation there and back, so both translators are one
    network, `generator`. A subclass writes `build_translator` and `build_discriminator`. It calls
    `build_players` at the end of its constructor, unless its players are others than both
    translators and both discriminators.

    Args:
        image_size: side of the training images in pixels.
        channels: image channels of both domains, 3 for RGB or 1 for grayscale.
        width: number of filters of the first convolution of each network.
        ema: decay of the moving average of the translators' weights, from 0 (none) to below 1.
    """

    def __init__(
        self,
        image_size: int = 64,
        channels: int = 3,
        width: int = 64,
        ema: float = 0.0,
        *,
        name: str,
    ):
        super().__init__(ema=ema, name=name)
        errors.at_least_one(width=width)
        self.image_size, self.channels, self.width = image_size, channels, width

    def build_players(self, optimizer: Callable[[], keras.optimizers.Optimizer]):
        """Builds the networks, and compiles both players with an optimizer each."""
        self.generator = self.build_generator()
        self.discriminator = self.build_discriminators()
        self.discriminator.compile(optimizer=optimizer())
        self.combined = self.build_combined()
        self.combined.compile(optimizer=optimizer())
        self.compile()

    def build_translator(self, name: str) -> keras.Model:
        """x (B, H, W, C) -> its translation (B, H, W, C) in [-1, 1]."""
        raise TypeError(f"{type(self).__name__} must define build_translator")

    def build_discriminator(self, domain: str) -> keras.Model:
        """Images of one domain, "a" or "b", (B, S, S, C) -> what the losses take."""
        raise TypeError(f"{type(self).__name__} must define build_discriminator")

    def build_generator(self) -> keras.Model:
        """Both translators side by side: (a, b) -> (G(a), F(b)), layers AtoB and BtoA."""
        return side_by_side(map(self.build_translator, ("AtoB", "BtoA")), "generator")

    def build_discriminators(self) -> keras.Model:
        """Both discriminators side by side: (a, b) -> (D_A(a), D_B(b))."""
        return side_by_side(map(self.build_discriminator, "ab"), "discriminator")

    def build_combined(self) -> keras.Model:
        """A pass of all networks over the translations, each result for domains A and B.

        (a, b) -> the translations (F(b), G(a)), the cycles (F(G(a)), G(F(b))) and what the
        discriminators say of the translations, (D_A(F(b)), D_B(G(a))).
        """
        inputs = [keras.Input(x.shape[1:]) for x in self.generator.inputs]
        fake_b, fake_a = self.generator(inputs)
        cycle_b, cycle_a = self.generator([fake_a, fake_b])
        judged = self.discriminator([fake_a, fake_b])
        outputs = [[fake_a, fake_b], [cycle_a, cycle_b], judged]
        return keras.Model(inputs, outputs, name="combined")

    def generator_inputs(self, number: int, batch: tuple):
        return list(batch)


def side_by_side(networks, name: str) -> keras.Model:
    """One model of several networks, each with an input and an output of its own."""
    networks = list(networks)
    inputs = [keras.Input(network.input_shape[1:]) for network in networks]
    outputs = [network(x) for network, x in zip(networks, inputs, strict=True)]
    return keras.Model(inputs, outputs, name=name)
