"""The one Certificate and its Verdict; every view renders this object and computes nothing of its own."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from audit.core import errors
from audit.evidence.exhibit import Exhibit

SCHEMA_VERSION = 1


class Verdict(StrEnum):
    """Five outcomes with exit codes of their own; not enough evidence is never PASS."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    RUN_ERROR = "RUN-ERROR"
    INTEGRITY = "INTEGRITY"

    @property
    def exit_code(self) -> int:
        """0 PASS, 1 FAIL, 3 INCONCLUSIVE, 4 run error, 5 integrity error."""
        return _EXIT_CODES[self.name]


_EXIT_CODES = {
    "PASS": errors.EXIT_PASS,
    "FAIL": errors.EXIT_FAIL,
    "INCONCLUSIVE": errors.EXIT_INCONCLUSIVE,
    "RUN_ERROR": errors.EXIT_RUN,
    "INTEGRITY": errors.EXIT_INTEGRITY,
}


@dataclass(frozen=True)
class ClauseResult:
    """One loss of one configuration under one attack and dose, or its utility.

    ``total`` is the sum of per-unit losses over ``units`` opened units of a list of ``population`` (None: draws).
    ``estimate`` = total / units. ``lower`` and ``upper`` are one-sided bounds at ``level`` each, simultaneous over
    configurations when ``level`` = delta / K. ``p_value`` tests risk > ``budget`` (1 when undefined).
    ``state``: measured | failed | stopped | not_applicable; ``reason`` says why it was not measured.
    ``bound`` names the theorem used. ``census``: every unit of the list was measured, so estimate is exact.
    """

    loss: str
    side: str  # forget | retain
    attack: str
    dose: float
    state: str
    reason: str
    budget: float
    units: int
    population: int | None
    total: float
    missing: int
    estimate: float
    lower: float
    upper: float
    level: float
    p_value: float
    bound: str
    census: bool
    lower_failing: float = 0.0  # lower bound at delta / (number of clauses)
    fails: bool = False  # ``lower_failing`` exceeds the budget


@dataclass(frozen=True)
class Confirmation:
    """What the sealed units showed for one checkpoint named beforehand; with all of them opened an exact count.

    ``failures`` of ``population`` units in the worst attack; ``upper`` equals the exact rate when ``exact``.
    """

    attack: str
    dose: float
    failures: float
    population: int
    sealed_units: int
    upper: float
    exact: bool
    utility: float = 1.0  # upper bound of the utility loss over calibrate and sealed units, exact likewise
    utility_population: int = 0


@dataclass(frozen=True)
class ConfigurationResult:
    """Everything said about one configuration (one checkpoint).

    ``cur`` is the simultaneous CUR (level delta / K) with the attack and dose that attain it, ``cur_marginal``
    the bound at level delta (exploration only), ``cur_lower`` the largest lower bound over forgetting clauses.
    ``p_forget`` and ``p_utility`` are maxima over their clauses, ``p_value`` the larger of both.
    ``vetoes`` are sentences; any veto removes the configuration from the valid set.
    """

    configuration: str
    label: str  # short name for tables and axes
    checkpoint: str
    role: str
    clauses: tuple[ClauseResult, ...]  # the primary losses (forget) and utility: these decide
    marginal: tuple[ClauseResult, ...]  # tabulated beside; can veto, never certify
    cur: float
    cur_attack: str
    cur_dose: float
    cur_marginal: float
    cur_lower: float
    p_forget: float
    p_utility: float
    p_value: float
    utility_estimate: float
    utility_lower: float
    utility_upper: float
    in_valid_set: bool
    verdict: Verdict
    vetoes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()  # why not PASS, one sentence each
    confirmation: Confirmation | None = None
    # (forget lower, forget upper, utility lower, utility upper) at delta / (2 K) each: both upper sides hold
    # together for all configurations at confidence 1 - delta
    rectangle: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 1.0)
    diagnostics: tuple[tuple[str, float], ...] = ()  # ("codes changed under quantize(...)", 0.12)


@dataclass(frozen=True)
class ControlResult:
    """A control: ``original`` must FAIL unattacked, ``retrained`` must not FAIL under any attack."""

    name: str
    expectation: str
    outcome: str  # as expected | violated | not measured
    detail: str


@dataclass(frozen=True)
class AttackSummary:
    """One attack of the lock; ``informative``: the original fails under it, so withstanding it says something."""

    attack: str
    label: str
    tier: str
    doses: tuple[float, ...]
    dose_unit: str
    informative: bool | None  # None: not measured on the original
    note: str = ""


@dataclass(frozen=True)
class Certificate:
    """The result of one audit; JSON round trip by ``to_json`` and ``from_json``."""

    audit_id: str
    title: str
    lock_digest: str
    locked_at: str
    alpha_forget: float
    alpha_utility: float
    delta: float
    family: str  # constructor text of the multiplicity procedure: holm, graphical(insurance=0.2), …
    family_size: int  # K: every locked configuration, dropped and crashed ones included
    estimand: str  # list | census | probes | subjects
    primary: tuple[str, ...]
    units: tuple[tuple[str, int], ...]  # ("forget: named", 150), ("forget: auditable", 149), …
    configurations: tuple[ConfigurationResult, ...]  # candidates, in plan order
    references: tuple[ConfigurationResult, ...]  # original, retrained: outside the family
    controls: tuple[ControlResult, ...]
    missing_controls: tuple[str, ...]
    attacks: tuple[AttackSummary, ...]
    verdict: Verdict
    reasons: tuple[str, ...]
    sentences: tuple[str, ...]  # STATISTICS §7, one per valid checkpoint
    not_said: tuple[str, ...]
    utility_loss: str = "utility_harm"
    estimand_claim: str = ""  # a sentence: what the rates are rates of
    order_source: str = ""  # where an ordered family has its order from: tune | plan; "" without one
    order: tuple[str, ...] = ()  # configurations, first tested first
    confirmed_checkpoint: str | None = None
    exhibits: tuple[Exhibit, ...] = ()  # stand beside the verdict and never change it
    schema_version: int = SCHEMA_VERSION

    @property
    def valid_set(self) -> tuple[ConfigurationResult, ...]:
        """Configurations certified at the locked budgets."""
        return tuple(c for c in self.configurations if c.in_valid_set)

    def valid_at(self, alpha_forget: float) -> tuple[ConfigurationResult, ...]:
        """Return the configurations with simultaneous CUR <= ``alpha_forget`` and utility p <= delta / K.

        Right for every ``alpha_forget`` chosen at any time, because the bounds do not depend on it
        (STATISTICS §5); alpha_utility and delta stay locked. Vetoed and uncontrolled ones stay out.
        """
        level = self.delta / max(self.family_size, 1)
        return tuple(
            c
            for c in self.configurations
            if c.cur <= alpha_forget and c.p_utility <= level and not c.vetoes and self._may_list
        )

    @property
    def _may_list(self) -> bool:
        return self.verdict not in (Verdict.INTEGRITY, Verdict.RUN_ERROR)

    def to_json(self) -> dict[str, Any]:
        """Return a plain JSON object."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Certificate:
        """Rebuild a certificate from ``to_json``'s object."""
        if data.get("schema_version") != SCHEMA_VERSION:
            raise errors.AuditError(
                "E510",
                f"certificate has schema {data.get('schema_version')!r}, expected {SCHEMA_VERSION}",
                "certify again",
            )
        values = dict(data)
        values["configurations"] = tuple(map(_configuration, data["configurations"]))
        values["references"] = tuple(map(_configuration, data["references"]))
        values["controls"] = tuple(ControlResult(**item) for item in data["controls"])
        values["attacks"] = tuple(
            AttackSummary(**{**item, "doses": tuple(item["doses"])}) for item in data["attacks"]
        )
        values["exhibits"] = tuple(map(Exhibit.from_json, data["exhibits"]))
        values["verdict"] = Verdict(data["verdict"])
        values["units"] = tuple((str(name), int(count)) for name, count in data["units"])
        values["order"] = tuple(data.get("order", ()))  # the first certificates knew no order
        for name in ("primary", "missing_controls", "reasons", "sentences", "not_said"):
            values[name] = tuple(data[name])
        return cls(**values)


def _configuration(item: dict[str, Any]) -> ConfigurationResult:
    values = dict(item)
    values["clauses"] = tuple(ClauseResult(**clause) for clause in item["clauses"])
    values["marginal"] = tuple(ClauseResult(**clause) for clause in item["marginal"])
    values["verdict"] = Verdict(item["verdict"])
    values["rectangle"] = tuple(item["rectangle"])
    values["vetoes"], values["reasons"] = tuple(item["vetoes"]), tuple(item["reasons"])
    confirmation = item["confirmation"]
    values["confirmation"] = Confirmation(**confirmation) if confirmation else None
    values["diagnostics"] = tuple((str(name), float(value)) for name, value in item["diagnostics"])
    return ConfigurationResult(**values)
