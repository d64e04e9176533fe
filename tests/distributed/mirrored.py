"""Two replicas in one process, for test_replicas.py: its CPU is split into two logical devices.

python3 tests/distributed/mirrored.py FOLDER DATA writes the losses of MODELS and the devices of two
replicas' variables to FOLDER/mirrored.json, and trains in FOLDER/mirrored.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from common import cli
from common.distributed.replicas import replicas_of
from common.tasks.paired_translation import PairedTranslation
from common.training import train
from tests.distributed.workers import MODELS, OPTIONS, losses_of
from tests.helpers.tiny import Tiny

import tensorflow as tf


def main(folder: Path, data: str):
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    facts = {name: losses_of(name, replicas_of("mirrored")) for name in MODELS}

    PairedTranslation.export_trained = lambda *_: "nowhere"
    groups = []
    train.replicas_of = lambda strategy: groups.append(replicas_of(strategy)) or groups[-1]
    run = f"--strategy mirrored --run {folder / 'mirrored'} {OPTIONS} --dataset {data}"
    cli.main(Tiny, PairedTranslation, arguments=run.split())
    facts["devices"] = [
        sorted({v.value.device[-5:] for group in model.state().values() for v in group})
        for model in groups[0].models
    ]
    (folder / "mirrored.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
