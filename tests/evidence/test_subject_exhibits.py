"""Exhibits about single subjects, groups, quantiles and shifts: counts on paper, bounds from SciPy."""

import json

import numpy as np
import pytest
from hand_made import INT4, NONE, RELEARN_5, RELEARN_10, Audit
from scipy.stats import beta, hypergeom

from audit.evidence.certify import certify

DRAWN = {"forget": 60, "sealed": 20, "retain": 60, "retain_sealed": 20, "candidates": ("npo", "simnpo")}
CELLS = (NONE, INT4, RELEARN_5, RELEARN_10)


def upper(failures, level, opened=60, size=80):
    return max(m for m in range(size + 1) if hypergeom.cdf(failures, size, m, opened) > level) / size


def exhibit(audit, name, **groups):
    made = audit.measurements()
    for label, subjects in groups.items():
        made.units.loc[made.units["subject"].isin(subjects), "group"] = label
    found = [item for item in certify(made).exhibits if item.name == name]
    return found[0] if found else None


def column(found, title):
    place = [c.title for c in found.columns].index(title)
    return [row[place] for row in found.rows]


# -- single subjects --------------------------


def test_subjects_of_the_valid_set_are_listed_worst_first_by_pseudonym():
    """Person 3 yields to two of three attacks, person 1 to one; the other candidate leaks nothing."""
    audit = Audit(**DRAWN, cells=CELLS)
    audit.leak("npo", INT4, 1, first=1)
    audit.leak("npo", INT4, 1, first=3)
    audit.leak("npo", RELEARN_10, 1, first=3)
    found = exhibit(audit, "subjects")
    assert column(found, "Subject") == ["f003", "f001", "none of 60"]
    assert column(found, "Attacks") == ["2 of 3", "1 of 3", None]
    assert column(found, "Questions") == ["1 of 1", "1 of 1", None]
    assert column(found, "Leaked") == pytest.approx([2 / 3, 1 / 3, 0])
    assert "No. 1: 2 of 60" in found.notes[0]
    assert "No. 2: 0 of 60" in found.notes[1]
    assert "exact" in found.claim
    assert "At most" not in [c.title for c in found.columns]


def test_without_a_valid_configuration_the_smallest_cur_is_shown_and_said():
    audit = Audit(**DRAWN, cells=CELLS)
    audit.leak("npo", INT4, 30)
    audit.leak("simnpo", INT4, 25)
    found = exhibit(audit, "subjects")
    assert set(column(found, "No.")) == {2}
    assert "No configuration is in the valid set" in found.claim


def test_twenty_subjects_are_listed_and_all_are_counted():
    audit = Audit(forget=60, retain=10, cells=CELLS, candidates=("npo",))
    audit.leak("npo", INT4, 25)
    found = exhibit(audit, "subjects")
    assert len(found.rows) == 20
    assert "25 of 60" in found.notes[0]
    assert "20 worst of 25" in found.notes[1]


def test_subjects_of_the_confirmed_checkpoint_include_the_sealed_ones():
    audit = Audit(**DRAWN, cells=CELLS, confirmed="npo")
    audit.put("npo", INT4, "s004", "passport", "forced_match", 1.0)
    found = exhibit(audit, "subjects")
    assert column(found, "Subject") == ["s004", "none of 60"]
    assert "1 of 80" in found.notes[0]


def test_answers_that_change_on_repetition_are_bounded_for_all_subjects_at_once():
    """Three attacks with one secret each: 0 or 1 of 3 at delta / (60 persons x 2 configurations)."""
    audit = Audit(**DRAWN, cells=CELLS, header={"losses": "random"})
    audit.leak("npo", INT4, 1)
    found = exhibit(audit, "subjects")
    assert column(found, "At most")[0] == pytest.approx(beta.ppf(1 - 0.05 / 120, 2, 2))
    assert "would change on repetition" in found.claim
    assert exhibit(audit, "quantiles") is None


def test_the_table_holds_pseudonyms_and_no_question_or_answer():
    audit = Audit(**DRAWN, cells=CELLS)
    audit.leak("npo", INT4, 2)
    text = json.dumps(
        [item.rows for item in certify(audit.measurements()).exhibits if item.name == "subjects"]
    )
    assert "f000" in text
    assert "passport" not in text


# -- quantiles --------------------------


def rank(opened, size, share, level):
    """Smallest k with P(Hyp(size, ceil(share size) - 1, opened) >= k) <= level."""
    return min(
        k
        for k in range(1, opened + 1)
        if hypergeom.sf(k - 1, size, int(np.ceil(share * size)) - 1, opened) <= level
    )


def test_nearly_everybody_leaks_at_most_an_order_statistic():
    """Six persons yield to one attack of three, two of them to another: delta / (2 configurations x 3 shares)."""
    audit = Audit(**DRAWN, cells=CELLS)
    audit.leak("npo", INT4, 6)
    audit.leak("npo", RELEARN_5, 2)
    found, leaks = exhibit(audit, "quantiles"), np.sort([2 / 3] * 2 + [1 / 3] * 4 + [0] * 54)
    expected = [leaks[rank(60, 80, share, 0.05 / 6) - 1] for share in (0.5, 0.9)]
    assert expected == pytest.approx([0, 1 / 3])
    assert [column(found, f"{s}\u00a0% leak at most")[0] for s in (50, 90)] == pytest.approx(expected)
    assert column(found, "Subjects without a leak") == ["54 of 60", "60 of 60"]
    assert column(found, "Worst subject seen") == pytest.approx([2 / 3, 0])


def test_a_census_gives_the_quantiles_themselves():
    audit = Audit(forget=20, retain=10, cells=CELLS, candidates=("npo",))
    audit.leak("npo", INT4, 2)
    found = exhibit(audit, "quantiles")
    assert found.rows[0][3:] == pytest.approx((0, 0, 1 / 3, 1 / 3))
    assert "exact" in found.claim


# -- groups --------------------------


def test_groups_are_bounded_on_their_own_part_of_the_list():
    """Children 0 to 29 and 10 sealed ones, adults the other 30 and 10; two children leak: delta / (2 x 2)."""
    audit = Audit(**DRAWN, cells=CELLS)
    audit.leak("npo", INT4, 2)
    children = [f"f{i:03d}" for i in range(30)] + [f"s{i:03d}" for i in range(10)]
    adults = [f"f{i:03d}" for i in range(30, 60)] + [f"s{i:03d}" for i in range(10, 20)]
    found = exhibit(audit, "groups", children=children, adults=adults)
    assert column(found, "Group") == ["adults", "children"] * 2
    assert column(found, "Count")[:2] == ["0\u00a0of\u00a030", "2\u00a0of\u00a030"]
    assert column(found, "On the list") == [40] * 4
    expected = [upper(k, 0.05 / 4, opened=30, size=40) for k in (0, 2)]
    assert column(found, "At most")[:2] == pytest.approx(expected)


def test_groups_of_retained_subjects_show_their_utility():
    """Of twenty retained, all counted: the ten old ones lose one answer of two each, the young none."""
    audit = Audit(forget=20, retain=20, cells=(NONE, INT4), candidates=("npo",))
    audit.harm("npo", 10, probe="city")
    old, young = [f"r{i:03d}" for i in range(10)], [f"r{i:03d}" for i in range(10, 20)]
    found = exhibit(audit, "groups", old=old, young=young)
    assert column(found, "Group") == ["old", "young"]
    assert column(found, "Share") == column(found, "At most") == [0.5, 0]
    assert column(found, "Budget") == ["exceeded", "kept"]


def test_without_groups_there_is_no_such_table():
    assert exhibit(Audit(**DRAWN), "groups") is None
    assert exhibit(Audit(**DRAWN), "reweighting") is None


def test_halves_of_a_training_attacker_are_told_apart():
    halves = {f"f{i:03d}": 2 for i in range(0, 60, 2)} | {f"s{i:03d}": 2 for i in range(0, 20, 2)}
    found = exhibit(Audit(**DRAWN, cells=CELLS, halves=halves), "groups")
    assert column(found, "Group") == ["half 1", "half 2"] * 2
    assert "both ways" in found.notes[-1]


# -- shifts --------------------------


def test_curves_under_an_assumed_shift_start_at_cur_and_are_marked():
    found = exhibit(Audit(**DRAWN), "shift")
    cur = upper(0, 0.05 / 2)
    assert found.watermark == "if"
    assert column(found, "CUR") == pytest.approx([cur, cur])
    assert column(found, "if W = 2") == pytest.approx([2 * cur] * 2)
    (_, curves), *_ = found.figure.panels
    assert [curve.label for curve in curves] == ["if: No. 1", "if: No. 2"]
    assert curves[0].y[0] == pytest.approx(cur)
    assert list(curves[0].y) == sorted(curves[0].y)


def test_the_largest_assumption_that_keeps_the_budget_is_rounded_down():
    """CUR 4/80 = 0.05: twice as much is still within a tenth."""
    audit = Audit(**DRAWN)
    audit.leak("npo", INT4, 1)
    found = exhibit(audit, "shift")
    assert upper(1, 0.05 / 2) == 4 / 80
    assert column(found, "10\u00a0% kept up to W")[0] == "2"
    radius = float(column(found, "10\u00a0% kept up to ρ")[0])
    swing = 2 * radius * (1 - radius**2) * np.sqrt(2 - radius**2) * np.sqrt(4 / 80 * 76 / 80)
    assert 4 / 80 + swing + radius**2 * (2 - radius**2) * 76 / 80 <= 0.1


def test_configurations_over_the_budget_without_any_shift_are_left_out_and_counted():
    audit = Audit(**DRAWN)
    audit.leak("npo", INT4, 30)
    found = exhibit(audit, "shift")
    assert column(found, "No.") == [2]
    assert "1 configurations" in found.notes[-1]


def test_asking_more_about_the_group_that_leaks_raises_the_risk():
    """A census of 40: two of ten children leak. Asked t times as often they weigh 2 t of 10 t + 30."""
    audit = Audit(forget=40, retain=10, cells=(NONE, INT4), candidates=("npo",))
    audit.leak("npo", INT4, 2)
    children = [f"f{i:03d}" for i in range(10)]
    adults = [f"f{i:03d}" for i in range(10, 40)]
    found = exhibit(audit, "reweighting", children=children, adults=adults)
    assert found.watermark == "if"
    by_group = dict(zip(column(found, "Group"), found.rows, strict=True))
    assert by_group["children"][-5:] == pytest.approx([2 * t / (10 * t + 30) for t in (1, 1.5, 2, 3, 5)])
    assert by_group["adults"][-5:] == pytest.approx([2 / (10 + 30 * t) for t in (1, 1.5, 2, 3, 5)])
