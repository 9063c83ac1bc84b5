"""Where a number stands in a certificate: selections and orders, no arithmetic on risks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from audit.evidence.certificate import Certificate, ClauseResult, ConfigurationResult, Verdict
from audit.report import wording


@dataclass(frozen=True)
class Column:
    """One attack at one dose, as every configuration meets it."""

    attack: str
    dose: float
    label: str


def numbered(certificate: Certificate) -> tuple[tuple[int, ConfigurationResult], ...]:
    """Return the candidates in plan order, counted from 1: figures refer to them by number."""
    return tuple(enumerate(certificate.configurations, start=1))


def by_cur(certificate: Certificate) -> tuple[tuple[int, ConfigurationResult], ...]:
    """Return the numbered candidates, smallest CUR first."""
    return tuple(
        sorted(numbered(certificate), key=lambda item: (item[1].cur, item[1].utility_upper, item[0]))
    )


def columns(certificate: Certificate) -> tuple[Column, ...]:
    """Return every attack and dose that some configuration met, in the lock's order, unattacked first."""
    order = {summary.attack: place for place, summary in enumerate(certificate.attacks)}
    everything = (*certificate.configurations, *certificate.references)
    met = {(c.attack, c.dose) for item in everything for c in forgetting(item)}
    ranked = sorted(met, key=lambda cell: (cell[0] != "none", order.get(cell[0], len(order)), *cell))
    return tuple(Column(attack, dose, wording.attack(attack, dose)) for attack, dose in ranked)


def forgetting(configuration: ConfigurationResult) -> tuple[ClauseResult, ...]:
    """Return the clauses of the primary losses."""
    return tuple(c for c in configuration.clauses if c.side == "forget")


def cell(configuration: ConfigurationResult, attack: str, dose: float) -> ClauseResult | None:
    """Return the clause under one attack and dose; of several losses the one with the largest bound."""
    return _largest(c for c in forgetting(configuration) if c.attack == attack and c.dose == dose)


def unattacked(configuration: ConfigurationResult) -> ClauseResult | None:
    """Return the forgetting clause without an attack."""
    return _largest(c for c in forgetting(configuration) if c.attack == "none")


def worst(configuration: ConfigurationResult) -> ClauseResult | None:
    """Return the clause that attains CUR; of a candidate given up early the one that looks worst."""
    if any(clause.state == "stopped" for clause in configuration.clauses):
        shown = [c for c in forgetting(configuration) if c.state == "measured" or c.units]
        return max(shown, key=lambda c: c.lower, default=None)
    return cell(configuration, configuration.cur_attack, configuration.cur_dose)


def utility(configuration: ConfigurationResult) -> ClauseResult | None:
    """Return the utility clause."""
    return _largest(c for c in configuration.clauses if c.side == "retain")


def has_utility(configuration: ConfigurationResult) -> bool:
    """Return whether utility was measured: without it there is no place in the risk–utility plane."""
    clause = utility(configuration)
    return clause is not None and clause.state == "measured" and clause.units > 0


def marginal_worst(configuration: ConfigurationResult) -> tuple[ClauseResult, ...]:
    """Return, for every marginal loss, its clause with the largest bound; in order of first appearance."""
    losses = dict.fromkeys(c.loss for c in configuration.marginal)
    found = (_largest(c for c in configuration.marginal if c.loss == loss) for loss in losses)
    return tuple(clause for clause in found if clause is not None)


def marginal_losses(certificate: Certificate) -> tuple[str, ...]:
    """Return the marginal losses of all configurations, in order of first appearance."""
    return tuple(dict.fromkeys(c.loss for item in certificate.configurations for c in item.marginal))


def dosed(certificate: Certificate) -> tuple[str, ...]:
    """Return the attacks measured at two or more doses: those with a dose–response curve."""
    met: dict[str, set[float]] = {}
    for column in columns(certificate):
        met.setdefault(column.attack, set()).add(column.dose)
    return tuple(attack for attack, doses in met.items() if len(doses) > 1)


def curve(configuration: ConfigurationResult, attack: str) -> tuple[ClauseResult, ...]:
    """Return the measured clauses along an attack's doses, the unattacked one in front as dose 0."""
    doses = sorted({c.dose for c in forgetting(configuration) if c.attack == attack})
    found = [unattacked(configuration), *(cell(configuration, attack, dose) for dose in doses)]
    return tuple(c for c in found if c is not None and c.state == "measured")


def uncontrolled(certificate: Certificate) -> bool:
    """Return whether a control that a verdict needs was not measured."""
    return bool(certificate.missing_controls)


def headline(certificate: Certificate) -> str:
    """Return the result in one sentence."""
    budgets = (
        f"at most {wording.budget(certificate.alpha_forget)} forgetting risk under every locked attack and "
        f"at most {wording.budget(certificate.alpha_utility)} {wording.words(certificate.utility_loss)}"
    )
    listed, frozen = len(certificate.valid_set), certificate.family_size
    keeps = "keeps" if listed == 1 else "keep"
    found = f"{listed} of {frozen} configurations {keeps} both budgets ({budgets}), {sureness(certificate)}"
    missing = "a control is missing, so this is uncontrolled: " if uncontrolled(certificate) else ""
    return {
        Verdict.PASS: f"{found}.",
        Verdict.FAIL: f"Every one of the {frozen} configurations is shown to exceed a budget ({budgets}).",
        Verdict.INCONCLUSIVE: f"The evidence does not decide; {missing}{found}.",
        Verdict.RUN_ERROR: "The audit is incomplete: something that was locked could not be measured.",
        Verdict.INTEGRITY: f"{_INTEGRITY}: no number below may be relied on.",
    }[certificate.verdict]


def sureness(certificate: Certificate) -> str:
    """Return what the numbers rest on: a confidence, or a census, which needs none."""
    if certificate.estimand == "census":
        return "counted exactly (census)"
    return f"at confidence {wording.budget(1 - certificate.delta)}"


_INTEGRITY = "The audit failed its own controls or its record does not hold"


def _largest(clauses: Iterable[ClauseResult]) -> ClauseResult | None:
    return max(clauses, key=lambda c: (c.upper, c.estimate), default=None)
