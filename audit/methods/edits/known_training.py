"""The training that exact methods do again, or why there is none."""

from __future__ import annotations

from audit.core.errors import AuditError
from audit.models.load import LanguageModel
from audit.models.provenance import Training


def training_of(model: LanguageModel, method: str) -> Training:
    """Return how the model was trained; AuditError E231 where nothing is known about it."""
    if model.training is None:
        raise AuditError(
            "E231",
            f"{method} does the original's training again, and nothing is known about it",
            "state `training: {base, epochs, batch, lr}` in the plan, or give the checkpoint: {given: PATH}",
        )
    return model.training
