"""Runs with --baseline: a classifier alone, to compare with the one that the model trains."""

from pathlib import Path

from common.adversarial import Adversarial
from common.errors import UserError
from common.serving.saved_model import classifier_facts
from common.serving.signatures import export_signatures
from common.training.run_folder import Run


def refuse_baseline(model: Adversarial, run: Run, what: str):
    """Raises a UserError if the model of a run is a baseline, without a trained generator."""
    if model.only_classifies:
        raise UserError(
            f"{run.folder}: a run with --baseline only classifies; to {what}, give one without it"
        )


def export_baseline(task, model: Adversarial, run: Run, base: Path, version: int) -> Path:
    """Writes a SavedModel of the capabilities alone to `base`/MODEL/`version`; returns the path."""
    signatures = task.further_signatures(model)
    facts = classifier_facts(signatures, run.config()["options"].get("class_names", []))
    return export_signatures(model, base, task.name, version, signatures, facts)
