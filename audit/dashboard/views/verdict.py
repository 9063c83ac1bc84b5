"""Page: the answer, what is said, what is not said, controls and provenance."""

from __future__ import annotations

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
    st.header("Configurations")
    parts.table(tables.configurations(certificate))
    st.header("Controls")
    parts.table(tables.controls(certificate))
    for item in certificate.configurations:
        if item.confirmation is not None:
            k = item.confirmation
            where = wording.attack(certificate, k.attack, k.dose)
            st.markdown(f"Confirmed for {item.label}: {k.failures:g} of {k.population} under {where}.")
    st.header("Provenance")
    facts = [
        ("lock (SHA-256)", certificate.lock_digest),
        ("multiplicity", f"{certificate.family}, K = {certificate.family_size}"),
    ]
    facts += [(f"subjects, {name}", str(count)) for name, count in certificate.units]
    facts += [(f"checkpoint, {c.label}", c.checkpoint or "–") for c in certificate.valid_set]
    parts.table([{"what": name, "value": value} for name, value in facts])


def _sentences(title: str, sentences: tuple[str, ...]) -> None:
    if sentences:
        st.markdown(f"**{title}**\n\n" + "\n".join(f"- {sentence}" for sentence in sentences))


if __name__ == "__main__":
    show()
