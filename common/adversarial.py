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

from common.distributed import collectives
from common.distributed.replicas import Replicas
from common.errors import UserError
from common.nn.weight_average import WeightAverage
from common.plan import Plan
from common.players import Player, loss_name, watching

import keras
import tensorflow as tf

Jit = Literal["auto", "on", "off"]
AVERAGE_BATCHES = 20  # by which the statistics of averaged weights are estimated
Objectives = Callable[..., tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]]


class Adversarial(keras.Model):
    """Base of all models: players trained against each other in one compiled step.

    A subclass's constructor builds `generator`, `discriminator` and `combined`, compiles the
    latter two with losses and optimizer, and ends with `self.compile()`. It defines
    `objectives(*batch)`; `train_step` too, where the paper's algorithm is not one simultaneous
    update of all players.

    Args:
        ema: decay of the exponential moving average of the generator's weights, in [0, 1); 0 for
            none. It is warmed up: after n updates the decay is min(ema, (1 + n) / (10 + n)), so
            that a short run does not average its initial weights. Moving statistics of batch
            normalization are not averaged; `settle_average` estimates them for the averaged
            weights.

    Attributes:
        defaults: training options (`TrainingOptions`) for which the paper has other values.
        earlier_defaults: values of options as of runs from before the option existed, where they
            differ from today's defaults.
        unused_options: arguments of a base class's constructor that mean nothing for this model.
        length_options: arguments of the constructor that only say when training ends, as --steps
            does: a resumed run may change them.
        counts: which of the results of `train_step` are counters: logged as they are, not averaged
            over steps.
        averages: the moving averages of networks' weights, by the network's name.
        data_wait: seconds that training has waited for batches so far.
    """

    defaults: ClassVar[dict] = {}
    earlier_defaults: ClassVar[dict] = {}
    unused_options: ClassVar[tuple[str, ...]] = ()
    length_options: ClassVar[tuple[str, ...]] = ()
    counts: tuple[str, ...] = ()

    def __init__(self, ema: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= ema < 1:
            raise UserError(f"--ema {ema}: give a decay from 0 (none) to below 1, such as 0.999")
        self.ema = ema
        self.average_generator = None
        self.averages: dict[str, WeightAverage] = {}
        self.data_wait = 0.0
        self.built = True

    # Who plays.

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
    def decays(self) -> dict[str, float]:
        """Decay of the moving average of a network's weights, by the network's name; 0 for none.

        A model that averages other networks than the generator overrides this. It has each of them
        as an attribute NAME and a method `build_NAME`.
        """
        return {"generator": self.ema}

    def average_of(self, name: str) -> keras.Model:
        """The network with averaged weights; the network itself where there is no average."""
        return self.averages[name].average if name in self.averages else getattr(self, name)

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
        for name, decay in self.decays.items():
            if decay and name not in self.averages:
                self._add_average(name, decay)
        unsupported = [layer.name for layer in self._flatten_layers() if not layer.supports_jit]
        if jit == "on" and unsupported:
            raise UserError(f"--jit on: XLA cannot compile {', '.join(unsupported)}; use --jit off")
        several = self.replicas.size > 1
        if jit == "on" and several:
            raise UserError(
                f"--jit on: {self.replicas.size} replicas all-reduce within a step, which XLA "
                "cannot compile; use --jit auto"
            )
        alone = [
            layer.name for layer in self._flatten_layers() if collectives.ignores_replicas(layer)
        ]
        if several and alone:
            raise UserError(
                f"--strategy: {', '.join(alone)} of {self.name} would see one replica's shard of "
                "the batch only; use --strategy none"
            )
        on_gpu = bool(tf.config.list_physical_devices("GPU"))
        whole = on_gpu and not unsupported and not several
        self.jit_step = jit == "on" or (jit == "auto" and whole)
        self.jit_apply = jit == "auto" and not self.jit_step
        self._apply_means = tf.function(
            self._apply_gradients, autograph=False, jit_compile=True if self.jit_apply else None
        )
        self.train_function = None

    def _add_average(self, name: str, decay: float):
        average = getattr(self, f"build_{name}")()
        setattr(self, f"average_{name}", average)  # an attribute, so that Keras tracks it
        # int64: TensorFlow keeps int32 variables off the GPU, where XLA cannot reach them.
        count = self.add_weight((), "zeros", dtype="int64", trainable=False)
        self.averages[name] = WeightAverage(getattr(self, name), average, decay, count)

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

    def fit(self, x=None, *arguments, **options) -> keras.callbacks.History:
        """Keras' `fit`, which leaves the averages ready for use.

        Where no batches were set by `average_on`, their moving statistics are estimated by the
        first ones of the dataset `x`.
        """
        history = super().fit(x, *arguments, **options)
        unset = any(each.normalized and not each.inputs for each in self.averages.values())
        if unset and isinstance(x, tf.data.Dataset):
            self.average_on(x.take(AVERAGE_BATCHES))
        self.settle_average()
        return history

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
        """Values to log, and the gradients of each player's loss by its own variables.

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
        for average in self.averages.values():
            if any(id(v) in updated for v in average.network.trainable_variables):
                average.update()

    def after_update(self, player: str):
        """Hook: called after each update of a player, in the compiled step; by default nothing."""

    def generator_inputs(self, number: int, batch: tuple):
        """What the generator takes for the `number`-th batch: by default, its first tensor."""
        return batch[0]

    def average_inputs(self, name: str, number: int, batch: tuple):
        """What a network that is averaged takes for the `number`-th batch.

        The generator takes its `generator_inputs`; another network, by default, the batch's first
        tensor.
        """
        return self.generator_inputs(number, batch) if name == "generator" else batch[0]

    def average_on(self, batches: Iterable[tuple]):
        """Sets the batches by which `settle_average` estimates moving statistics.

        They are to be the same in every process of a run: then the statistics are a function of the
        weights alone, and a resumed run has the same.
        """
        normalized = {name: each for name, each in self.averages.items() if each.normalized}
        batches = [*enumerate(batches)] if normalized else []
        for name, average in normalized.items():
            average.inputs = [self.average_inputs(name, *numbered) for numbered in batches]

    def settle_average(self):
        """Estimates the moving statistics of the averages for their weights as they are.

        To be called before they are used or saved; does nothing where there are none, or where they
        have not changed since the last time.
        """
        for average in self.averages.values():
            average.settle()

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
