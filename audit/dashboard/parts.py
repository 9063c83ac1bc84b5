"""Pieces that every page shows: title, verdict and locked numbers; a chart together with its table."""

from __future__ import annotations

from typing import Any

from audit.core.lazy import lazy
from audit.dashboard.tables import Rows
from audit.evidence.certificate import Certificate, Verdict
from audit.report import reading, wording

st = lazy("streamlit")
pd = lazy("pandas")


def head(certificate: Certificate, title: str) -> None:
    """Show the page's title, which audit it is about, the verdict and the locked numbers."""
    st.title(title)
    st.caption(f"{certificate.title} · audit {certificate.audit_id} · locked {certificate.locked_at}")
    columns = st.columns(5)
    columns[0].metric("Verdict", f"{wording.MARKS[certificate.verdict]} {certificate.verdict}")
    columns[1].metric("Budget, forgetting", wording.budget(certificate.alpha_forget))
    columns[2].metric(
        f"Budget, {wording.words(certificate.utility_loss)}", wording.budget(certificate.alpha_utility)
    )
    columns[3].metric(
        "Confidence", "census" if certificate.estimand == "census" else wording.budget(1 - certificate.delta)
    )
    columns[4].metric("In the valid set", f"{len(certificate.valid_set)} of {certificate.family_size}")
    if certificate.verdict is Verdict.INTEGRITY:
        st.error(f"{wording.MEANINGS[Verdict.INTEGRITY].capitalize()}.")
    if reading.uncontrolled(certificate):
        missing = "; ".join(certificate.missing_controls)
        st.warning(f"Uncontrolled. Not measured: {missing}. The verdict is at most INCONCLUSIVE.")


def table(rows: Rows) -> None:
    """Show rows as a table that a screen reader can read."""
    if not rows:
        st.markdown("None.")
        return
    st.table(pd.DataFrame(rows), hide_index=True)


def chart(drawn: Any, alt: str, rows: Rows) -> None:
    """Show a chart with a text that replaces it and, folded, its numbers."""
    st.altair_chart(drawn, alt=alt)
    with st.expander("The same numbers as a table"):
        table(rows)
