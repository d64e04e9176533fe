"""Tests that every model must pass; a new model joins them by its folder alone."""

import inspect
import math
import shutil
from collections import Counter
from contextlib import contextmanager
from functools import cache

from common import cli, registry
from common.images import image_file
from common.serving import formats
from common.signatures import pick
from common.staged import Staged
from common.training.run_folder import Run
from tests.helpers.checkpoints import arrays
from tests.helpers.demo_tabs import Tabs
from tests.helpers.image_files import noise

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.optimizers import LossScaleOptimizer
from tensorflow.core.protobuf import saved_model_pb2

OPTIONS = "--dataset embedded --jit off --steps 4 --checkpoint_every 2 --log_every 2 --seed 3"


@pytest.fixture(scope="module", params=registry.NAMES)
def model(request):
    """What the model's file hands to the command line: its class, task and capabilities."""
    return registry.entry(request.param)


@pytest.fixture(scope="module")
def run(model, tmp_path_factory):
    """Four steps of the model at a small size, with an export; read-only."""
    folder = tmp_path_factory.mktemp("every") / "run"
    options = f"{OPTIONS} {registry.small_options(*model)} --run {folder}"
    cli.main(*model, arguments=options.split())
    return folder


@contextmanager
def count_traces(model_class):
    """Gives a list that grows by one whenever a step of the model is traced, or called eagerly."""
    traces, train_step = [], model_class.train_step

    def counted(self, batch):
        traces.append(batch)
        return train_step(self, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_class, "train_step", counted)
        yield traces


def test_resume_is_exact(run, model, tmp_path, monkeypatch):
    monkeypatch.setattr(model[1], "export_trained", lambda *_: "nowhere")
    resumed = tmp_path / "run"
    shutil.copytree(run, resumed, ignore=shutil.ignore_patterns("export", "step_00000004.npz"))
    with count_traces(model[0]) as traces:
        cli.main(*model, arguments=["--resume", "--run", str(resumed)])
    assert arrays(resumed, 4) == arrays(run, 4)
    assert arrays(run, 4) != arrays(run, 2)
    # A trace takes as long as hundreds of small steps.
    assert len(traces) == 1


@contextmanager
def reproducible():
    """Fixes what XLA or another precision may change at random: noise, and the kinks of ReLUs.

    XLA and TensorFlow draw different numbers from the same seed, and rounding decides on which side
    of its kink a ReLU is, which can change a gradient by a percent.
    """

    def uniform(shape, seed, minval=0, maxval=None, dtype=tf.float32, **_):
        random, low = np.random.default_rng(0), tf.get_static_value(minval)
        high = 1.0 if maxval is None else tf.get_static_value(maxval)
        draw = random.integers if tf.as_dtype(dtype).is_integer else random.uniform
        return tf.constant(draw(low, high, shape), dtype)

    def normal(shape, seed, mean=0.0, stddev=1.0, dtype=tf.float32, **_):
        return tf.constant(np.random.default_rng(0).normal(mean, stddev, shape), dtype)

    def dropout(x, rate, **_):
        kept = np.random.default_rng(0).random(x.shape) >= rate
        return x * tf.constant(kept / (1 - rate), x.dtype)

    def relu(x, name=None):
        return (x + tf.sqrt(x * x + 0.01)) / 2

    def leaky_relu(x, alpha=0.2, name=None):
        return alpha * x + (1 - alpha) * relu(x)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.nn, "relu", relu)
        patch.setattr(tf.nn, "leaky_relu", leaky_relu)
        patch.setattr(tf.random, "stateless_uniform", uniform)
        patch.setattr(tf.random, "stateless_normal", normal)
        patch.setattr(tf.nn.experimental, "stateless_dropout", dropout)
        yield


class Step:
    """A step of a new model, eagerly or as one XLA program, with fixed noise.

    A staged model takes the last step of its last stage, which trains all players, or the first
    one if that has no end.

    Attributes:
        model: model after the step.
        losses: losses of the step by name.
        before: weights of each network before the step, by name.
    """

    def __init__(self, model_class, options, data, batch, policy, jit):
        keras.config.set_dtype_policy(policy)
        keras.utils.set_random_seed(options["seed"])
        self.model = model_class(**pick(model_class, options))
        self.model.prepare(data)
        self.model.compile(jit=jit)
        for update in self.model.players.values():
            update.build()  # as training does before its first step
            if isinstance(update.optimizer, LossScaleOptimizer):
                update.optimizer.dynamic_scale.assign(256)  # the initial scale may overflow
        if isinstance(self.model, Staged):
            *before, total = self.model.ends
            last = before[-1] if math.isinf(total) else total - 1
            self.model.stage = self.model.stage_of(last)
            self.model.steps_done.assign(last)
        self.before = {name: each.get_weights() for name, each in self.model.networks.items()}
        step = self.model.train_step
        if jit == "on":
            step = tf.function(step, autograph=False, jit_compile=True)
        tf.config.run_functions_eagerly(jit == "off")
        try:
            with reproducible():
                self.losses = {name: float(value) for name, value in step(batch).items()}
        finally:
            tf.config.run_functions_eagerly(False)

    def gradients(self):
        """For each player the moments that its optimizer keeps of its gradients."""
        optimizers = (update.optimizer for update in self.model.players.values())
        kept = (getattr(each, "_momentums", None) or each._velocities for each in optimizers)
        return [[moment.numpy() for moment in player] for player in kept]


@pytest.fixture(scope="module")
def step(run, model):
    """step(policy, jit) -> a step of the run's model on one batch."""
    model_class, task, *_ = model
    options = Run(run).config()["options"]
    data = task(model_class).data(**pick(task.data, options))
    batch = next(iter(data.stream(options["batch_size"], 0, 1)))
    return cache(
        lambda policy="float32", jit="off": Step(model_class, options, data, batch, policy, jit)
    )


def test_xla_computes_the_losses_and_gradients_of_tensorflow(step, model):
    with count_traces(model[0]) as traces:
        xla = step(jit="on")
    assert len(traces) == 1
    exact = step()
    assert exact.losses.keys() == xla.losses.keys()
    for name, value in exact.losses.items():
        assert xla.losses[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name
    for player, others in zip(exact.gradients(), xla.gradients(), strict=True):
        # The gradients of an undecided discriminator nearly cancel: there, rounding of its logits.
        tolerance = 1e-6 + 1e-4 * max(np.abs(gradient).max() for gradient in player)
        for one, other in zip(player, others, strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-4, atol=tolerance)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_approximates_the_step_of_float32(step, policy):
    exact, mixed = step(), step(policy)
    for name, value in exact.losses.items():
        if not name.endswith("accuracy"):  # which jumps where logits are near 0
            assert mixed.losses[name] == pytest.approx(value, rel=0.05, abs=0.02), name
    for update in mixed.model.players.values():
        scaled = isinstance(update.optimizer, LossScaleOptimizer)
        assert scaled == (policy == "mixed_float16")
    changed = False
    for name, network in mixed.model.networks.items():
        for variable, value in zip(network.weights, mixed.before[name], strict=True):
            assert variable.dtype == "float32"
            assert np.isfinite(variable.numpy()).all(), variable.path
            changed |= not np.array_equal(variable.numpy(), value)
    assert changed


def test_no_leaky_relu_of_the_export_shares_the_sum_with_a_bias(run):
    """TensorFlow's graph optimizer would fail and print an error; see `SkipLeakyReLU`."""
    (file,) = (run / "export").glob("*/*/saved_model.pb")
    content = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for function in content.meta_graphs[0].graph_def.library.function:
        ops = {node.name: node.op for node in function.node_def}
        taken = Counter(each.split(":")[0] for node in function.node_def for each in node.input)
        for node in function.node_def:
            source = node.input[0].split(":")[0] if node.op == "LeakyRelu" else ""
            assert ops.get(source) not in ("BiasAdd", "AddV2") or taken[source] == 1, node.name


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


def test_every_tab_of_the_demo_answers_with_the_bytes_of_predict(run, model, tmp_path):
    model_class, task_class, *capabilities = model
    tabs = Tabs(task_class(model_class, capabilities), run, tmp_path)
    for panel in tabs.panels:
        answer = tabs.answer(panel)
        assert answer.images or answer.classes or (panel.result == "images" and answer.note)
    # Now that models are in memory, and the tabs have set their variables, one tab once more.
    answer = tabs.answer(tabs.panels[0])
    folder = answer.images[-1].parent
    arguments = ["predict", *tabs.calls[-1]]
    arguments[arguments.index("--output") + 1] = str(tmp_path / "again")
    cli.main(*model, arguments=arguments)
    files = {path.name: path.read_bytes() for path in (tmp_path / "again").glob("*.png")}
    assert files == {path.name: path.read_bytes() for path in folder.glob("*.png")}


@pytest.mark.parametrize("form", ["onnx", "litert"])
def test_files_of_other_formats_give_what_the_export_gives(run, form, tmp_path):
    for package in formats.packages(form):
        pytest.importorskip(package, reason=f"{formats.REQUIREMENTS} is not installed")
    exported = next((run / "export" / Run(run).config()["model"]).iterdir())
    assert formats.convert(exported, form, tmp_path).difference < formats.TOLERANCE
