"""Page: the attacks of the lock, the bound under each of them, and dose–response curves."""

from __future__ import annotations

from audit.core.lazy import lazy
from audit.dashboard import charts, parts, source, tables
from audit.evidence.certificate import Certificate
from audit.report import reading, wording

st = lazy("streamlit")


def show() -> None:
    certificate = source.certificate()
    parts.head(certificate, "Attacks")
    st.markdown(
        "An attack under which the original does not fail is uninformative: withstanding it says nothing."
    )
    parts.table(tables.attacks(certificate))
    st.subheader("Upper bounds under each attack")
    columns = reading.columns(certificate)
    alt = (
        f"Upper bounds of {len(certificate.configurations)} candidates and the controls under {len(columns)} "
        "attacks and doses; a triangle marks bounds above the budget. Every number is in the table below."
    )
    parts.chart(charts.attack_map(certificate), alt, tables.cells(certificate))
    st.caption(
        "Each cell is a bound of its own at the level of CUR; ▲ exceeds the budget; – was not measured."
    )
    for attack in reading.dosed(certificate):
        _doses(certificate, attack)


def _doses(certificate: Certificate, attack: str) -> None:
    label = next((a.label for a in certificate.attacks if a.attack == attack), attack)
    st.subheader(f"Dose and response: {label}")
    alt = f"How every candidate's forgetting risk grows with the dose of {label}; numbers in the table above."
    st.altair_chart(charts.doses(certificate, attack), alt=alt)
    st.caption(
        "Line: estimate. Band: lower and upper bound, each dose by itself. Dashed: the locked budget "
        f"({wording.budget(certificate.alpha_forget)}). Dose 0: unattacked."
    )


if __name__ == "__main__":
    show()
