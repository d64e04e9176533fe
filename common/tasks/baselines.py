"""Runs with --baseline: a classifier alone, to compare with the one that the model trains."""

from pathlib import Path

from common.adversarial import Adversarial
from common.errors import UserError
from common.serving.saved_model import classifier_facts
from common.serving.signatures import export_signatures
from common.training.run_folder import Run

UNMEASURED = "a baseline has a classifier alone"  # why there are no metrics of images


def refuse_baseline(model_class: type[Adversarial], run: Run, what: str):
    """Raises a UserError if a run is a baseline, without a trained generator; loads nothing."""
    if model_class.has_baseline and run.config()["options"].get("baseline"):
        raise UserError(
            f"{run.folder}: a run with --baseline only classifies; to {what}, give one without it"
        )


def export_baseline(task, model: Adversarial, run: Run, base: Path, version: int) -> Path:
    """Writes a SavedModel of the capabilities alone to `base`/MODEL/`version`; returns the path."""
    signatures = task.further_signatures(model)
    facts = classifier_facts(signatures, run.config()["options"].get("class_names", []))
    return export_signatures(model, base, task.name, version, signatures, facts)
