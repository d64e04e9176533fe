"""The machinery of a training step: players, compiled update, randomness, state.

A model of the zoo is a `keras.Model` that owns its players (generator, discriminator or critic),
an optimizer for each, and one `train_step`. What differs between papers is in the model's file;
what does not (how a step is compiled, whose variables an update moves, what a checkpoint must hold
so that resuming is exact) is here.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Literal, NamedTuple

from common.distributed import collectives
from common.distributed.replicas import Replicas
from common.errors import UserError

import keras
import tensorflow as tf

Jit = Literal["auto", "on", "off"]


class Update(NamedTuple):
    """One player's move: its optimizer and the only variables that it may change."""

    optimizer: keras.optimizers.Optimizer
    variables: list[keras.Variable]

    def build(self):
        """Makes what the optimizer remembers, if it is not there: Adam's is twice the weights.

        For training only, so a model has it from its first step, or from when its state is read.
        """
        if not self.optimizer.built:
            with tf.init_scope():  # the step may be traced just now
                self.optimizer.build(self.variables)

    def gradients(self, tape: tf.GradientTape, loss: tf.Tensor) -> list[tf.Tensor]:
        """d loss / d variables, scaled as the optimizer asks for (float16) and `apply` undoes."""
        self.build()
        scale = self.optimizer.scale_loss(tf.ones_like(loss))
        return tape.gradient(loss, [v.value for v in self.variables], output_gradients=scale)


@contextmanager
def watching(variables: list[keras.Variable]) -> Iterator[tf.GradientTape]:
    """A gradient tape that records what depends on these variables, and nothing else.

    The list says which player a loss may move. `trainable` is never flipped for that: Keras 3
    reads it when a step is traced, and a discriminator frozen inside `combined` stays frozen.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([v.value for v in variables])
        yield tape


class Adversarial(keras.Model):
    """Base of all models: players trained against each other in one compiled step.

    A subclass's constructor builds `generator`, `discriminator` and `combined`, compiles the
    latter two with losses and optimizer, and ends with `self.compile()`. It defines
    `losses_and_gradients(*batch)`; `train_step` too, where the paper's algorithm is not one
    simultaneous update of all players.

    Args:
        ema: decay of the exponential moving average of the generator's weights, in [0, 1); 0 for
            none. The average covers every weight, moving statistics included.

    Attributes:
        defaults: training options (`TrainingOptions`) that the paper sets otherwise, by name.
        counts: what of `train_step`'s results counts something: it is logged as it stands, and not
            averaged over steps.
        data_wait: seconds that training has waited for batches so far.
    """

    defaults: ClassVar[dict] = {}
    counts: tuple[str, ...] = ()

    # Of a model that is trained in stages; the others end where --steps or --epochs says.
    total_steps: float = math.inf
    milestones: tuple[int, ...] = ()  # steps whose checkpoints are kept, whatever comes after

    def rate_factor(self, step: int) -> float:
        """What multiplies every learning rate after `step` steps, besides --schedule."""
        return 1.0

    def __init__(self, ema: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= ema < 1:
            raise UserError(f"--ema {ema}: give a decay from 0 (none) to below 1, such as 0.999")
        self.ema = ema
        self.average_generator = None
        self.data_wait = 0.0
        self.built = True

    # Who plays. A model with other players than these overrides the next two.

    @property
    def networks(self) -> dict[str, keras.Model]:
        """Every network once, by name."""
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        if self.average_generator is not None:
            networks["average_generator"] = self.average_generator
        return networks

    @property
    def updates(self) -> dict[str, Update]:
        """The update of each player, by name."""
        return {
            "discriminator": Update(
                self.discriminator.optimizer, self.discriminator.trainable_variables
            ),
            "generator": Update(self.combined.optimizer, self.generator.trainable_variables),
        }

    @property
    def sampling_network(self) -> keras.Model:
        """The one of `networks` whose weights the sampler needs: averaged where there is one."""
        return self.generator if self.average_generator is None else self.average_generator

    @property
    def sampler(self) -> keras.Model:
        """What makes images, in the form that it is used and exported in."""
        return self.sampling_network

    def prepare(self, data):
        """Takes from the data set what a step needs besides its batches; nothing, as a rule."""

    @property
    def found(self) -> dict:
        """Options that `prepare` has resolved: a resumed run must not resolve them otherwise."""
        return {}

    def origin(self) -> str | None:
        """The run whose generator a new run begins with; None as a rule: it has its seed alone."""
        return None

    def origin_step(self, options: dict, newest: int) -> int:
        """The step of `origin` to begin with, of a run with these options and this newest step."""
        return newest

    # How a step is compiled.

    def compile(self, jit: Jit = "auto", group: Replicas | None = None):
        """Prepares `fit`; called again, only changes how the step is compiled.

        Args:
            jit: "on" compiles the whole step with XLA, or fails; "off" uses the plain graph;
                "auto" is "on" with a GPU. On a CPU it compiles the optimizers alone, which turns
                their dozens of passes over the weights into one, while convolutions stay with
                oneDNN's kernels, which are faster than XLA's there.
            group: the replicas that this model is one of; default it is alone. Several exchange
                sums in the middle of a step, which then is no single XLA program: "auto" compiles
                the optimizers alone, on a GPU too.

        Raises:
            UserError: jit is "on" and a layer cannot be compiled by XLA, or there are replicas; or
                there are, and a layer knows nothing of them.
        """
        self.group = group or Replicas()
        super().compile(optimizer=None, jit_compile=False)
        self._build_losses()
        if self.ema and self.average_generator is None:
            self.average_generator = self.build_generator()
            self.average_generator.set_weights(self.generator.get_weights())
        unsupported = [layer.name for layer in self._flatten_layers() if not layer.supports_jit]
        if jit == "on" and unsupported:
            raise UserError(f"--jit on: XLA cannot compile {', '.join(unsupported)}; use --jit off")
        several = self.group.size > 1
        if jit == "on" and several:
            raise UserError(
                f"--jit on: {self.group.size} replicas exchange sums within a step, which XLA "
                "cannot compile; use --jit auto"
            )
        alone = [
            layer.name for layer in self._flatten_layers() if collectives.ignores_replicas(layer)
        ]
        if several and alone:
            raise UserError(
                f"--strategy: {', '.join(alone)} of {self.name} would look at one replica's rows "
                "alone; use --strategy none"
            )
        on_gpu = bool(tf.config.list_physical_devices("GPU"))
        whole = on_gpu and not unsupported and not several
        self.jit_step = jit == "on" or (jit == "auto" and whole)
        self.jit_apply = jit == "auto" and not self.jit_step
        self._apply_means = tf.function(
            self._apply_gradients, autograph=False, jit_compile=True if self.jit_apply else None
        )
        self.train_function = None

    def _build_losses(self):
        """Lets nothing be made within a step, which TensorFlow would trace once more for it.

        Keras makes variables for a network's losses, where it has several, when it computes them
        for the first time.
        """
        for network in vars(self).values():
            loss = getattr(network, "_compile_loss", None)
            if loss is not None and not loss.built:
                loss.build(network.output, network.output)

    def make_train_function(self, force: bool = False):
        """Keras' hook: `fit` calls the function made here once a step, with its data iterator.

        The batch is taken outside the compiled function, so that the wait for it can be told
        from the step's own time, and so that XLA sees tensors and no iterator.
        """
        if self.train_function is not None and not force:
            return
        if self.group.size > 1:
            step = self.group.compiled_step()
        else:
            step = tf.function(
                self.train_step, autograph=False, jit_compile=True if self.jit_step else None
            )

        def train_function(iterator):
            start = time.perf_counter()
            batch = next(iterator)
            self.data_wait += time.perf_counter() - start
            return step(batch)

        self.train_function = train_function

    # What a step does.

    def losses_and_gradients(self, *batch) -> tuple[dict, dict]:
        """Losses by name, and for each player's name the gradients of its own variables."""
        raise TypeError(f"{type(self).__name__} must define losses_and_gradients")

    def train_step(self, batch) -> dict[str, tf.Tensor]:
        """Moves every player once, simultaneously, and returns the losses."""
        losses, gradients = self.losses_and_gradients(*batch)
        self._apply(gradients)
        return losses

    def _apply(self, gradients: dict[str, list[tf.Tensor]]):
        """Moves the players whose gradients these are; of several replicas, by their mean."""
        # Before the optimizers look: an overflow on one replica is one on all, and all skip it.
        self._apply_means(collectives.all_reduce_mean(gradients))

    def _apply_gradients(self, gradients: dict[str, list[tf.Tensor]]):
        updates = self.updates
        for name, player_gradients in gradients.items():
            updates[name].optimizer.apply(player_gradients, updates[name].variables)
        if "generator" in gradients:
            self._average()

    def _average(self):
        """Lets the average generator, where there is one, follow the generator."""
        if self.average_generator is not None:
            weights = self.generator.weights
            for average, weight in zip(self.average_generator.weights, weights, strict=True):
                average.assign(self.ema * average + (1.0 - self.ema) * weight)

    # What a checkpoint must hold.

    def state(self) -> dict[str, list[keras.Variable]]:
        """Every variable that the next step depends on, by group, in a fixed order.

        Weights, moving statistics, the random state of dropout and noise (which Keras' own weight
        files leave out), and each optimizer with its moments, step count and loss scale.
        """
        for update in self.updates.values():
            update.build()
        groups = {name: network.variables for name, network in self.networks.items()}
        owned = {id(v) for variables in groups.values() for v in variables}
        groups["model"] = [v for v in self.variables if id(v) not in owned]
        for name, update in self.updates.items():
            groups[f"{name}_optimizer"] = update.optimizer.variables
        return groups
