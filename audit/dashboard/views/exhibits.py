"""Page: what stands beside the verdict and never changes it."""

from __future__ import annotations

from audit.core.lazy import lazy
from audit.dashboard import exhibit_chart, parts, source, tables

st = lazy("streamlit")


def show() -> None:
    certificate = source.certificate()
    parts.head(certificate, "Exhibits")
    st.markdown("What stands beside the verdict and never changes it.")
    for item in certificate.exhibits:
        st.subheader(f"{item.title} ({item.watermark})" if item.watermark else item.title)
        st.markdown(item.claim)
        if item.figure is not None:
            alt = f"{item.figure.y_label} against {item.figure.x_label}; numbers in the table below."
            st.altair_chart(exhibit_chart.exhibit(item.figure), alt=alt)
        parts.table(tables.exhibit(item))
        for note in item.notes:
            st.caption(note)


if __name__ == "__main__":
    show()
