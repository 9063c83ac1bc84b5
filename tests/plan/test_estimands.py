"""What an audit may claim to speak about: a larger claim needs a record that supports it."""

from pathlib import Path

import pytest
from hand_made import INT4, NONE, Audit, imported

from audit.core.errors import AuditError
from audit.plan.assemble import Assembly
from audit.plan.lock import make_lock
from audit.plan.schema import parse_plan
from audit.risk.clauses import choose
from audit.risk.model import ConformalRiskModel

NAMES = ("npo", "simnpo", "ga")
GENERATOR = {"name": "questions@3", "digest": "ab" * 32, "batch": 2, "draws": "independent"}
TINY = {"laboratory": {"subject": "tiny"}, "candidates": ["npo"]}


def audit(estimand, header=None, **sizes):
    return Audit(lock={"estimand": estimand}, header=header or {}, **sizes)


def fresh(**changes):
    """The header of an audit with probes drawn afresh: two questions per draw, as every person here has."""
    return {"losses": "random", "probe_generator": GENERATOR | changes}


def assembled(made):
    return Assembly(made.measurements())


def clauses(made):
    return assembled(made).deciding(NAMES).table.clauses


def refused(function, *args, **changes):
    with pytest.raises(AuditError) as caught:
        function(*args, **changes)
    return caught.value


# -- plans of ours ---------------------------------


@pytest.mark.parametrize(
    ("estimand", "code", "said"),
    [
        ("probes", "E435", "a fixed bank of questions scored in full is a census"),
        ("subjects", "E436", "one unlearning run"),
        ("questions", "E438", "its questions are one cluster"),
        ("persons", "E104", "estimand"),
    ],
)
def test_a_run_of_ours_claims_the_list_and_says_why_nothing_else(estimand, code, said):
    error = refused(parse_plan, TINY | {"estimand": estimand}, base=Path("."))
    assert error.code == code
    assert error.exit_code == 2
    assert said in str(error)


def test_the_lock_records_the_estimand(tmp_path):
    assert make_lock(parse_plan(TINY, base=tmp_path), tmp_path).content["estimand"] == "list"


# -- list ---------------------------------


def test_fixed_losses_of_a_list_are_hypergeometric_and_all_of_it_is_a_census():
    drawn = clauses(audit("list", sealed=3))
    assert [choose(c) for c in drawn[:2]] == ["hypergeometric"] * 2
    assert not drawn[0].census
    assert clauses(audit("list"))[0].census


def test_losses_that_a_repetition_would_change_are_neither_hypergeometric_nor_a_census():
    """0/1 losses: the binomial; graded utility: the mixture at the planned n."""
    for made in (
        audit("list", {"losses": "random"}),
        audit("list", {"losses": "random"}, sealed=3, retain_sealed=2),
    ):
        found = clauses(made)
        assert [c.design for c in found] == ["random list"] * 3
        assert [choose(c) for c in found] == ["binomial", "binomial", "mixture"]
        assert not any(c.census for c in found)


def test_an_imported_log_with_random_losses_is_no_census_either():
    made = imported(Audit(cells=(NONE,)))
    made.header = made.header | {"losses": "random"}
    assert not any(c.census for c in clauses(made))


@pytest.mark.parametrize(("estimand", "header"), [("list", {"losses": "random"}), ("probes", fresh())])
def test_what_cannot_be_counted_exactly_is_not_counted_among_the_units_seen_before(estimand, header):
    error = refused(assembled, audit(estimand, header, before=3))
    assert error.code == "E439"
    assert "3 units were opened by earlier audits" in error.cause
    assert assembled(audit("list", before=3)).claim.fixed


# -- probes ---------------------------------


def test_independent_draws_of_fresh_probes_have_no_finite_list():
    made = audit("probes", fresh(), sealed=3, retain_sealed=2)
    assembly = assembled(made)
    forget, _, utility = assembly.deciding(NAMES).table.clauses
    assert (assembly.population("forget"), forget.population, choose(forget)) == (None, None, "binomial")
    assert (assembly.population("retain"), utility.population) == (6, 6)  # still a list
    assert (assembly.claim.batch, assembly.claim.generator) == (2, "questions@3")


def test_one_fresh_batch_per_subject_of_the_list_is_a_random_list():
    made = audit("probes", fresh(draws="one per subject"), sealed=3)
    forget = clauses(made)[0]
    assert (forget.population, forget.design, choose(forget)) == (9, "random list", "binomial")
    assert not clauses(audit("probes", fresh(draws="one per subject")))[0].census  # everybody opened


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"losses": "random"},
        {"losses": "fixed", "probe_generator": GENERATOR},
        fresh(batch=0),
        fresh(batch=None),
        fresh(batch=True),
        fresh(batch=1.5),
        fresh(digest=""),
        fresh(name=""),
        fresh(draws="all of them"),
    ],
)
def test_a_bank_without_the_record_of_a_frozen_generator_is_refused_as_probes(header):
    error = refused(assembled, audit("probes", header))
    assert error.code == "E435"
    assert "a fixed bank of questions scored in full is a census" in error.cause


def test_a_draw_that_is_not_a_whole_batch_is_refused():
    error = refused(assembled, audit("probes", fresh(batch=3)))
    assert error.code == "E435"
    assert "6 of 6 draws do not hold the 3 probes" in error.cause


# -- subjects ---------------------------------


def test_one_unlearning_run_says_nothing_about_future_subjects():
    error = refused(assembled, audit("subjects", forget=60))
    assert error.code == "E436"
    assert "one unlearning run" in error.cause


def test_future_requests_need_29_of_them_for_a_tenth():
    header = {"unit": "request"}
    error = refused(assembled, audit("subjects", header, forget=28, sealed=5))
    assert error.code == "E437"
    assert "at least 29 requests" in error.remedy
    found = clauses(audit("subjects", header, forget=29, retain=29))
    assert [c.population for c in found] == [None, None, None]
    assert [choose(c) for c in found] == ["binomial", "binomial", "betting"]
    assert not any(c.census for c in found)


@pytest.mark.parametrize("estimand", ["list", "probes", "subjects"])
def test_questions_as_units_are_refused_whatever_is_claimed(estimand):
    error = refused(assembled, audit(estimand, {"unit": "question"}))
    assert error.code == "E438"
    assert "12 to 19 %" in error.cause


def test_leaks_among_requests_are_bounded_as_draws():
    """No failure among 59 draws at .05 / 3 and .1: 1 - (.05 / 3)^(1 / 59) = .067."""
    made = audit("subjects", {"unit": "request"}, forget=59, retain=59)
    made.leak("ga", INT4, 30)
    model = ConformalRiskModel().fit(assembled(made).deciding(NAMES).table)
    assert model.cur_[0] == pytest.approx(1 - (0.05 / 3) ** (1 / 59))
    assert model.cur_[2] > 0.5
