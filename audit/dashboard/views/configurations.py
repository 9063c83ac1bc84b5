"""Page: CUR of every configuration, and the valid set at a budget that may be moved freely.

Only the forgetting budget slides. The bounds do not depend on it, so the set is right at every position,
chosen at any time; the budget for utility and the confidence stay as locked.
"""

from __future__ import annotations

import math

from audit.core.lazy import lazy
from audit.dashboard import charts, parts, source, tables
from audit.evidence.certificate import Certificate, ConfigurationResult
from audit.report import wording

st = lazy("streamlit")

STEP = 0.1  # percent


def show() -> None:
    certificate = source.certificate()
    parts.head(certificate, "CUR per configuration")
    budget = _slider(certificate)
    listed, by_family = _valid(certificate, budget)
    st.metric(
        f"Valid at {wording.budget(budget)}", f"{len(listed) + len(by_family)} of {certificate.family_size}"
    )
    parts.table(
        tables.valid(certificate, listed, "by its simultaneous CUR")
        + tables.valid(certificate, by_family, f"by {certificate.family}, at the locked budgets only")
    )
    alt = (
        f"CUR of {len(certificate.configurations)} candidates, smallest first, with a line at "
        f"{wording.budget(budget)}; {len(listed) + len(by_family)} are valid there. "
        "Every number is in the table below."
    )
    parts.chart(
        charts.cur(certificate, budget, (*listed, *by_family)), alt, tables.configurations(certificate)
    )
    st.caption(
        "Filled mark: CUR, its shape the verdict at the locked budgets. Tick: estimate under the worst "
        "attack. Ring: estimate without an attack. ✓: valid at the budget of the slider."
    )


def _slider(certificate: Certificate) -> float:
    """Return the forgetting budget in [0, 1]; the locked one is given back without rounding."""
    locked = 100 * certificate.alpha_forget
    percent = st.slider(
        "Budget for the forgetting risk",
        min_value=STEP,
        max_value=100.0,
        value=round(locked, 6),
        step=STEP,
        format="%.1f %%",
        key="budget",
        bind="query-params",
    )
    st.caption(
        f"Locked: {wording.budget(certificate.alpha_forget)}. The valid set is right at every position, "
        "because the bounds do not depend on it. "
        f"Utility ({wording.budget(certificate.alpha_utility)}) and confidence stay locked."
    )
    return certificate.alpha_forget if math.isclose(percent, locked, abs_tol=1e-6) else percent / 100


def _valid(
    certificate: Certificate, budget: float
) -> tuple[tuple[ConfigurationResult, ...], tuple[ConfigurationResult, ...]]:
    """Return what CUR lists at ``budget``, and what the locked procedure lists besides at its own budget."""
    listed = certificate.valid_at(budget)
    if budget != certificate.alpha_forget:
        return listed, ()
    return listed, tuple(c for c in certificate.valid_set if c not in listed)


if __name__ == "__main__":
    show()
