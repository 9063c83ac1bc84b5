"""How numbers, attacks and digests read, the same in every view.

Bounds are rounded away from the estimate (an upper bound up, a lower bound down), so that a printed number
never says more than the certificate does: 10.04 % is not printed as 10.0 %.
"""

from __future__ import annotations

import math

from audit.evidence.certificate import Certificate, ClauseResult, ConfigurationResult, Verdict
from audit.evidence.exhibit import Kind, Value
from audit.plan.naming import attack_label

MARKS = {
    Verdict.PASS: "✓",
    Verdict.FAIL: "✗",
    Verdict.INCONCLUSIVE: "?",
    Verdict.RUN_ERROR: "!",
    Verdict.INTEGRITY: "■",
}

MEANINGS = {
    Verdict.PASS: "shown to keep every budget",
    Verdict.FAIL: "shown to exceed a budget",
    Verdict.INCONCLUSIVE: "the evidence decides neither way",
    Verdict.RUN_ERROR: "something that was locked could not be measured",
    Verdict.INTEGRITY: "a control misbehaved or the record does not hold; no number here may be relied on",
}

SPACE = "\u00a0"  # keeps a number with its sign and an interval in one piece

_STATES = {"failed": "run failed", "stopped": "stopped early", "not_applicable": "not applicable"}


def percent(share: float) -> str:
    """Return a share as ``8.2 %``, rounded to the nearest tenth."""
    return f"{100 * share:.1f}{SPACE}%"


def percent_up(share: float) -> str:
    """Return an upper bound as ``8.2 %``, rounded up; 9 digits of slack absorb binary fractions."""
    return f"{math.ceil(round(1000 * share, 6)) / 10:.1f}{SPACE}%"


def percent_down(share: float) -> str:
    """Return a lower bound as ``8.2 %``, rounded down."""
    return f"{math.floor(round(1000 * share, 6)) / 10:.1f}{SPACE}%"


def budget(share: float) -> str:
    """Return a budget or a confidence without needless digits: ``10 %``, ``2.5 %``."""
    return f"{100 * share:.6g}{SPACE}%"


def value(shown: Value, kind: Kind) -> str:
    """Return one cell of an exhibit's table as its column wants it read."""
    if shown is None or isinstance(shown, str):
        return "–" if shown is None else shown
    if kind == "count":
        return f"{shown:g}"
    in_percent = {"share": percent, "upper": percent_up, "lower": percent_down}
    return in_percent[kind](shown) if kind in in_percent else f"{shown:.3g}"


def interval(lower: float, upper: float) -> str:
    """Return ``[0.9, 8.2]``, in percent and rounded outwards; an estimate with the unit stands before it."""
    ends = (percent_down(lower), percent_up(upper))
    return f"[{f',{SPACE}'.join(end.removesuffix(f'{SPACE}%') for end in ends)}]"


def measured(clause: ClauseResult | None) -> str:
    """Return a clause as estimate, counts and interval, or the reason why there is none."""
    if clause is None:
        return "not measured"
    if clause.state == "stopped" and clause.units:
        return f"at least {percent_down(clause.lower)}, {counts(clause)}; {state(clause)}"
    if clause.state != "measured":
        return state(clause)
    if clause.census:
        return f"{percent(clause.estimate)} ({counts(clause)}, census)"
    return f"{percent(clause.estimate)} {interval(clause.lower, clause.upper)}, {counts(clause)}"


def state(clause: ClauseResult) -> str:
    """Return why a clause has no value, in words."""
    known = _STATES.get(clause.state, clause.state)
    return f"{known}: {clause.reason}" if clause.reason else known


def counts(clause: ClauseResult) -> str:
    """Return ``3 of 90``, graded losses as ``3.2 of 90``; the number of units without a score goes with it."""
    total = f"{clause.total:.0f}" if clause.total == round(clause.total) else f"{clause.total:.1f}"
    missing = f", {clause.missing} without a score" if clause.missing else ""
    return f"{total}{SPACE}of{SPACE}{clause.units}{missing}"


def words(name: str) -> str:
    """Return the identifier of a loss as words: ``utility_harm`` reads ``utility harm``."""
    return name.replace("_", " ")


def p_value(value: float) -> str:
    """Return a p-value with two digits, small ones as ``< 0.0001``."""
    return f"<{SPACE}0.0001" if value < 1e-4 else f"{value:.2g}"


def digest(value: str, length: int = 12) -> str:
    """Return the first digits of a digest, or a dash where a log gave none."""
    return value[:length] or "–"


def attack(name: str, dose: float) -> str:
    """Return ``relearn @25 steps``: the attack as the certificate's sentences call it."""
    return "unattacked" if name == "none" else attack_label(name, dose)


def cur(configuration: ConfigurationResult) -> str:
    """Return ``8.2 % (relearn @25 steps)``: the simultaneous CUR with the attack that attains it."""
    if any(clause.state == "stopped" for clause in configuration.clauses):
        return f"{bound(configuration)} (stopped early, no upper bound)"
    return f"{bound(configuration)} ({attack(configuration.cur_attack, configuration.cur_dose)})"


def bound(configuration: ConfigurationResult) -> str:
    """Return CUR as ``8.2 %``; of a candidate given up early the lower bound, the only one there is."""
    if any(clause.state == "stopped" for clause in configuration.clauses):
        return f"at least {percent_down(configuration.cur_lower)}"
    return percent_up(configuration.cur)


def worst(configuration: ConfigurationResult, clause: ClauseResult | None) -> str:
    """Return the worst clause with the attack that it is about."""
    where = (configuration.cur_attack, configuration.cur_dose)
    return f"{attack(*((clause.attack, clause.dose) if clause else where))}: {measured(clause)}"


def why(certificate: Certificate, configuration: ConfigurationResult) -> tuple[str, ...]:
    """Return the sentences beside a verdict: vetoes and reasons, without repetition."""
    sentences = tuple(dict.fromkeys((*configuration.vetoes, *configuration.reasons)))
    if sentences or not configuration.in_valid_set:
        return sentences
    return (listing(certificate, configuration),)


def listing(certificate: Certificate, configuration: ConfigurationResult) -> str:
    """Return how a valid configuration came into the valid set."""
    if configuration in certificate.valid_at(certificate.alpha_forget):
        return "in the valid set"
    return f"in the valid set by {certificate.family} at the locked budgets only"
