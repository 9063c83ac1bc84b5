"""A laboratory of few persons to lock, without any trained model."""

from audit.plan.lock import make_lock, write_lock
from audit.plan.schema import parse_plan

PLAN = {
    "laboratory": {"subject": "tiny", "release": "full"},
    "candidates": ["npo(steps=5)", "ga(steps=5)"],
    "budget": {"forget": 0.5, "utility": 0.5},  # so few persons can show no less
    "attacks": ["none", "quantize(int4)", "relearn(steps=[1, 2])", "paraphrase"],
    "sizes": {
        "forget": {"tune": 4, "calibrate": 10, "sealed": 6},
        "retain": {"tune": 2, "calibrate": 8, "sealed": 4},
        "twins": {"tune": 2, "threshold": 6},
    },
}


def lock_in(folder, **changes):
    """Lock the plan in ``folder``; return the run directory."""
    write_lock(folder / "run", make_lock(parse_plan(PLAN | changes, base=folder), folder))
    return folder / "run"
