"""Whether the model directories that a plan names are there and whole, by their files' names alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from audit.core.errors import AuditError
from audit.models.load import check_folder
from audit.plan.schema import Given, Plan


def check_weights(plan: Plan) -> None:
    """Raise E201 or E202, with the plan's key and the directory's name, for one that cannot be loaded."""
    for key, folder in _named(plan):
        try:
            check_folder(folder)
        except AuditError as error:
            named = "" if repr(folder.name) in error.cause else f" {folder.name!r}"
            raise AuditError(error.code, f"`{key}`{named}: {error.cause}", error.remedy) from None


def _named(plan: Plan) -> Iterator[tuple[str, Path]]:
    roles = {"model": plan.model, "original": plan.original, "retrained": plan.retrained}
    yield from ((key, folder) for key, folder in roles.items() if folder is not None)
    if plan.training is not None:
        yield "training: base", plan.training.base
    yield from (("given", item.given) for item in plan.candidates if isinstance(item, Given))
