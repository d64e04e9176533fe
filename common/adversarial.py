"""The machinery of a training step: players, compiled update, randomness, state.

A model of the zoo is a `keras.Model` that owns its players (a generator, a discriminator, ...) and
says their losses. What differs between papers is in the model's file; what does not (how a step is
compiled, whose variables an update changes, what a checkpoint must hold so that resuming is exact)
is here.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import ClassVar, Literal

from common.averaging import Averaged
from common.distributed import collectives
from common.distributed.replicas import Replicas
from common.errors import UserError
from common.plan import Plan
from common.players import Player, loss_name, watching

import keras
import tensorflow as tf

Jit = Literal["auto", "on", "off"]
Objectives = Callable[..., tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]]


class Adversarial(Averaged):
    """Base of all models: players trained against each other in one compiled step.

    A subclass's constructor builds `generator`, `discriminator` and `combined`, compiles the
    latter two with losses and optimizer, and ends with `self.compile()`. It defines
    `objectives(*batch)`; `train_step` too, where the paper's algorithm is not one simultaneous
    update of all players.

    Args:
        ema: decay of the moving average of the generator's weights, from 0 (none) to below 1.

    Attributes:
        defaults: training options (`TrainingOptions`) for which the paper has other values.
        earlier_defaults: values of options as of runs from before the option existed, where they
            differ from today's defaults.
        unused_options: arguments of a base class's constructor that mean nothing for this model.
        length_options: arguments of the constructor that only say when training ends, as --steps
            does: a resumed run may change them.
        has_baseline: whether the model's option `baseline` trains a classifier alone, to compare
            with; a generator then keeps its initial weights.
        counts: which of the results of `train_step` are counters: logged as they are, not averaged
            over steps.
        data_wait: seconds that training has waited for batches so far.
    """

    defaults: ClassVar[dict] = {}
    earlier_defaults: ClassVar[dict] = {}
    unused_options: ClassVar[tuple[str, ...]] = ()
    length_options: ClassVar[tuple[str, ...]] = ()
    has_baseline: ClassVar[bool] = False
    counts: tuple[str, ...] = ()

    def __init__(self, ema: float = 0.0, **kwargs):
        super().__init__(ema, **kwargs)
        self.data_wait = 0.0
        self.built = True

    # Who plays.

    @property
    def only_classifies(self) -> bool:
        """Whether this is a baseline, which has a classifier alone."""
        return self.has_baseline and bool(self.baseline)

    @property
    def players(self) -> dict[str, Player]:
        """Every player by name. A model with other players than these two overrides this."""
        return {
            "discriminator": Player(self.discriminator, self.discriminator),
            "generator": Player(self.combined, self.generator),
        }

    @property
    def networks(self) -> dict[str, keras.Model]:
        """Every network with weights of its own, once, by name."""
        networks = {player.network.name: player.network for player in self.players.values()}
        return networks | {f"average_{name}": a.average for name, a in self.averages.items()}

    @property
    def sampling_network(self) -> keras.Model:
        """The one of `networks` that `sampler` uses: the average generator where there is one."""
        return self.average_of("generator")

    @property
    def sampling_networks(self) -> list[keras.Model]:
        """Those of `networks` that `sampler` consists of, where it is more than one."""
        return [self.sampling_network]

    @property
    def averaged(self) -> bool:
        """Whether `sampler` has averaged weights."""
        averages = [each.average for each in self.averages.values()]
        return any(one is other for one in averages for other in self.sampling_networks)

    @property
    def sampler(self) -> keras.Model:
        """The network that makes images, in the form in which it is used and exported."""
        return self.sampling_network

    def prepare(self, data):
        """Takes from the dataset what a step needs besides its batches; by default nothing."""

    def initialize(self, data):
        """Sets initial weights that depend on the dataset, in a new run; by default none."""

    # The course of training.

    def rate_factor(self, step: int) -> float:
        """What multiplies every learning rate after so many steps, besides --schedule."""
        return 1.0

    @property
    def plan(self) -> Plan:
        return Plan(rate_factor=self.rate_factor)

    # How a step is compiled.

    def compile(self, jit: Jit = "auto", replicas: Replicas | None = None):
        """Prepares `fit`; called again, it only changes how the step is compiled.

        Args:
            jit: "on" compiles the whole step with XLA, or fails; "off" uses the plain graph;
                "auto" is "on" with a GPU. On a CPU, "auto" compiles the optimizers alone, which
                turns their dozens of passes over the weights into one; the convolutions stay with
                oneDNN's kernels, which are faster than XLA's there.
            replicas: the replicas that this model is one of; by default it is the only one. Several
                replicas all-reduce within the step, which then is no single XLA program: "auto"
                compiles the optimizers alone, on a GPU too.

        Raises:
            UserError: jit is "on" although XLA cannot compile a layer or there are several
                replicas; or there are several and a layer would see one replica's shard only.
        """
        self.replicas = replicas or Replicas()
        super().compile(optimizer=None, jit_compile=False)
        self._build_losses()
        self.add_averages()
        unsupported = [layer.name for layer in self._flatten_layers() if not layer.supports_jit]
        if jit == "on" and unsupported:
            raise UserError(f"--jit on: XLA cannot compile {', '.join(unsupported)}; use --jit off")
        several = self.replicas.size > 1
        if jit == "on" and several:
            raise UserError(
                f"--jit on: {self.replicas.size} replicas all-reduce within a step, which XLA "
                "cannot compile; use --jit auto"
            )
        shard_only = [
            layer.name for layer in self._flatten_layers() if collectives.ignores_replicas(layer)
        ]
        if several and shard_only:
            raise UserError(
                f"--strategy: {', '.join(shard_only)} of {self.name} would see one replica's shard "
                "of the batch only; use --strategy none"
            )
        on_gpu = bool(tf.config.list_physical_devices("GPU"))
        step_compiles = on_gpu and not unsupported and not several
        self.jit_step = jit == "on" or (jit == "auto" and step_compiles)
        self.jit_apply = jit == "auto" and not self.jit_step
        self._apply_means = tf.function(
            self._apply_gradients, autograph=False, jit_compile=True if self.jit_apply else None
        )
        self.train_function = None

    def _build_losses(self):
        """Builds the networks' losses now: Keras creates variables for them at their first use.

        Within a step, new variables would make TensorFlow trace it a second time.
        """
        for player in self.players.values():
            loss = player.compiled._compile_loss
            if loss is not None and not loss.built:
                loss.build(player.compiled.output, player.compiled.output)

    def make_train_function(self, force: bool = False):
        """Keras' hook: `fit` calls the function made here once a step, with its data iterator.

        The batch is taken outside the compiled function, so that waiting for it can be timed apart
        from the step, and so that XLA sees tensors and no iterator.
        """
        if self.train_function is not None and not force:
            return
        step = self.compiled_step()

        def train_function(iterator):
            start = time.perf_counter()
            batch = next(iterator)
            self.data_wait += time.perf_counter() - start
            return step(batch)

        self.train_function = train_function

    def compiled_step(self) -> Callable[[tuple], dict[str, tf.Tensor]]:
        """`train_step` as a compiled function of a batch."""
        if self.replicas.size > 1:
            return self.replicas.compiled_step()
        return tf.function(
            self.train_step, autograph=False, jit_compile=True if self.jit_step else None
        )

    # What a step does.

    def objectives(self, *batch) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """The losses of a step.

        Args:
            batch: tensors of one batch, as the dataset's stream gives them.

        Returns:
            Each player's loss, a scalar, by its name in `players`; and what else is logged, by
            name.
        """
        raise TypeError(f"{type(self).__name__} must define objectives")

    def losses_and_gradients(
        self,
        *batch,
        objectives: Objectives | None = None,
        only: Iterable[str] | None = None,
    ) -> tuple[dict[str, tf.Tensor], dict[str, list[tf.Tensor]]]:
        """Values to log, and the gradients of each player's loss with respect to its own variables.

        Args:
            batch: what `objectives` takes.
            objectives: gives the losses; default the method of this name.
            only: names of the players whose gradients are wanted; default all of them. The losses
                of others are logged alone.
        """
        players = {name: self.players[name] for name in only or self.players}
        with ExitStack() as stack:
            tapes = {
                name: stack.enter_context(watching(player.variables))
                for name, player in players.items()
            }
            losses, logs = (objectives or self.objectives)(*batch)
        gradients = {
            name: players[name].gradients(tapes[name], loss)
            for name, loss in losses.items()
            if name in players
        }
        return {loss_name(name): loss for name, loss in losses.items()} | logs, gradients

    def update(self, *batch, **which) -> dict[str, tf.Tensor]:
        """Updates players simultaneously, and returns what is logged.

        Args:
            batch, which: as for `losses_and_gradients`.
        """
        logs, gradients = self.losses_and_gradients(*batch, **which)
        self._apply(gradients)
        return logs

    def train_step(self, batch) -> dict[str, tf.Tensor]:
        """One training step: updates every player once, simultaneously."""
        return self.update(*batch)

    def _apply(self, gradients: dict[str, list[tf.Tensor]]):
        """Updates the players whose gradients these are; among replicas, by their mean."""
        # Before the optimizers look: an overflow on one replica is one on all, and all skip it.
        self._apply_means(collectives.all_reduce_mean(gradients))

    def _apply_gradients(self, gradients: dict[str, list[tf.Tensor]]):
        players = self.players
        for name, player_gradients in gradients.items():
            players[name].apply(player_gradients)
            self.after_update(name)
        updated = {id(v) for name in gradients for v in players[name].variables}
        self.update_averages(updated)

    def after_update(self, player: str):
        """Hook: called after each update of a player, in the compiled step; by default nothing."""

    # What a checkpoint must hold.

    def state(self) -> dict[str, list[keras.Variable]]:
        """Every variable that the next step depends on, by group, in a fixed order.

        Weights, moving statistics, the random state of dropout and noise (which Keras' own weight
        files leave out), and each optimizer with its moments, step count and loss scale.
        """
        players = self.players
        for player in players.values():
            player.build()
        groups = {name: network.variables for name, network in self.networks.items()}
        owned = {id(v) for variables in groups.values() for v in variables}
        groups["model"] = [v for v in self.variables if id(v) not in owned]
        for name, player in players.items():
            groups[f"{name}_optimizer"] = player.optimizer.variables
        return groups
