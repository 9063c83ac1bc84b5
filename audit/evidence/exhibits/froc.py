"""Risk score e_R: a ranking with a bound of its own, beside the valid set; FROC's soft margins per person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from audit.evidence.exhibit import Column, Exhibit, Value
from audit.evidence.exhibits.base import EXHIBITS, Case
from audit.plan import froc
from audit.risk.froc import Weights
from audit.risk.risk_score import RiskScore, score

_COLUMNS = (
    Column("Rank", "count"),
    Column("No.", "count"),
    Column("Configuration"),
    Column("Valid"),
    Column("e_R", "share"),
    Column("at most", "upper"),
    Column("Forget", "share"),
    Column("Harm", "share"),
    Column("FROC e_R", "share"),
    Column("at most", "upper"),
    Column("Margin f", "share"),
    Column("Margin u", "share"),
)


@EXHIBITS.register("froc")
@dataclass(frozen=True)
class Froc:
    """Ranks configurations by the risks that decide, and by FROC's soft margins where they were measured."""

    name: ClassVar[str]
    place: ClassVar[int] = 60

    def make(self, case: Case) -> Exhibit | None:
        """Return the ranking; always there, since every audit bounds forgetting and utility."""
        weights = froc.weights_of(case.assembly)
        level = case.delta / case.tables.table.family_size
        clauses = case.tables.table.clauses
        harm = next(c for c in clauses if c.side == "utility")
        decided = score([c for c in clauses if c.side == "forget"], harm, level, weights)
        margins = _margins(case, level, weights)
        rows = tuple(
            (rank, row + 1, *_names(case, row), *_numbers(decided, row), *_numbers(margins, row))
            for rank, row in enumerate(decided.ranking, start=1)
        )
        return Exhibit(
            name=self.name,
            title="Risk score e_R: a ranking",
            claim=_claim(case, weights),
            columns=_COLUMNS,
            rows=rows,
            notes=tuple(_notes(case, margins)),
        )


def _margins(case: Case, level: float, weights: Weights) -> RiskScore | None:
    forget, utility = froc.forget_margins(case.assembly), froc.utility_margins(case.assembly)
    return score(forget, utility, level, weights) if forget and utility is not None else None


def _names(case: Case, row: int) -> tuple[str, str]:
    result = case.results[row]
    return result.label, "yes" if result.in_valid_set else "no"


def _numbers(found: RiskScore | None, row: int) -> tuple[Value, ...]:
    """Return estimate, bound, forgetting and utility of one configuration; dashes where there is nothing."""
    if found is None:
        return (None, None, None, None)
    parts = (found.estimate, found.upper, found.forget, found.utility)
    return tuple(None if part[row] != part[row] else float(part[row]) for part in parts)


def _claim(case: Case, weights: Weights) -> str:
    size, confidence = case.tables.table.family_size, f"{100 * (1 - case.delta):g} %"
    together = (
        f"for all {size} configurations together, with confidence {confidence}"
        if size > 1
        else (f"with confidence {confidence}")
    )
    return (
        "One number per configuration, to rank by:"
        f" e_R = {weights.forget:g} × forgetting risk under the worst attack (“Forget”)"
        f" + {weights.utility:g} × utility harm (“Harm”). Its bound “at most” holds {together}, over repeated draws of"
        " the subjects. e_R never decides: in a sum, well kept answers can pay for leaked secrets. The valid set, which"
        " asks for both budgets, decides; “Valid” says who is in it."
    )


def _notes(case: Case, margins: RiskScore | None) -> Iterator[str]:
    if not case.assembly.header["lock"].get("risk_weights"):
        yield "The lock names no weights, so both sides weigh one half."
    if margins is None:
        yield (
            "FROC's soft margins need `original`, `retrained` and the metrics nll and exact_memorization on both"
            " sides; not all of them were measured."
        )
        return
    yield (
        "Margin f (after FROC, arXiv:2512.13337): how much better a forgotten subject is still known than by a model trained"
        " without it, under the same attack; 0 % no better, 100 % far better. Mean over subjects, largest over attacks."
        " Margin u: how much worse a retained subject is known than by the original; 0 % no worse, 100 % far worse. Both"
        " are distances, not shares of subjects, so no budget applies to them."
    )
    yield (
        "FROC e_R weighs the two margins as e_R weighs the two risks; its bound is a statement of its own, at the"
        " same confidence."
    )
