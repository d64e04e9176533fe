"""One of two workers, for test_replicas.py: a separate process with TF_CONFIG set.

python3 tests/distributed/workers.py FOLDER DATA JOB... runs the jobs, methods of `Job`, in order.
"""

import json
import os
import signal
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from common import cli
from common.distributed.replicas import Replicas, replicas_of
from common.images import image_file
from common.io import records
from common.nn.latent import Latent
from common.nn.layers import Dropout, GaussianNoise
from common.tasks.paired_translation import PairedTranslation
from common.training import callbacks, checkpoint, train
from progan.progan import ProGAN
from tests.helpers.tiny import Tiny
from tests.helpers.tiny_gan import TinyGan

import keras
import numpy as np
import tensorflow as tf

OPTIONS = "--steps 12 --checkpoint_every 3 --batch_size 2 --log_every 3 --sample_every 6 --jit off"
WRITERS = [
    *(
        (checkpoint, "write"),
        (records, "write_json"),
        (records, "append_row"),
        (records, "drop_rows_after"),
    ),
    *((image_file, "write"), (tf.summary, "create_file_writer")),
]
MODELS = {
    "noise to image": TinyGan,
    "image to image": lambda: Tiny(dropout=0.0),
    # A group of D's minibatch deviation has images of both replicas.
    "growing": lambda: ProGAN(
        **{"image_size": 8, "base_maps": 16, "max_maps": 8, "latent_size": 8, "batch_size": 4},
        **{"stable_images": 8, "fade_images": 8, "group": 2},
    ),
}


def batch_of(name, step):
    """The global batch of a step, of four samples."""
    random = np.random.default_rng(step)
    if name != "image to image":
        return random.uniform(-1, 1, (4, 8, 8, 1)).astype(np.float32), np.zeros(4, np.int32)
    return tuple(random.uniform(-1, 1, (2, 4, 16, 16, 3)).astype(np.float32))


def losses_of(name, group, count=5):
    """Losses of a few steps of the compiled training function."""
    keras.utils.set_random_seed(1)
    model = group.build(MODELS[name])
    model.compile("off", group)
    group.broadcast()
    model.make_train_function()
    rows = group.rows(4) or range(4)
    batches = ([part[rows.start : rows.stop] for part in batch_of(name, s)] for s in range(count))
    steps = iter([tuple(map(tf.constant, batch)) for batch in batches])
    return [{k: float(v) for k, v in model.train_function(steps).items()} for _ in range(count)]


class Draws:
    """Latent noise, and the outputs of the noise layers for ones."""

    def __init__(self):
        self.seed = keras.random.SeedGenerator(1)
        self.layers = Dropout(0.5, seed=2), GaussianNoise(1.0, seed=3)

    def __call__(self, rows):
        """float32 (rows, 4, 3)."""
        drawn = [Latent(3, kind).draw(rows, self.seed) for kind in ("normal", "uniform")]
        made = [layer(tf.ones((rows, 3)), training=True) for layer in self.layers]
        return tf.stack(drawn + made, axis=1)


@contextmanager
def signalled(here, step, number):
    """Sends a signal to this process after a step, if `here`."""
    plain = callbacks.FiniteLosses.after_step

    def after_step(self, done, losses):
        plain(self, done, losses)
        if here and done == step:
            os.kill(os.getpid(), number)

    callbacks.FiniteLosses.after_step = after_step
    yield
    callbacks.FiniteLosses.after_step = plain


class Job:
    """What both workers do at the same time."""

    def __init__(self, folder, data, cluster):
        self.folder, self.data, self.cluster = folder, data, cluster
        self.rank = cluster.worker.rank
        PairedTranslation.export_trained = lambda *_: "nowhere"
        train.replicas_of = lambda strategy: self.group()  # a process can join one cluster only
        if self.rank:

            def write(*_, **__):
                raise AssertionError("a second writer")

            for module, name in WRITERS:
                setattr(module, name, write)

    def group(self):
        devices = [replica.device for replica in self.cluster.replicas]
        return Replicas(devices, self.cluster.worker)

    def facts(self):
        """Writes what the replicas compute to facts_RANK.json."""
        facts = {name: losses_of(name, self.group()) for name in MODELS}
        facts["draws"] = self.in_replica(partial(Draws(), 2)).numpy().tolist()
        facts["updated_despite_overflow"] = self.updated_despite_overflow()
        (self.folder / f"facts_{self.rank}.json").write_text(json.dumps(facts))

    def in_replica(self, function, group=None):
        """Calls a function in the scope of this process's replica."""
        (replica,) = (group or self.group()).replicas

        @tf.function(autograph=False)
        def traced():
            with replica.scope():
                return function()

        return traced()

    def updated_despite_overflow(self):
        """Whether infinite gradients in worker 1 do not stop the update of this worker."""
        group = self.group()
        keras.config.set_dtype_policy("mixed_float16")
        model = group.build(Tiny)
        keras.config.set_dtype_policy("float32")
        model.compile("off", group)
        update = model.players["generator"]
        before = [v.numpy() for v in update.variables]
        gradient = np.inf if self.rank == 1 else 1.0

        gradients = [tf.fill(v.shape, gradient) for v in update.variables]
        self.in_replica(lambda: model._apply({"generator": gradients}), group)
        same = [(v.numpy() == b).all() for v, b in zip(update.variables, before, strict=True)]
        return not all(same)

    def train(self, run, options=""):
        """Trains from the command line and prints the exit status."""
        line = f"--strategy multi_worker --run {self.folder / run} {options}"
        status = 0
        try:
            cli.main(Tiny, PairedTranslation, arguments=line.split())
        except SystemExit as end:
            status = end.code
        print(f"{run} ended with {status}", flush=True)

    def whole(self):
        self.train("whole", f"{OPTIONS} --dataset {self.data}")

    def terminated(self):
        """Worker 1 gets a signal in step 4."""
        with signalled(self.rank == 1, 4, signal.SIGTERM):
            self.train("terminated", f"{OPTIONS} --dataset {self.data}")

    def killed(self):
        """Worker 1 is killed in step 8."""
        with signalled(self.rank == 1, 8, signal.SIGKILL):
            self.train("killed", f"{OPTIONS} --dataset {self.data}")

    def different(self):
        """Worker 1 has another seed."""
        self.train("different", f"{OPTIONS} --dataset {self.data} --seed {self.rank}")

    def resumed(self):
        """Both resume the run that was killed."""
        self.train("killed", "--resume")

    def refused(self):
        """Worker 1 has no data and exits."""
        data = "missing" if self.rank else self.data
        self.train("refused", f"{OPTIONS} --dataset {data}")


if __name__ == "__main__":
    folder, data, *jobs = sys.argv[1:]
    job = Job(Path(folder), data, replicas_of("multi_worker"))
    for name in jobs:
        getattr(job, name)()
