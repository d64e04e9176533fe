"""Calls of all tabs of a demo's page, without the page."""

from dataclasses import replace

from common import cli
from common.demo.answers import Answers
from common.demo.memory import keep_models
from common.demo.panels import Choice, Hole
from common.images import image_file
from common.tasks.base import Checkpoint
from tests.helpers.image_files import noise

import numpy as np

SIDE = 16  # px of the input image
QUICK = {"project_steps": 2, "interpolate": 3, "count": 4}


class Tabs:
    """The tabs of a run's demo.

    Args:
        task: the task of its model; models that it loads stay in memory.
        run: folder of the run.
        folder: an empty folder.
    """

    def __init__(self, task, run, folder):
        self.calls, self._folder = [], folder
        keep_models(task)
        panels = task.panels(str(run), task.option_groups.get(Checkpoint, Checkpoint)())
        self.panels = [shortened(panel) for panel in panels]

        def predict(arguments):
            self.calls.append(arguments)
            cli.call(task.predict, task.name, arguments)

        (folder / "results").mkdir()
        self._answers = Answers(predict, str(run), folder / "results")
        self._image, self._mask = folder / "image.png", folder / "mask.png"
        image_file.write(self._image, noise(SIDE, SIDE, seed=1))
        hole = np.zeros((SIDE, SIDE, 1), np.uint8)
        hole[2:6, 2:6] = 255
        image_file.write(self._mask, hole)

    def answer(self, panel):
        """What a tab shows if nobody changes its fields."""
        values = [
            field.none if isinstance(field, Choice) and field.value is None else field.value
            for field in panel.fields
        ]
        image = self._image if panel.image is not None else None
        mask = self._mask if isinstance(panel.image, Hole) else None
        return self._answers.answer(panel, values, image, mask)


def shortened(panel):
    """The tab with QUICK values in place of fields."""
    quick = {f.option: QUICK[f.option] for f in panel.fields if f.option in QUICK}
    fields = tuple(field for field in panel.fields if field.option not in quick)
    arguments = tuple(f"--{option}={value}" for option, value in quick.items())
    return replace(panel, fields=fields, arguments=panel.arguments + arguments)
