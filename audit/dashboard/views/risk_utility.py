"""Page: forgetting risk against utility harm, each candidate as a rectangle of its bounds."""

from __future__ import annotations

from audit.core.lazy import lazy
from audit.dashboard import charts, parts, source, tables
from audit.report import wording
from audit.report.plane import rectangle_caption

st = lazy("streamlit")


def show() -> None:
    certificate = source.certificate()
    parts.head(certificate, "Risk–utility")
    harm = wording.words(certificate.utility_loss)
    alt = (
        f"{len(certificate.configurations)} candidates as rectangles of {harm} across and forgetting risk "
        f"upwards; {len(certificate.valid_set)} in the valid set; controls as triangles. "
        "Every number is in the table below."
    )
    parts.chart(charts.plane(certificate), alt, tables.plane(certificate))
    st.caption(rectangle_caption(certificate))


if __name__ == "__main__":
    show()
