"""Separately compiled players of a model, for the classic Keras-GAN loop."""

from collections.abc import Callable, Iterable
from types import SimpleNamespace

from benchmarks.cases import Case, Sizes
from common.adversarial import Adversarial, Jit
from common.players import Player

import keras
import numpy as np


class ClassicPlayer(keras.Model):
    """A network whose `train_on_batch` updates the variables of one player and no others.

    The classic recipe freezes the discriminator within the combined model by `trainable = False`.
    In Keras 3 this also disables the training of the discriminator itself.

    Args:
        network: functional model, whose layers the player shares.
        player: the model's player.
    """

    def __init__(self, network: keras.Model, player: Player):
        several = isinstance(network.output, list)  # maybe nested, which Keras' losses are not
        outputs = keras.tree.flatten(network.output) if several else network.output
        super().__init__(network.input, outputs)
        self.updated = lambda: player.variables  # Keras would track a list as the player's own

    @property
    def trainable_variables(self):
        return self.updated()

    @property
    def trainable_weights(self):
        return self.updated()


def compile_players(case: Case, model: Adversarial, jit: Jit) -> SimpleNamespace:
    """Compiles a model's players for the classic loop, with the model's losses and optimizers.

    A network with the optimizer of a player becomes a `ClassicPlayer`; the others only predict.

    Args:
        case: the case of the model.
        model: new model, whose variables the players share.
        jit: XLA compilation of each player: "auto" is Keras' default, "on" and "off" are
            jit_compile=True and False.

    Returns:
        The players by the names of the model's attributes.
    """
    jit_compile = {"auto": "auto", "on": True, "off": False}[jit]
    by_optimizer = {id(player.optimizer): player for player in model.players.values()}
    further = case.losses(model)
    players = SimpleNamespace()
    for name, network in vars(model).items():
        if not isinstance(network, keras.Model):
            continue
        player = by_optimizer.get(id(getattr(network, "optimizer", None)))
        if player:
            apart = ClassicPlayer(network, player)
            apart.compile(
                loss=further.get(name, network.loss),
                loss_weights=network.get_compile_config()["loss_weights"],
                optimizer=player.optimizer,
                jit_compile=jit_compile,
            )
        else:
            apart = network
            apart.compile(jit_compile=jit_compile)
        setattr(players, name, apart)
    return players


def unchanged(
    variables: Iterable[keras.Variable], step: Callable[[], None]
) -> list[keras.Variable]:
    """Takes a step and returns the variables whose values it has not changed."""
    before = [(variable, variable.numpy()) for variable in variables]
    step()
    return [variable for variable, old in before if np.array_equal(old, variable.numpy())]


def check_all_updated(
    name: str,
    model: Adversarial,
    step: Callable[[], None],
    idle: Iterable[keras.Variable] = (),
):
    """Takes a step and checks that it updates every trainable variable, but for the idle ones.

    Raises:
        SystemExit: it does not.
    """
    without = {id(variable) for variable in idle}
    trainable = [v for n in model.networks.values() for v in n.trainable_variables]
    for variable in unchanged([v for v in trainable if id(v) not in without], step):
        raise SystemExit(f"{name}: {variable.path} was not updated")


def check_classic_loop(case: Case, sizes: Sizes) -> Adversarial:
    """Takes a round and checks that each player is trained and updates only its own variables.

    Returns:
        The trained model.

    Raises:
        SystemExit: a call updates no variable or another player's, or a player is not trained.
    """
    model = case.build(sizes)
    players = compile_players(case, model, "off")
    trainable = {id(v): v for u in model.players.values() for v in u.variables}
    called = set()
    for name, player in vars(players).items():
        if isinstance(player, ClassicPlayer):

            def checked(*batch, name=name, player=player, train=player.train_on_batch):
                called.add(name)
                same = {id(v) for v in unchanged(trainable.values(), lambda: train(*batch))}
                updated = trainable.keys() - same
                if not updated or updated - {id(v) for v in player.updated()}:
                    paths = ", ".join(trainable[key].path for key in updated) or "nothing"
                    raise SystemExit(f"classic: {name}.train_on_batch has updated {paths}")

            player.train_on_batch = checked
    case.classic(model, players, *case.batch(model, sizes.batch_size))
    if len(called) != len(model.players):
        raise SystemExit(f"classic: a round trains only {', '.join(sorted(called))}")
    return model
