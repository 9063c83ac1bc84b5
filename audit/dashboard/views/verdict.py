"""Page: the answer, what is said, what is not said, controls and provenance."""

from __future__ import annotations

from collections.abc import Iterable

from audit.core.lazy import lazy
from audit.dashboard import parts, source, tables
from audit.report import reading, wording

st = lazy("streamlit")


def show() -> None:
    certificate = source.certificate()
    parts.head(certificate, "Verdict")
    st.subheader(reading.headline(certificate))
    _sentences("Reasons", certificate.reasons)
    _sentences("What is said", certificate.sentences)
    _sentences("What is not said", certificate.not_said)
    st.subheader("Configurations")
    parts.table(tables.configurations(certificate))
    with st.expander("All reasons"):
        parts.table(tables.reasons(certificate))
    st.subheader("Controls")
    parts.table(tables.controls(certificate))
    for item in certificate.configurations:
        if item.confirmation is not None:
            k = item.confirmation
            where = wording.attack(k.attack, k.dose)
            st.markdown(f"Confirmed for {item.label}: {k.failures:g} of {k.population} under {where}.")
    st.subheader("Provenance, SHA-256")
    facts = [
        f"lock: `{certificate.lock_digest}`",
        f"multiplicity: {certificate.family}, K = {certificate.family_size}"
        + (f", order from {certificate.order_source}" if certificate.order_source else ""),
        f"estimand: {certificate.estimand}. {certificate.estimand_claim}",
        *(f"subjects, {name}: {count}" for name, count in certificate.units),
        *(f"{c.label}: `{c.checkpoint or 'no digest in the log'}`" for c in certificate.valid_set),
    ]
    st.markdown(_bullets(facts))


def _sentences(title: str, sentences: tuple[str, ...]) -> None:
    if sentences:
        st.markdown(f"**{title}**\n\n{_bullets(sentences)}")


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


if __name__ == "__main__":
    show()
