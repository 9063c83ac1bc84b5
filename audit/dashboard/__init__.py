"""Floor 8: the risk dashboard. Pages read the bundle only, write nothing and decide nothing.

``main.py`` is what Streamlit runs; every page is a file in ``views/``.
"""

from audit.dashboard.serving import check, serve

__all__ = ["check", "serve"]
