"""Shapes and colours, the same in report and dashboard; every colour has a contrast of 4.5:1 on white."""

from __future__ import annotations

from audit.evidence.certificate import Verdict

COLOURS = {
    Verdict.PASS: "#00695c",
    Verdict.FAIL: "#b3261e",
    Verdict.INCONCLUSIVE: "#7a5c00",
    Verdict.RUN_ERROR: "#6a3d9a",
    Verdict.INTEGRITY: "#222222",
}
SHAPES = {
    Verdict.PASS: "o",
    Verdict.FAIL: "X",
    Verdict.INCONCLUSIVE: "D",
    Verdict.RUN_ERROR: "^",
    Verdict.INTEGRITY: "s",
}
CONTROL_COLOUR, CONTROL_SHAPES = "#1f4e9e", {"original": "*", "retrained": "P"}
BUDGET_COLOUR, GRID_COLOUR = "#444444", "#dddddd"
