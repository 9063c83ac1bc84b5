"""What Streamlit runs: page settings and navigation, nothing else.

Run: streamlit run audit/dashboard/main.py -- RUN
"""

from __future__ import annotations

from pathlib import Path

from audit.core.lazy import lazy

st = lazy("streamlit")

PAGES = {  # file in views/ -> title
    "verdict.py": "Verdict",
    "risk_utility.py": "Risk–utility",
    "configurations.py": "CUR per configuration",
    "attacks.py": "Attacks",
    "exhibits.py": "Exhibits",
}


def navigate() -> None:
    """Show the page that was chosen."""
    st.set_page_config(page_title="unlearning-auditor", layout="wide")
    folder = Path(__file__).with_name("views")
    pages = [
        st.Page(folder / file, title=title, default=place == 0)
        for place, (file, title) in enumerate(PAGES.items())
    ]
    st.navigation(pages).run()


if __name__ == "__main__":
    navigate()
