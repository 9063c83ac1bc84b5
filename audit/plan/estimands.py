"""Which estimand an audit may claim: what the record shows about how units and probes came about.

The larger the claim, the more must be on record. Where it is not, the audit is refused with what it could claim
instead, never silently turned into a smaller claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from audit.core.errors import AuditError
from audit.risk.estimands import Estimand, least_units

if TYPE_CHECKING:  # the plan's schema asks here which claims a run supports
    from audit.plan.settings import Settings


@dataclass(frozen=True)
class Claim:
    """What the rates of one audit are about.

    ``batch``: fresh probes per draw, for ``probes``; ``generator`` names where they come from. ``independent``: units
    are i.i.d. draws of no finite list. ``fixed``: a repetition would give every unit the same loss.
    """

    estimand: Estimand
    fixed: bool
    independent: bool = False
    batch: int = 0
    generator: str = ""


def claim_of(header: dict[str, Any], settings: Settings) -> Claim:
    """Return the claim that a measurements header supports; E435, E436 or E438 where it claims more.

    Read from the header: ``unit`` (``subject`` unless it says ``request``), ``losses``, and for ``probes`` the record
    ``probe_generator``: ``name``, ``digest``, ``batch``, ``draws`` (``independent`` | ``one per subject``).
    """
    refuse_questions(header.get("unit", "subject"))
    fixed = header["losses"] == "fixed"
    if settings.estimand == "probes":
        return _probes(header, fixed=fixed)
    if settings.estimand == "subjects":
        if header.get("unit") != "request":
            raise one_run()
        return Claim("subjects", fixed, independent=True)
    return Claim("list", fixed)


def _probes(header: dict[str, Any], *, fixed: bool) -> Claim:
    record = header.get("probe_generator") or {}
    batch, draws = record.get("batch"), record.get("draws")
    named = bool(record.get("name") and record.get("digest"))
    if fixed or not named or type(batch) is not int or draws not in ("independent", "one per subject"):
        raise fixed_bank()
    if batch < 1:
        raise fixed_bank()
    return Claim(
        "probes", fixed=False, independent=draws == "independent", batch=batch, generator=record["name"]
    )


def of_own_run(estimand: Any) -> Any:
    """Return what a plan of ours may claim, ``list``; E435, E436 or E438 for what no run of ours supports."""
    refuse_questions(estimand)
    if estimand == "probes":
        raise fixed_bank()
    if estimand == "subjects":
        raise one_run()
    return estimand


def refuse_questions(unit: Any) -> None:
    """Raise E438 where questions are to be the units of inference."""
    if unit in ("question", "questions", "probe"):
        raise AuditError(
            "E438",
            "questions about one person leak together (on real logs a question is worth 1 / 2.4 to 1 / 4 of an "
            "independent one), so tests that count questions certify falsely in 12 to 19 % of audits at a nominal 5 %",
            "let the person be the unit: its questions are one cluster",
        )


def fixed_bank() -> AuditError:
    """Return E435: the probes were not drawn afresh."""
    return AuditError(
        "E435",
        "`probes` claims a rate over fresh probes, and no frozen generator with its digest, batch size and draws is on "
        "record: a fixed bank of questions scored in full is a census of that bank",
        "claim `list`, or measure with probes drawn afresh from a recorded generator",
    )


def one_run() -> AuditError:
    """Return E436: units of one unlearning run are no sample of future ones."""
    return AuditError(
        "E436",
        "`subjects` claims a rate over future subjects or requests, and one unlearning run on one list says nothing "
        "about the next: there the request is the unit",
        "claim `list`, or measure as many unlearning requests, each in a run of its own",
    )


def demand_units(
    claim: Claim, settings: Settings, probes: Any, *, opened: list[str], sealed: list[str], seen: int
) -> None:
    """Raise E435, E437 or E439 where forget units or probes are not what the claim needs.

    ``seen`` counts units of either side that earlier audits opened; ``probes`` is the table of the measurements.
    """
    if seen and (claim.independent or not claim.fixed):
        raise AuditError(
            "E439",
            f"{seen} units were opened by earlier audits; they are counted exactly, which needs a finite list and "
            "losses that would not change on repetition",
            "fix probes, decoding and attack seeds per unit, or leave these units out of the list",
        )
    if claim.estimand == "subjects":
        _demand_requests(len(opened), settings)
    if claim.estimand == "probes":
        asked = probes["subject"].value_counts()
        _demand_batches([int(asked.get(unit, 0)) for unit in (*opened, *sealed)], claim.batch)


def _demand_requests(count: int, settings: Settings) -> None:
    needed = least_units(settings.alpha_forget, settings.delta)
    if count < needed:
        raise AuditError(
            "E437",
            f"{count} requests cannot show a rate of at most {settings.alpha_forget:g} at confidence "
            f"{1 - settings.delta:g}, even without a single failure",
            f"measure at least {needed} requests, or claim `list`",
        )


def _demand_batches(sizes: list[int], batch: int) -> None:
    odd = sum(size != batch for size in sizes)
    if odd:
        raise AuditError(
            "E435",
            f"{odd} of {len(sizes)} draws do not hold the {batch} probes of the generator's batch",
            "measure whole batches, or claim `list`",
        )
