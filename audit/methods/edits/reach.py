"""What an edit may look at and touch: a budget's worth of sequences, the weights in scope."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from audit.core.errors import AuditError
from audit.core.seeds import some
from audit.models.layers import Linear, linears
from audit.models.load import LanguageModel
from audit.models.scope import Scope
from audit.models.training import Budget, Example


def consulted(examples: Sequence[Example], budget: Budget, seed: int, name: str) -> list[Example]:
    """Return at most ``budget.steps`` times ``budget.batch`` sequences, a seeded choice in the given order."""
    return some(examples, budget.steps * budget.batch, seed, name)


def weights_in(scope: Scope, model: LanguageModel) -> dict[str, Any]:
    """Return name -> weight of what the scope lets move; only these require gradients from now on."""
    scope.apply(model)
    return {name: weight for name, weight in model.network.named_parameters() if weight.requires_grad}


def projections_in(scope: Scope, model: LanguageModel) -> dict[str, Linear]:
    """Return name -> projection inside the blocks that the scope lets move; AuditError E267 without any."""
    scope.apply(model)
    found = {one.name: one for one in linears(model.network) if one.module.weight.requires_grad}
    if not found:
        raise AuditError(
            "E267",
            f"scope {scope} holds no projection inside the blocks",
            "name blocks, such as @layers(0:2)",
        )
    return found


def leading_out(names: Iterable[str]) -> list[str]:
    """Return of names of projections the last feed-forward one of every block: its result leaves the part."""
    return list({name.partition(".mlp.")[0]: name for name in names if ".mlp." in name}.values())


def demand_retain(retain: Sequence[Example], name: str) -> None:
    """Refuse an empty retain set; AuditError E269."""
    if not retain:
        raise AuditError(
            "E269", f"{name} compares with retain sequences, there are none", "give a retain set"
        )
