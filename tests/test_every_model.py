"""What every model must do, whatever it is: a folder that joins the zoo is tested here as it is."""

import inspect
import shutil

from common import cli, registry
from common.images import image_file
from common.signatures import pick
from common.training.run_folder import Run
from tests.helpers.checkpoints import arrays
from tests.helpers.image_files import noise

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.optimizers import LossScaleOptimizer

OPTIONS = "--dataset embedded --jit off --steps 4 --checkpoint_every 2 --log_every 2 --seed 3"


@pytest.fixture(scope="module", params=registry.NAMES)
def model(request):
    """What the model's file hands to the command line: its class, task and capabilities."""
    return registry.entry(request.param)


@pytest.fixture(scope="module")
def run(model, tmp_path_factory):
    """Four steps of the model, made small, with an export; not to be changed."""
    folder = tmp_path_factory.mktemp("every") / "run"
    options = f"{OPTIONS} {registry.small_options(*model)} --run {folder}"
    cli.main(*model, arguments=options.split())
    return folder


def test_resume_is_exact(run, model, tmp_path, monkeypatch):
    monkeypatch.setattr(model[1], "export_trained", lambda *_: "nowhere")
    resumed = tmp_path / "run"
    shutil.copytree(run, resumed, ignore=shutil.ignore_patterns("export", "step_00000004.npz"))
    cli.main(*model, arguments=["--resume", "--run", str(resumed)])
    assert arrays(resumed, 4) == arrays(run, 4)
    assert arrays(run, 4) != arrays(run, 2)


@pytest.fixture
def same_noise(monkeypatch):
    """XLA and the plain graph draw other numbers from one seed: here both get these."""

    def drawn(shape, seed, minval=0, maxval=None, dtype=tf.float32, **_):
        random, low = np.random.default_rng(0), tf.get_static_value(minval)
        high = 1.0 if maxval is None else tf.get_static_value(maxval)
        draw = random.integers if tf.as_dtype(dtype).is_integer else random.uniform
        return tf.constant(draw(low, high, shape), dtype)

    def normal(shape, seed, mean=0.0, stddev=1.0, dtype=tf.float32, **_):
        return tf.constant(np.random.default_rng(0).normal(mean, stddev, shape), dtype)

    def dropout(x, rate, **_):
        kept = np.random.default_rng(0).random(x.shape) >= rate
        return x * tf.constant(kept / (1 - rate), x.dtype)

    monkeypatch.setattr(tf.random, "stateless_uniform", drawn)
    monkeypatch.setattr(tf.random, "stateless_normal", normal)
    monkeypatch.setattr(tf.nn.experimental, "stateless_dropout", dropout)


def gradients(model):
    """For each player the moments that its optimizer has kept of them."""
    optimizers = (update.optimizer for update in model.players.values())
    kept = (getattr(each, "_momentums", None) or each._velocities for each in optimizers)
    return [[moment.numpy() for moment in player] for player in kept]


def test_xla_computes_the_losses_and_gradients_of_the_graph(run, model, same_noise):
    model_class, task, *_ = model
    options = Run(run).config()["options"]
    data = task(model_class).data(**pick(task.data, options))
    made = model_class(**pick(model_class, options))
    made.prepare(data)
    batch = next(iter(data.stream(options["batch_size"], 0, 1)))
    variables = [variable for group in made.state().values() for variable in group]
    before = [variable.numpy() for variable in variables]
    losses, kept, traced = [], [], []

    def train_step(batch):
        traced.append(made.jit_step)
        return made.train_step(batch)

    for jit in ("off", "on"):
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        made.compile(jit=jit)
        step = tf.function(train_step, autograph=False, jit_compile=jit == "on" or None)
        losses.append({name: float(value) for name, value in step(batch).items()})
        kept.append(gradients(made))
    # Once each: to trace a step takes as long as hundreds of small ones.
    assert traced == [False, True]
    assert losses[0].keys() == losses[1].keys()
    for name, value in losses[0].items():
        assert losses[1][name] == pytest.approx(value, rel=1e-4, abs=1e-5), name
    for graph, xla in zip(*kept, strict=True):
        most = max(np.abs(moment).max() for moment in graph)
        for one, other in zip(graph, xla, strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-4 * most)


def test_mixed_precision_takes_nearly_the_step_of_float32(run, model, same_noise):
    model_class, task, *_ = model
    options = Run(run).config()["options"]
    data = task(model_class).data(**pick(task.data, options))
    batch = next(iter(data.stream(options["batch_size"], 0, 1)))
    weights, exact = None, None
    for policy in ("float32", "mixed_float16", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        made = model_class(**pick(model_class, options))
        made.prepare(data)
        made.compile(jit="off")
        weights = weights or [network.get_weights() for network in made.networks.values()]
        for network, values in zip(made.networks.values(), weights, strict=True):
            network.set_weights(values)
        losses = {name: float(value) for name, value in made.train_step(batch).items()}
        exact = exact or losses
        for name, value in exact.items():
            assert losses[name] == pytest.approx(value, rel=0.05, abs=0.02), (policy, name)
        for update in made.players.values():
            scaled = isinstance(update.optimizer, LossScaleOptimizer)
            assert scaled == (policy == "mixed_float16")
        moved = False
        for network, values in zip(made.networks.values(), weights, strict=True):
            for variable, value in zip(network.weights, values, strict=True):
                assert variable.dtype == "float32"
                assert np.isfinite(variable.numpy()).all(), (policy, variable.path)
                moved |= not np.array_equal(variable.numpy(), value)
        assert moved


def test_the_export_gives_what_the_run_gives(run, model, tmp_path):
    task = model[1]
    exported = next((run / "export" / Run(run).config()["model"]).iterdir())
    inputs, options = "", "--count 3 --seed 5"
    given = inspect.signature(task.predict).parameters.get("inputs")
    if given is not None and given.default is given.empty:  # a translator
        image_file.write(tmp_path / "in.png", noise(32, 32, 0))
        inputs, options = str(tmp_path / "in.png"), ""
    for source, output in ((run, "of_run"), (exported, "of_export")):
        line = f"predict {source} {inputs} --output {tmp_path / output} {options}"
        cli.main(*model, arguments=line.split())
    names = sorted(path.name for path in (tmp_path / "of_run").glob("*.png"))
    assert len(names) == (1 if inputs else 3)
    for name in names:
        one, other = (
            image_file.read(tmp_path / folder / name).astype(int)
            for folder in ("of_run", "of_export")
        )
        assert np.abs(one - other).max() <= 1  # of 255: rounded from floats that may differ
