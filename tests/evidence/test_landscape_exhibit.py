"""The landscape exhibit: learned on tune units, marked as exploration, silent where there is too little."""

import pytest
from hand_made import INT4, Audit

from audit.evidence.certify import certify
from audit.methods.compose import canonical_recipe, parse_recipe

NPO = tuple(canonical_recipe(f"npo(lr={lr})") for lr in ("1e-4", "2e-4", "4e-4"))
GA = tuple(canonical_recipe(f"ga(lr={lr})") for lr in ("1e-4", "3e-4"))


def audit(**changes):
    """Along npo's learning rates 18, 10 and 2 of 20 tune persons leak, and 0, 1 and 6 of 10 are harmed."""
    made = Audit(**{"candidates": (*NPO, *GA), "tune": 20, "retain_tune": 10, **changes})
    for name, leaks, harmed in zip(NPO, (18, 10, 2), (0, 1, 6), strict=True):
        if name in made.candidates:
            for subject in made.tuned[:leaks]:
                made.put(name, INT4, subject, "passport", "forced_match", 1.0)
            for subject in made.retained_for_tuning[:harmed]:
                for probe in ("passport", "city"):
                    made.put(name, ("none", 0.0), subject, probe, "exact_match", 0.0)
    return made


def landscape(made):
    found = [e for e in certify(made.measurements()).exhibits if e.name == "landscape"]
    return found[0] if found else None


@pytest.fixture(scope="module")
def shown():
    return landscape(audit())


def test_it_is_marked_as_exploration(shown):
    assert shown.watermark == "exploration: suggestions need a new audit"
    assert "new audit" in shown.claim


def test_each_varied_parameter_has_a_panel_with_both_risks_and_their_bands(shown):
    ((title, curves),) = shown.figure.panels
    assert title == "npo: lr, 1× = 0.0001"
    assert [curve.label for curve in curves] == ["forgetting risk, worst attack", "utility harm"]
    forget, harm = curves
    assert forget.y[0] > forget.y[-1]
    assert harm.y[0] < harm.y[-1]
    for curve in curves:
        assert curve.x[0] == 1
        assert curve.x[-1] == pytest.approx(4)
        assert all(low < y < high for low, y, high in zip(curve.lower, curve.y, curve.upper, strict=True))


def test_the_best_tried_stands_with_its_measured_shares(shown):
    """e_R: 0.45, (0.5 + 0.1) / 2 = 0.3, (0.1 + 0.6) / 2 = 0.35."""
    row = shown.rows[0]
    assert row[:3] == ("npo", "npo(lr=0.0002)", "best tried")
    assert (row[3], row[6], row[9]) == (pytest.approx(0.5), pytest.approx(0.1), pytest.approx(0.3))


def test_suggestions_are_recipes_for_a_plan_inside_what_was_tried(shown):
    suggested = [row for row in shown.rows if row[2] == "suggested, expected"]
    assert suggested
    for row in suggested:
        recipe = parse_recipe(row[1])
        assert 1e-4 <= recipe.budget.lr <= 4e-4
        assert canonical_recipe(row[1]) not in NPO
        assert row[4] < row[3] < row[5]


def test_left_out_configurations_and_methods_without_a_landscape_are_reported(shown):
    notes = " ".join(shown.notes)
    assert "npo, 3 configurations, each left out in turn" in notes
    assert "of 3 cases for forgetting" in notes
    assert "to 75 % only" in notes  # three configurations cannot support 80 %
    assert "ga: 2 configurations, a landscape needs at least 3" in notes
    assert "20 forget and 10 retain subjects of the tune split" in notes


def test_calibrate_units_do_not_enter(shown):
    made = audit()
    for name in NPO:
        made.leak(name, INT4, 6)
        made.harm(name, 4)
    assert landscape(made) == shown


def test_without_tune_scores_or_a_long_enough_sweep_there_is_none():
    assert landscape(audit(score_tune=False)) is None
    assert landscape(audit(tune=0)) is None
    assert landscape(audit(candidates=NPO[:2])) is None
