"""Risk dashboard of one audit; read-only.

Run: streamlit run app.py -- RUN     (or: unlearn-audit dashboard RUN)

RUN is a run directory that holds evidence.json; the environment variable UNLEARN_AUDIT_RUN may name it
instead. Navigation and pages live in audit/dashboard/, so that an installed wheel needs no file from here.
"""

from audit.dashboard.main import navigate

navigate()
