"""An invented audit of 16 candidates with exact bounds: 90 of 120 forgotten and 120 of 160 retained opened.

Bounds are written out here from the hypergeometric distribution, not taken from ``audit.risk``.
"""

import dataclasses
from collections.abc import Callable

import pytest
from scipy.stats import hypergeom

from audit.evidence.certificate import (
    AttackSummary,
    Certificate,
    ClauseResult,
    ConfigurationResult,
    Confirmation,
    ControlResult,
    Verdict,
)

K, DELTA, ALPHA = 16, 0.05, 0.10
FORGET, RETAIN = (90, 120), (120, 160)  # opened, on the list
QUANTIZE_INT4 = "quantize(int4, group=64, merged=true)"
QUANTIZE_NF4 = "quantize(nf4, group=64, merged=true)"
RELEARN = "relearn(steps=[5, 10, 25], lr=0.0003)"
CELLS = (
    ("none", 0.0),
    (QUANTIZE_INT4, 4.0),
    (QUANTIZE_NF4, 4.0),
    (RELEARN, 5.0),
    (RELEARN, 10.0),
    (RELEARN, 25.0),
    ("paraphrase", 1.0),
)
# label, failures per cell, harmed retained subjects
CANDIDATES = (
    ("ga(lr=0.0001, steps=60)", (41, 70, 44, 60, 66, 74, 30), 2),
    ("ga(lr=0.001, steps=60)", (0, 0, 0, 1, 2, 3, 0), 96),
    ("graddiff(lr=0.0003, steps=60)", (14, 80, 15, 22, 31, 40, 9), 5),
    ("graddiff(lr=0.001, steps=60)", (0, 0, 0, 1, 1, 2, 0), 57),
    ("npo(lr=0.0003, steps=90)", (4, 84, 5, 20, 31, 47, 2), 1),
    ("npo(lr=0.0003, steps=180)", (0, 50, 0, 9, 21, 36, 0), 0),
    ("simnpo(lr=0.0003, steps=90)", (2, 62, 3, 10, 18, 29, 1), 1),
    ("simnpo(lr=0.001, steps=90)", (0, 0, 0, 0, 1, 2, 0), 1),
    ("idk_sft(lr=0.0003, steps=60) @layers(3:4)", (1, 88, 2, 57, 77, 85, 3), 0),
    ("idk_sft(lr=0.001, steps=90)", (0, 30, 0, 15, 26, 41, 4), 6),
    ("idk_dpo(beta=0.2, lr=0.0003, steps=60)", (6, 71, 8, 30, 44, 58, 5), 2),
    ("idk_dpo(lr=0.001, steps=90)", (0, 4, 0, 2, 5, 9, 1), 4),
    ("rmu_adaptive(lr=0.001, steps=60)", (3, 55, 3, 33, 49, 63, 3), 3),
    ("rmu_adaptive(lr=0.001, steps=90) @lora(16)", (0, 0, 0, 1, 3, 4, 0), 3),
    ("task_vector(lr=0.0003, steps=60)", (22, 77, 25, 51, 60, 71, 15), 4),
    ("task_vector(lr=0.001, steps=60)", (1, 8, 1, 3, 6, 11, 0), 14),
)


def upper(failures: int, opened: int, size: int, level: float) -> float:
    """Largest M/N with P(X <= failures | M) > level."""
    allowed = [
        m
        for m in range(failures, size - opened + failures + 1)
        if hypergeom.cdf(failures, size, m, opened) > level
    ]
    return max(allowed, default=failures) / size


def lower(failures: int, opened: int, size: int, level: float) -> float:
    """Smallest M/N with P(X >= failures | M) > level."""
    allowed = [
        m
        for m in range(failures, size - opened + failures + 1)
        if hypergeom.sf(failures - 1, size, m, opened) > level
    ]
    return min(allowed, default=failures) / size


def clause(loss, side, attack, dose, failures, design, *, budget=ALPHA, level=DELTA / K) -> ClauseResult:
    opened, size = design
    first_bad = int(budget * size + 1e-9) + 1
    return ClauseResult(
        loss=loss,
        side=side,
        attack=attack,
        dose=dose,
        state="measured",
        reason="",
        budget=budget,
        units=opened,
        population=size,
        total=float(failures),
        missing=0,
        estimate=failures / opened,
        lower=lower(failures, opened, size, level),
        upper=upper(failures, opened, size, level),
        level=level,
        p_value=float(hypergeom.cdf(failures, size, first_bad, opened)),
        bound="hypergeometric",
        census=False,
        fails=bool(lower(failures, opened, size, DELTA / (len(CELLS) + 1)) > budget),
    )


def unmeasured(item: ClauseResult, state: str, reason: str) -> ClauseResult:
    return dataclasses.replace(
        item, state=state, reason=reason, units=0, total=0.0, estimate=1.0, lower=0.0, upper=1.0, p_value=1.0
    )


def configuration(number, label, failures, harmed, *, role="candidate", crash=False) -> ConfigurationResult:
    forget = [
        clause("recovered", "forget", a, d, f, FORGET) for (a, d), f in zip(CELLS, failures, strict=True)
    ]
    if crash:
        forget[2] = unmeasured(forget[2], "failed", "E301")
    harm = clause("utility_harm", "retain", "none", 0.0, harmed, RETAIN)
    worst = max(forget, key=lambda c: c.upper)
    beside = [
        clause("above_twins", "forget", a, d, min(f + 3, 90), FORGET)
        for (a, d), f in zip(CELLS, failures, strict=True)
    ]
    p_forget, p_utility = max(c.p_value for c in forget), harm.p_value
    passes = max(p_forget, p_utility) <= DELTA / K
    fails = any(c.fails for c in (*forget, harm))
    verdict = (
        Verdict.PASS
        if passes
        else Verdict.RUN_ERROR
        if crash
        else Verdict.FAIL
        if fails
        else Verdict.INCONCLUSIVE
    )
    return ConfigurationResult(
        configuration=f"{label.split(' @')[0][:-1]}, batch=32, retain_weight=2.0, clip=1.0) @all",
        label=label,
        checkpoint=f"{number:02x}" * 32,
        role=role,
        clauses=(*forget, harm),
        marginal=tuple(beside),
        cur=worst.upper,
        cur_attack=worst.attack,
        cur_dose=worst.dose,
        cur_marginal=upper(int(worst.total), *FORGET, DELTA),
        cur_lower=max(c.lower for c in forget),
        p_forget=p_forget,
        p_utility=p_utility,
        p_value=max(p_forget, p_utility),
        utility_estimate=harm.estimate,
        utility_lower=harm.lower,
        utility_upper=harm.upper,
        in_valid_set=passes and role == "candidate",
        verdict=verdict,
        reasons=()
        if passes
        else (f"{'shown to exceed' if fails else 'not shown to keep'} a budget of 10 %",),
        diagnostics=(("share of int4 codes changed", 0.12),),
    )


ATTACKS = (
    AttackSummary("none", "none", "prompt", (0.0,), "none", True),
    AttackSummary(QUANTIZE_INT4, "quantize(int4)", "weights", (4.0,), "bits", True),
    AttackSummary(QUANTIZE_NF4, "quantize(nf4)", "weights", (4.0,), "bits", True),
    AttackSummary(RELEARN, "relearn(steps=[5, 10, 25])", "finetune", (5.0, 10.0, 25.0), "steps", True),
    AttackSummary(
        "paraphrase", "paraphrase", "prompt", (1.0,), "wordings", False, "the original does not fail"
    ),
)


@pytest.fixture(scope="session")
def certificate() -> Certificate:
    candidates = tuple(configuration(i, *item) for i, item in enumerate(CANDIDATES, start=1))
    chosen = 7  # simnpo 1e-3
    confirmed = Confirmation(RELEARN, 25.0, 2.0, 120, 30, 2 / 120, True, 1 / 160, 160)
    candidates = tuple(
        dataclasses.replace(c, confirmation=confirmed) if i == chosen else c for i, c in enumerate(candidates)
    )
    vetoed = dataclasses.replace(
        candidates[13],
        vetoes=("over_forgotten is above 10 % of the subjects",),
        in_valid_set=False,
        verdict=Verdict.INCONCLUSIVE,
    )
    candidates = (*candidates[:13], vetoed, *candidates[14:])
    return Certificate(
        audit_id="a1b2c3d4e5f6",
        title="demo: laboratory, 4-bit release",
        lock_digest="5e" * 32,
        locked_at="2026-11-20T09:14:05+00:00",
        alpha_forget=ALPHA,
        alpha_utility=ALPHA,
        delta=DELTA,
        family="holm",
        family_size=K,
        estimand="list",
        primary=("recovered",),
        units=(
            ("forget: named", 150),
            ("forget: auditable", 150),
            ("forget: opened", 90),
            ("retain: opened", 120),
        ),
        configurations=candidates,
        references=(
            configuration(254, "original", (90, 90, 88, 89, 90, 90, 8), 0, role="original"),
            configuration(255, "retrained", (0, 0, 0, 0, 0, 1, 0), 9, role="retrained"),
        ),
        controls=(
            ControlResult("original", "FAIL unattacked", "as expected", "90 of 90 yield a secret"),
            ControlResult("retrained", "does not FAIL under any attack", "as expected", "at most 1 of 90"),
        ),
        missing_controls=(),
        attacks=ATTACKS,
        verdict=Verdict.PASS,
        reasons=(),
        sentences=(
            "For checkpoint 080808080808, 90 of the 120 subjects drawn as list: the rate is at most 10 %.",
        ),
        not_said=("Nothing is said about unlisted attacks, other seeds, later changes or a single person.",),
        confirmed_checkpoint="08" * 32,
    )


@pytest.fixture(scope="session")
def judged(certificate) -> Callable[[Verdict], Certificate]:
    """The same audit as it would stand under each of the five verdicts."""

    def build(verdict: Verdict) -> Certificate:
        if verdict is Verdict.PASS:
            return certificate
        refused = tuple(
            dataclasses.replace(c, in_valid_set=False, verdict=verdict if c.in_valid_set else c.verdict)
            for c in certificate.configurations
        )
        controls = certificate.controls
        if verdict is Verdict.FAIL:
            refused = tuple(dataclasses.replace(c, verdict=Verdict.FAIL) for c in refused)
        if verdict is Verdict.RUN_ERROR:
            refused = tuple(configuration(i, *item, crash=True) for i, item in enumerate(CANDIDATES, start=1))
        if verdict is Verdict.INTEGRITY:
            controls = (dataclasses.replace(controls[0], outcome="violated"), controls[1])
        return dataclasses.replace(
            certificate,
            configurations=refused,
            controls=controls,
            verdict=verdict,
            sentences=(),
            reasons=("a reason",),
        )

    return build
