"""The picture of a confusion matrix."""

from common.reports.confusion import confusion

import numpy as np
import pytest


@pytest.mark.parametrize("classes", [2, 3, 40])
def test_only_the_fields_of_predictions_that_occur_are_dark(classes):
    labels = np.repeat(np.arange(classes), 10)
    shown = {}
    for name, predicted in (("right", labels), ("shifted", (labels + 1) % classes)):
        shown[name] = confusion(labels, predicted, [str(k) for k in range(classes)])
        assert shown[name].shape == (800, 800, 3) and shown[name].dtype == np.uint8
    dark = {name: np.ptp(image.astype(int), axis=-1) > 60 for name, image in shown.items()}
    assert dark["right"].sum() == pytest.approx(dark["shifted"].sum(), rel=0.1)
    assert (dark["right"] & dark["shifted"]).sum() < 0.05 * dark["right"].sum()
    rows, columns = np.nonzero(dark["right"])
    assert np.corrcoef(rows, columns)[0, 1] > 0.7  # along the diagonal


def test_a_class_without_images_has_an_empty_row():
    shown = confusion(np.array([0, 0]), np.array([0, 1]), ["a", "b"])
    assert shown.shape == (800, 800, 3)
