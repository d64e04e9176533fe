"""A model's players compiled apart from each other, as the classic loop has them."""

from collections.abc import Callable, Iterable
from types import SimpleNamespace

from benchmarks.cases import Case, Sizes
from common.adversarial import Adversarial, Jit

import keras
import numpy as np


class Player(keras.Model):
    """A network of which `train_on_batch` moves the variables of an update and no others.

    The old recipe froze the discriminator within the combined model by its `trainable`. In Keras 3
    that reaches the discriminator's own training too, which then does nothing.

    Args:
        network: a functional model; the player shares its layers.
        update: whose variables it moves.
    """

    def __init__(self, network: keras.Model, player: Player):
        super().__init__(network.input, network.output)
        self.moved = lambda: update.variables  # a list would be tracked as the player's own

    @property
    def trainable_variables(self):
        return self.moved()

    @property
    def trainable_weights(self):
        return self.moved()


def players_apart(case: Case, model: Adversarial, jit: Jit) -> SimpleNamespace:
    """The model's players for the classic loop, with the model's losses and optimizers.

    A network whose optimizer is that of an update trains by itself; others only predict.

    Args:
        case: what is measured.
        model: a new model of it, whose variables the players share.
        jit: how each player is compiled: "auto" is Keras' default, "on" its jit_compile=True,
            "off" its False.
    """
    jit_compile = {"auto": "auto", "on": True, "off": False}[jit]
    updates = {id(update.optimizer): update for update in model.players.values()}
    players = SimpleNamespace()
    for name, network in vars(model).items():
        if not isinstance(network, keras.Model):
            continue
        update = updates.get(id(getattr(network, "optimizer", None)))
        if update:
            player = Player(network, update)
            player.compile(
                loss=case.losses.get(name, network.loss),
                loss_weights=network.get_compile_config()["loss_weights"],
                optimizer=update.optimizer,
                jit_compile=jit_compile,
            )
        else:
            player = network
            player.compile(jit_compile=jit_compile)
        setattr(players, name, player)
    return players


def unmoved(variables: Iterable[keras.Variable], step: Callable[[], None]) -> list[keras.Variable]:
    """Those of the variables that have after a step the values that they had before."""
    before = [(variable, variable.numpy()) for variable in variables]
    step()
    return [variable for variable, old in before if np.array_equal(old, variable.numpy())]


def check_that_all_learn(name: str, model: Adversarial, step: Callable[[], None]):
    """Takes a step and refuses a way in which a player's variable stays as it was."""
    trainable = [v for n in model.networks.values() for v in n.trainable_variables]
    for variable in unmoved(trainable, step):
        raise SystemExit(f"{name}: {variable.path} has not moved")


def check_the_classic_loop(case: Case, sizes: Sizes) -> Adversarial:
    """Takes a round and refuses one in which a call moves what is not its player's, or none does.

    Returns:
        The model that has taken it.
    """
    model = case.build(sizes)
    players = players_apart(case, model, "off")
    trainable = {id(v): v for u in model.players.values() for v in u.variables}
    called = set()
    for name, player in vars(players).items():
        if isinstance(player, Player):

            def checked(*batch, name=name, player=player, train=player.train_on_batch):
                called.add(name)
                still = {id(v) for v in unmoved(trainable.values(), lambda: train(*batch))}
                moved = trainable.keys() - still
                if not moved or moved - {id(v) for v in player.moved()}:
                    paths = ", ".join(trainable[key].path for key in moved) or "nothing"
                    raise SystemExit(f"classic: {name}.train_on_batch has moved {paths}")

            player.train_on_batch = checked
    case.classic(model, players, *case.batch(model, sizes.batch_size))
    if len(called) != len(model.players):
        raise SystemExit(f"classic: a round trains only {', '.join(sorted(called))}")
    return model
