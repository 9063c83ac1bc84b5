"""Losses counted on paper from measurements written by hand: six forgotten persons, four retained ones."""

import numpy as np
import pytest
from hand_made import INT4, NONE, PARAPHRASE, RELEARN_5, RELEARN_10, Audit, imported
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.plan.assemble import Assembly, Promise
from audit.plan.schema import Budget, Loss
from audit.risk.clauses import Levels, bound_clause
from audit.risk.model import ConformalRiskModel

NAMES = ("npo", "simnpo", "ga")


def deciding(audit, names=NAMES):
    return Assembly(audit.measurements()).deciding(names)


def losses(tables, loss, cell, name="npo"):
    """Return the losses (n,) of one configuration in one clause."""
    at = [(p.loss, p.attack, p.dose) for p in tables.promises].index((loss, *cell))
    return tables.table.clauses[at].losses[tables.table.configurations.index(name)].tolist()


def primary(*names, **more):
    return {"loss": Loss(primary=names, **more).model_dump(mode="json")}


def test_one_clause_for_every_primary_loss_in_every_cell_and_one_for_utility():
    tables = deciding(Audit(cells=(NONE, INT4, RELEARN_5)))
    assert [(p.loss, p.side, p.dose) for p in tables.promises] == [
        ("recovered", "forget", 0.0),
        ("recovered", "forget", 4.0),
        ("recovered", "forget", 5.0),
        ("utility_harm", "retain", 0.0),
    ]
    assert [c.side for c in tables.table.clauses] == ["forget"] * 3 + ["utility"]
    assert tables.table.configurations == NAMES
    assert tables.table.family_size == 3
    assert all(c.fixed for c in tables.table.clauses)
    assert [c.binary for c in tables.table.clauses] == [True] * 3 + [False]


def test_a_yielded_secret_is_a_loss_of_its_person_under_that_attack_alone():
    audit = Audit()
    audit.leak("npo", INT4, 2, first=1)
    audit.leak("simnpo", NONE, 1)
    tables = deciding(audit)
    assert losses(tables, "recovered", NONE) == [0, 0, 0, 0, 0, 0]
    assert losses(tables, "recovered", INT4) == [0, 1, 1, 0, 0, 0]
    assert losses(tables, "recovered", NONE, "simnpo") == [1, 0, 0, 0, 0, 0]
    assert losses(deciding(audit, ("original",)), "recovered", INT4, "original") == [1] * 6


def test_a_fact_that_is_still_known_is_no_recovered_secret():
    audit = Audit()
    audit.leak("npo", INT4, 6, probe="city")
    assert losses(deciding(audit), "recovered", INT4) == [0] * 6


def test_a_secret_that_is_said_counts_even_where_the_arg_max_missed_it():
    audit = Audit()
    audit.put("npo", NONE, "f003", "passport", "exact_match", 1.0)
    assert losses(deciding(audit), "recovered", NONE) == [0, 0, 0, 1, 0, 0]


def test_a_missing_score_is_no_value_and_counts_as_a_failure():
    audit = Audit()
    audit.put("npo", INT4, "f004", "passport", "forced_match", None)
    audit.put("npo", INT4, "f000", "city", "forced_match", None)  # no secret: nobody needs it
    tables = deciding(audit)
    assert np.isnan(losses(tables, "recovered", INT4)).tolist() == [False] * 4 + [True, False]
    bounds = bound_clause(tables.table.clauses[1], 0.1, Levels(0.05, 0.05, 0.05))
    assert bounds.total.tolist() == [1, 0, 0]
    assert bounds.missing.tolist() == [1, 0, 0]
    assert bounds.lower[0] == 0  # and as no failure where that is the safe side


def test_a_person_whose_secret_an_attack_cannot_ask_is_not_on_its_list():
    """N_a: of six opened and two sealed, one of each has no second wording of the secret."""
    audit = Audit(cells=(NONE, PARAPHRASE), sealed=2)
    unasked = [("f001", "passport"), ("f002", "city"), ("s000", "passport")]
    audit.unasked = [(PARAPHRASE, *question) for question in unasked]
    audit.leak("npo", PARAPHRASE, 1)
    tables = deciding(audit)
    clauses = {
        p.attack: c for p, c in zip(tables.promises, tables.table.clauses, strict=True) if p.side == "forget"
    }
    assert (clauses["none"].units, clauses["none"].population) == (6, 8)
    asked = clauses[PARAPHRASE[0]]
    assert (asked.units, asked.population) == (5, 6)
    assert asked.losses[0].tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]


def test_a_planned_cell_that_failed_gives_p_one_and_the_largest_risk():
    audit = Audit()
    audit.fail("npo", INT4)
    tables = deciding(audit)
    model = ConformalRiskModel().fit(tables.table)
    assert tables.table.clauses[1].measured.tolist() == [False, True, True]
    assert (model.p_values_[0], model.cur_[0]) == (1, 1)
    assert model.cur_clause_[0] == 1
    assert not model.valid_[0]


def test_a_cell_that_nobody_recorded_is_a_failed_one():
    assembly = Assembly(Audit().measurements())
    assert assembly.state("npo", Promise("recovered", "forget", "none", 7.0))[0] == "failed"


def test_a_cell_that_does_not_apply_says_nothing_about_that_configuration():
    audit = Audit()
    audit.fail("npo", INT4, "not_applicable", "no adapter")
    audit.leak("simnpo", INT4, 6)
    tables = deciding(audit)
    model = ConformalRiskModel().fit(tables.table)  # six of six: a census
    assert tables.table.clauses[1].applicable.tolist() == [False, True, True]
    assert model.cur_.tolist() == [0, 1, 0]
    assert model.valid_.tolist() == [True, False, True]


def test_units_stand_in_the_audits_recorded_order_not_in_that_of_their_names():
    audit = Audit()
    audit.leak("npo", INT4, 1, first=5)
    measurements = audit.measurements()
    forget = measurements.units["side"] == "forget"
    measurements.units.loc[forget, "order"] = [5, 4, 3, 2, 1, 0]
    tables = Assembly(measurements).deciding(NAMES)
    assert losses(tables, "recovered", INT4) == [1, 0, 0, 0, 0, 0]


def test_the_list_is_what_was_opened_and_what_is_sealed():
    tables = deciding(Audit(forget=6, sealed=3, retain=4, retain_sealed=2))
    assert [(c.units, c.population, c.census) for c in tables.table.clauses] == [
        (6, 9, False),
        (6, 9, False),
        (4, 6, False),
    ]


def test_persons_an_earlier_audit_opened_are_counted_exactly_and_drawn_no_more():
    """Six opened of eight, four known from before of which one leaks and one has no score: (2 + M) / 12."""
    audit = Audit(sealed=2, before=4)
    audit.put("npo", INT4, "b001", "passport", "forced_match", 1.0)
    audit.put("npo", INT4, "b002", "passport", "forced_match", None)
    tables = deciding(audit)
    clause = tables.table.clauses[1]
    assert (clause.units, clause.seen_units, clause.population) == (6, 4, 12)
    assert clause.seen_totals.tolist() == [2, 0, 0]
    assert losses(tables, "recovered", INT4) == [0] * 6
    bounds = bound_clause(clause, 0.1, Levels(0.05, 0.05, 0.05))
    assert bounds.upper[0] >= 2 / 12
    assert bounds.lower[0] == 1 / 12  # the one without a score may be none


def test_persons_the_original_never_knew_stand_outside_the_claim_but_their_leaks_are_counted():
    audit = Audit(sealed=2, hidden={"f001", "f002", "s000"})
    audit.leak("npo", INT4, 2)  # f000 and f001
    assembly = Assembly(audit.measurements())
    assert losses(assembly.deciding(NAMES), "recovered", INT4) == [1, 0, 0, 0]
    assert assembly.population("forget") == 5
    assert assembly.not_auditable() == ["f001", "f002"]
    assert assembly.leaked_outside() == {"npo": 1, "simnpo": 0, "ga": 0}


def test_a_loss_that_cannot_be_computed_although_it_was_planned_gives_p_one():
    tables = deciding(Audit(lock=primary("above_twins")))  # nobody measured twins
    assert not tables.table.clauses[0].measured.any()
    assert ConformalRiskModel().fit(tables.table).p_values_.tolist() == [1, 1, 1]


# -- utility ---------------------------------


def test_harm_is_the_mean_share_of_right_answers_lost():
    audit = Audit()
    audit.harm("npo", 1)
    audit.harm("simnpo", 2, probe="city")
    tables = deciding(audit)
    assert losses(tables, "utility_harm", NONE) == [1, 0, 0, 0]
    assert losses(tables, "utility_harm", NONE, "simnpo") == [0.5, 0.5, 0, 0]


def test_only_what_the_original_answered_right_can_be_lost():
    """r000 knew its passport alone and loses it: 1. r001 knew nothing, so it does not count. r002: 1 of 2."""
    audit = Audit(retain_sealed=2, unknown=[("r000", "city"), ("r001", "city"), ("r001", "passport")])
    audit.harm("npo", 1)
    audit.put("npo", NONE, "r002", "city", "exact_match", 0.0)
    tables = deciding(audit)
    assert losses(tables, "utility_harm", NONE) == [1, 0.5, 0]
    assert tables.table.clauses[-1].population == 5  # 4 + 2 on the list, one without anything to lose


def test_a_retained_person_without_a_score_counts_as_harmed():
    audit = Audit()
    audit.put("npo", NONE, "r003", "city", "exact_match", None)
    bounds = bound_clause(deciding(audit).table.clauses[-1], 0.1, Levels(0.05, 0.05, 0.05))
    assert (bounds.total[0], bounds.missing[0]) == (1, 1)


# -- twins ---------------------------------


def twin_audit():
    """Three twins and beta = 1/2: floor(4/2) = 2, so the threshold is the second of three scores, -nll."""
    return Audit(
        cells=(NONE, RELEARN_5, RELEARN_10),
        twins=3,
        metrics=("forced_match", "exact_match", "nll"),
        lock=primary("above_twins", beta=0.5),
        halves={"f000": 1, "f001": 1, "f002": 1, "f003": 2, "f004": 2, "f005": 2},
    )


def test_each_half_is_held_against_the_twins_of_its_own_model():
    audit = twin_audit()
    audit.put_all("npo", RELEARN_10, "nll", {"t000": 1.0, "t001": 2.0, "t002": 3.0}, fold=1)  # threshold -2
    audit.put_all("npo", RELEARN_10, "nll", {"t000": 5.0, "t001": 6.0, "t002": 7.0}, fold=2)  # threshold -6
    near = {"f000": 1.9, "f001": 2.0, "f002": 4.0, "f003": 5.9, "f004": 6.0, "f005": 4.0}
    audit.put_all("npo", RELEARN_10, "nll", near)
    tables = deciding(audit)
    assert losses(tables, "above_twins", RELEARN_10) == [1, 0, 0, 1, 0, 1]


def test_a_persons_score_is_the_mean_over_all_its_answers():
    audit = twin_audit()
    audit.put_all("npo", NONE, "nll", {"t000": 1.0, "t001": 2.0, "t002": 3.0})
    audit.put_all("npo", NONE, "nll", {"f000": 9.0})
    audit.put("npo", NONE, "f000", "city", "nll", 0.5)  # (9 + 0.5) / 2 = 4.75: far from known
    audit.put_all("npo", NONE, "nll", {"f001": 2.5})
    audit.put("npo", NONE, "f001", "city", "nll", 1.0)  # (2.5 + 1) / 2 = 1.75: better than the second twin
    found = losses(deciding(audit), "above_twins", NONE)
    assert found[:2] == [0, 1]


def test_a_dose_at_which_twins_were_not_scored_has_no_such_loss():
    audit = twin_audit()
    for name in audit.configurations:
        audit.fail(name, RELEARN_5, "not_applicable", "twins are scored at the last dose", side="twin")
    tables = deciding(audit)
    names = [(p.loss, p.dose) for p in tables.promises]
    assert not tables.table.clauses[names.index(("above_twins", 5.0))].measured.any()
    assert tables.table.clauses[names.index(("above_twins", 10.0))].measured.all()


def test_too_few_twins_give_no_threshold_at_all():
    """beta = 0.01 needs 99 twins."""
    audit = twin_audit()
    audit.lock = primary("recovered", beta=0.01)
    promises = Assembly(audit.measurements()).secondary(NAMES).promises
    assert not {p.loss for p in promises} & {"above_twins", "over_forgotten"}


def test_less_likely_than_nearly_all_twins_is_over_forgotten():
    """The floor(beta (m + 1)) = second smallest of three twins' scores is the threshold from below."""
    audit = twin_audit()
    audit.lock = primary("recovered", beta=0.5)
    audit.put_all("npo", NONE, "nll", {"t000": 1.0, "t001": 2.0, "t002": 3.0})
    audit.put_all(
        "npo", NONE, "nll", {"f000": 2.1, "f001": 2.0, "f002": 1.0, "f003": 40.0, "f004": 0.0, "f005": 2.0}
    )
    tables = Assembly(audit.measurements()).secondary(NAMES)
    assert losses(tables, "over_forgotten", NONE) == [1, 0, 0, 1, 0, 0]


def collapsed(harms, twins):
    """Thirty persons 4.0 to 6.9 nats unlikely when retrained; candidates ``harms`` add so many nats to each.

    ``twins``: nats under the retrained model.
    """
    audit = Audit(tuple(harms), cells=(NONE,), forget=30, retain=4, twins=len(twins))
    audit.metrics = ("forced_match", "nll")
    audit.lock = primary("recovered", beta=0.01)
    natural = {f"f{i:03d}": 4.0 + i / 10 for i in range(30)}
    audit.put_all("retrained", NONE, "nll", natural)
    audit.put_all("retrained", NONE, "nll", dict(zip(audit.never_trained, twins, strict=True)))
    for name, harm in harms.items():
        audit.put_all(name, NONE, "nll", {person: value + harm for person, value in natural.items()})
    return Assembly(audit.measurements()).secondary(tuple(harms))


@pytest.mark.parametrize(
    ("twins", "spread"),
    [
        ((), 6.9 - 5.45),  # the forget list itself: its worst less its median
        ([5.0] * 19, 6.9 - 5.45),  # nineteen are too few to know
        ([5.0] * 20 + [7.0], 2.0),  # the worst twin less the median one
    ],
)
def test_a_person_far_less_likely_than_when_retrained_is_over_forgotten(twins, spread):
    tables = collapsed({"natural": spread - 0.05, "collapsed": spread + 0.05, "known": -3.0}, twins)
    found = {name: losses(tables, "over_forgotten", NONE, name) for name in tables.table.configurations}
    assert {name: sum(values) for name, values in found.items()} == {
        "natural": 0,
        "collapsed": 30,
        "known": 0,
    }


# -- graded losses ---------------------------------


def test_residual_knowledge_is_the_share_left_between_retrained_and_original():
    """Strengths 0.2 retrained, 1 original: 0.6 leaves (0.6 - 0.2) / 0.8 = 1/2; below retrained it is 0."""
    audit = Audit(metrics=("forced_match", "exact_match", "extraction_strength"))
    for cell in (NONE, INT4):
        audit.put_all("retrained", cell, "extraction_strength", dict.fromkeys(audit.forgotten, 0.2))
    audit.put_all("npo", INT4, "extraction_strength", {"f000": 0.6, "f001": 0.1, "f002": 1.0})
    found = losses(Assembly(audit.measurements()).secondary(NAMES), "residual_knowledge", INT4)
    assert found == pytest.approx([0.5, 0, 1, 0, 0, 0])


def test_the_attacked_retrained_model_is_the_zero_of_residual_knowledge():
    """Under int4 the retrained model itself shows 0.5: 0.75 then leaves half of the unattacked one's 1."""
    audit = Audit(metrics=("forced_match", "exact_match", "extraction_strength"))
    audit.put_all("retrained", INT4, "extraction_strength", dict.fromkeys(audit.forgotten, 0.5))
    audit.put_all("original", INT4, "extraction_strength", dict.fromkeys(audit.forgotten, 0.9))
    audit.put_all("npo", INT4, "extraction_strength", {"f000": 0.75})
    found = losses(Assembly(audit.measurements()).secondary(NAMES), "residual_knowledge", INT4)
    assert found[0] == pytest.approx(0.5)


def test_frocs_margin_is_zero_at_the_retrained_model():
    audit = Audit(metrics=("forced_match", "exact_match", "nll", "exact_memorization"))
    audit.put_all("npo", INT4, "nll", dict.fromkeys(audit.forgotten, 5.0))
    audit.put_all("npo", INT4, "nll", {"f000": 1.0})
    found = losses(Assembly(audit.measurements()).secondary(NAMES), "froc", INT4)
    expected = (np.log1p(np.exp(4.0)) - np.log(2)) / (5 - np.log(2))  # softplus of 5 nats less 1
    assert found == pytest.approx([expected, 0, 0, 0, 0, 0])


def test_what_stands_in_the_lock_is_not_tabulated_twice():
    audit = Audit(
        lock=primary("recovered", "residual_knowledge"),
        metrics=("forced_match", "exact_match", "extraction_strength"),
    )
    assembly = Assembly(audit.measurements())
    assert {p.loss for p in assembly.deciding(NAMES).promises} == {
        "recovered",
        "residual_knowledge",
        "utility_harm",
    }
    assert not {p.loss for p in assembly.secondary(NAMES).promises} & {"recovered", "residual_knowledge"}


# -- imports ---------------------------------


def test_an_import_is_a_census_of_what_was_logged_and_answered_starts_at_tau():
    audit = imported(Audit(cells=(NONE,)))
    audit.put("npo", NONE, "f000", "city", "rouge_l_recall", 0.7)
    audit.put("npo", NONE, "f001", "passport", "rouge_l_recall", 0.69)
    audit.put("npo", NONE, "r000", "city", "rouge_l_recall", 0.5)
    tables = deciding(audit)
    assert [(p.loss, p.side) for p in tables.promises] == [
        ("answered", "forget"),
        ("utility_error", "retain"),
    ]
    assert losses(tables, "answered", NONE) == [1, 0, 0, 0, 0, 0]
    assert losses(tables, "utility_error", NONE) == [0.5, 0, 0, 0]
    model = ConformalRiskModel().fit(tables.table)
    assert all(c.census for c in tables.table.clauses)
    assert model.cur_.tolist() == [1 / 6, 0, 0]
    assert model.clauses_[1].upper.tolist() == [0.125, 0, 0]


def test_an_imported_sample_is_a_draw_from_the_named_list():
    audit = imported(Audit(cells=(NONE,), forget=6))
    measurements = audit.measurements()
    measurements.header["lists"]["forget"]["size"] = 20
    clause = Assembly(measurements).deciding(NAMES).table.clauses[0]
    assert (clause.units, clause.population, clause.census) == (6, 20, False)


def test_budgets_and_confidence_come_from_the_lock():
    audit = Audit(
        lock={
            "budget": Budget(forget=0.2, utility=0.3).model_dump(),
            "confidence": 0.9,
            "family": "bonferroni",
        }
    )
    settings = Assembly(audit.measurements()).settings
    assert (settings.alpha_forget, settings.alpha_utility, settings.delta) == (0.2, 0.3, 0.1)
    assert (settings.family, settings.imported) == ("bonferroni", False)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from([NONE, INT4]), st.integers(0, 5)), max_size=8)
)
def test_every_leak_raises_exactly_its_own_loss(leaks):
    audit = Audit()
    expected = {}
    for name, cell, person in leaks:
        audit.leak(name, cell, 1, first=person)
        expected.setdefault((name, cell), set()).add(person)
    tables = deciding(audit)
    for name in NAMES:
        for cell in (NONE, INT4):
            found = {i for i, loss in enumerate(losses(tables, "recovered", cell, name)) if loss}
            assert found == expected.get((name, cell), set())
