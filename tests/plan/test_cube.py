"""The dense view of long rows: what was measured stands in its place, everything else is NaN."""

import numpy as np
import pytest
from hand_made import INT4, NONE, RELEARN_5, Audit

from audit.plan.cube import Cube


@pytest.fixture
def audit():
    return Audit(candidates=("npo",), forget=3, retain=2, twins=2, cells=(NONE, INT4, RELEARN_5))


def test_axes_follow_the_header_the_coverage_and_the_units(audit):
    cube = Cube.of(audit.measurements())
    assert cube.configurations == ("original", "retrained", "npo")
    assert cube.cells == (NONE, INT4, RELEARN_5)
    assert cube.subjects == ("f000", "f001", "f002", "r000", "r001", "t000", "t001")
    assert cube.values("forced_match").shape == (3, 3, 7, 2)
    assert cube.exists.all()
    assert cube.secret.tolist() == [[True, False]] * 7  # the passport, not the city


def test_every_row_stands_in_its_place_and_nothing_is_filled_in(audit):
    audit.put("npo", INT4, "f001", "city", "forced_match", 0.25)
    audit.put("npo", NONE, "f002", "passport", "forced_match", None)
    found = Cube.of(audit.measurements()).values("forced_match")
    assert found[2, 1, 1].tolist() == [0.0, 0.25]
    assert np.isnan(found[2, 0, 2]).tolist() == [True, False]
    assert np.isnan(found[:, 1, 3:5]).all()  # retained persons are not attacked
    assert found[0, 0, :5].min() == 1


def test_a_metric_that_was_never_measured_is_nan_everywhere(audit):
    assert np.isnan(Cube.of(audit.measurements()).values("nll")).all()


def test_folds_keep_the_twins_values_of_the_two_halves_apart(audit):
    audit.put_all("npo", RELEARN_5, "forced_match", {"t000": 0.125}, fold=1)
    audit.put_all("npo", RELEARN_5, "forced_match", {"t000": 0.875}, fold=2)
    cube = Cube.of(audit.measurements())
    assert cube.values("forced_match", fold=1)[2, 2, 5, 0] == 0.125
    assert cube.values("forced_match", fold=2)[2, 2, 5, 0] == 0.875
    assert cube.values("forced_match", fold=2)[2, 0, 5, 0] == 0  # fold 0 belongs to both


def test_rows_of_a_cell_that_was_not_planned_are_left_out(audit):
    measurements = audit.measurements()
    for cell in measurements.header["coverage"]:
        if cell["attack"] == INT4[0]:
            cell["dose"] = 8.0
    cube = Cube.of(measurements)
    assert (INT4[0], 8.0) in cube.cells
    assert np.isnan(cube.values("forced_match")[:, cube.cells.index((INT4[0], 8.0))]).all()


def test_probes_that_an_attack_cannot_ask_are_marked(audit):
    audit.unasked = [(INT4, "f000", "passport")]
    cube = Cube.of(audit.measurements())
    assert np.argwhere(cube.not_asked).tolist() == [[1, 0, 0]]


def test_units_are_found_in_the_order_they_are_asked_for(audit):
    assert Cube.of(audit.measurements()).rows_of(["t001", "f000"]).tolist() == [6, 0]
