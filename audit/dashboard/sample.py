"""An invented certificate, so that pages can be opened without an audit. Its numbers mean nothing."""

from __future__ import annotations

from audit.evidence.certificate import (
    AttackSummary,
    Certificate,
    ClauseResult,
    ConfigurationResult,
    ControlResult,
    Verdict,
)

_RELEARN = "relearn(steps=[5, 25])"
_CELLS = (("none", 0.0), (_RELEARN, 5.0), (_RELEARN, 25.0))
_ALPHA, _DELTA = 0.10, 0.05


def certificate() -> Certificate:
    """Return three candidates, one for each verdict about a checkpoint, and both controls."""
    candidates = (
        _configuration("first", (0.0, 0.0, 0.02), 0.01, Verdict.PASS),
        _configuration("second", (0.0, 0.3, 0.5), 0.02, Verdict.FAIL),
        _configuration("third", (0.02, 0.06, 0.09), 0.03, Verdict.INCONCLUSIVE),
    )
    return Certificate(
        audit_id="sample",
        title="invented numbers",
        lock_digest="0" * 64,
        locked_at="never",
        alpha_forget=_ALPHA,
        alpha_utility=_ALPHA,
        delta=_DELTA,
        family="holm",
        family_size=len(candidates),
        estimand="list",
        primary=("recovered",),
        units=(("forget: opened", 100), ("retain: opened", 100)),
        configurations=candidates,
        references=(
            _configuration("original", (1.0, 1.0, 1.0), 0.0, Verdict.FAIL, role="original"),
            _configuration("retrained", (0.0, 0.0, 0.0), 0.05, Verdict.INCONCLUSIVE, role="retrained"),
        ),
        controls=(ControlResult("original", "FAIL unattacked", "as expected", "invented"),),
        missing_controls=(),
        attacks=(
            AttackSummary("none", "none", "prompt", (0.0,), "none", True),
            AttackSummary(_RELEARN, _RELEARN, "finetune", (5.0, 25.0), "steps", True),
        ),
        verdict=Verdict.PASS,
        reasons=(),
        sentences=("These numbers are invented.",),
        not_said=("Anything about any model.",),
    )


def _configuration(
    name: str, risks: tuple[float, ...], harm: float, verdict: Verdict, *, role: str = "candidate"
) -> ConfigurationResult:
    forget = tuple(
        _clause("recovered", "forget", a, d, risk) for (a, d), risk in zip(_CELLS, risks, strict=True)
    )
    utility = _clause("utility_harm", "retain", "none", 0.0, harm)
    worst = max(forget, key=lambda clause: clause.upper)
    p_forget = 0.001 if verdict is Verdict.PASS else 0.9
    return ConfigurationResult(
        configuration=name,
        label=name,
        checkpoint="",
        role=role,
        clauses=(*forget, utility),
        marginal=(),
        cur=worst.upper,
        cur_attack=worst.attack,
        cur_dose=worst.dose,
        cur_marginal=worst.upper,
        cur_lower=worst.lower,
        p_forget=p_forget,
        p_utility=0.001,
        p_value=p_forget,
        utility_estimate=harm,
        utility_lower=utility.lower,
        utility_upper=utility.upper,
        in_valid_set=verdict is Verdict.PASS and role == "candidate",
        verdict=verdict,
    )


def _clause(loss: str, side: str, attack: str, dose: float, risk: float) -> ClauseResult:
    return ClauseResult(
        loss=loss,
        side=side,
        attack=attack,
        dose=dose,
        state="measured",
        reason="",
        budget=_ALPHA,
        units=100,
        population=None,
        total=100 * risk,
        missing=0,
        estimate=risk,
        lower=max(risk - 0.05, 0.0),
        upper=min(risk + 0.05, 1.0),
        level=_DELTA / 3,
        p_value=0.5,
        bound="binomial",
        census=False,
    )
