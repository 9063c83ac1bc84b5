"""Attackers put together from measurements written by hand; every leak is placed, so every count is known."""

from itertools import pairwise

import numpy as np
import pytest
from hand_made import INT4, NONE, PARAPHRASE, RELEARN, RELEARN_5, RELEARN_10, Audit

from audit.plan import attackers
from audit.plan.assemble import Assembly

CELLS = (NONE, INT4, PARAPHRASE, RELEARN_5, RELEARN_10)


def audit(**facts):
    return Audit(**({"cells": CELLS, "forget": 10, "candidates": ("npo",)} | facts))


def worst(made, attacker, loss="recovered"):
    assembly = Assembly(made.measurements())
    return attackers.clause(assembly, loss, attacker(assembly), ("npo",))


def tier(number):
    return lambda assembly: attackers.tiers(assembly)[number]


def test_tiers_are_nested_and_those_without_an_attack_are_left_out():
    found = attackers.tiers(Assembly(audit().measurements()))
    assert [(a.label, len(a.cells)) for a in found] == [("prompt", 2), ("weights", 3), ("finetune", 5)]
    assert set(found[0].cells) == {NONE, PARAPHRASE}
    assert all(set(a.cells) < set(b.cells) for a, b in pairwise(found))


def test_doses_accumulate_from_no_attack_on():
    chain = attackers.doses(Assembly(audit().measurements()))
    assert list(chain) == [RELEARN]
    assert [(a.label, a.cells) for a in chain[RELEARN]] == [
        ("0", (NONE,)),
        ("5", (NONE, RELEARN_5)),
        ("10", (NONE, RELEARN_5, RELEARN_10)),
    ]


def test_the_worst_case_adds_up_persons_that_different_attacks_get_at():
    """Person 0 leaks when asked in other words, 1 and 2 after quantization, 2 and 3 after relearning."""
    made = audit()
    made.leak("npo", PARAPHRASE, 1)
    made.leak("npo", INT4, 2, first=1)
    made.leak("npo", RELEARN_10, 2, first=2)
    for number, leaked in enumerate(([0], [0, 1, 2], [0, 1, 2, 3])):
        assert np.flatnonzero(worst(made, tier(number)).losses[0]).tolist() == leaked
    assert worst(made, attackers.everything).population == 10


def test_a_person_who_leaks_at_a_small_dose_only_counts_at_every_larger_one():
    made = audit()
    made.leak("npo", RELEARN_5, 3)
    chain = [lambda a, i=i: attackers.doses(a)[RELEARN][i] for i in range(3)]
    assert [worst(made, step).losses.sum() for step in chain] == [0, 3, 3]


def test_an_attack_that_failed_leaves_the_attackers_who_have_it_without_a_result():
    made = audit()
    made.fail("npo", INT4)
    assert [bool(worst(made, tier(i)).measured[0]) for i in range(3)] == [True, False, False]


def test_an_attack_that_does_not_apply_is_no_tool():
    made = audit()
    made.leak("npo", INT4, 5)
    made.fail("npo", INT4, state="not_applicable", reason="no linear layers")
    found = worst(made, attackers.everything)
    assert found.measured.tolist() == [True]
    assert found.losses.sum() == 0


def test_a_question_that_an_attack_cannot_ask_is_judged_by_the_other_attacks():
    made = audit(unasked=[(PARAPHRASE, "f000", "passport")])
    for subject in made.forgotten:
        made.put("npo", PARAPHRASE, subject, "passport", "forced_match", 1.0)
    assert worst(made, tier(0)).losses[0].tolist() == [0.0] + [1.0] * 9


def test_persons_of_earlier_audits_are_counted_under_the_worst_attack():
    """Of three seen before, one leaked under one attack and another under the other."""
    made = audit(before=3, sealed=2)
    made.put("npo", INT4, "b000", "passport", "forced_match", 1.0)
    made.put("npo", RELEARN_5, "b001", "passport", "forced_match", 1.0)
    found = worst(made, attackers.everything)
    assert (found.units, found.seen_units, found.population) == (10, 3, 15)
    assert found.seen_totals.tolist() == [2.0]


# -- twins --------------------------

TWINS = {
    "twins": 8,
    "metrics": ("forced_match", "exact_match", "nll"),
    "lock": {"loss": {"primary": ["above_twins"], "beta": 0.25}},
}


def scores(made, cell, units, twins, fold=None):
    """Negative log-likelihoods: the smaller, the better known."""
    made.put_all("npo", cell, "nll", dict(zip(made.forgotten, units, strict=True)), fold=fold)
    made.put_all("npo", cell, "nll", dict(zip(made.never_trained, twins, strict=True)), fold=fold)


def test_each_attack_keeps_its_own_twin_threshold():
    """Beta 1/4 of eight twins: tau is the second best known, at an nll of 2 unattacked and of 0.2 quantized.

    Person 0 is above without an attack, person 1 after quantization, when everybody scores far better. Best scores
    under one joint threshold, 0.2, would miss person 0.
    """
    made = audit(cells=(NONE, INT4), **TWINS)
    scores(made, NONE, [1.5] + [6.0] * 9, [1, 2, 3, 4, 5, 6, 7, 8])
    scores(made, INT4, [0.5, 0.15] + [0.6] * 8, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    found = worst(made, attackers.everything, "above_twins")
    assert np.flatnonzero(found.losses[0]).tolist() == [0, 1]


def test_the_base_rate_counts_held_out_twins_under_the_same_choice_of_attacks():
    """Twins 0, 2, 4, 6 stand in, 1, 3, 5, 7 judge: at beta 1/4 the best judge sets tau.

    Unattacked the judges' best is 2.0 and twin 0 is better known; quantized it is 0.2 and twin 4 is.
    """
    made = audit(cells=(NONE, INT4), **TWINS)
    scores(made, NONE, [6.0] * 10, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    scores(made, INT4, [0.6] * 10, [0.5, 0.2, 0.4, 0.6, 0.1, 0.7, 0.3, 0.8])
    assembly = Assembly(made.measurements())
    everything = attackers.everything(assembly)
    found = attackers.base_rate(assembly, "npo", everything)
    assert (found.above, found.twins, found.cells) == (2, 4, 2)


def test_without_scored_twins_there_is_no_base_rate():
    assembly = Assembly(audit(cells=(NONE, INT4)).measurements())
    assert attackers.base_rate(assembly, "npo", attackers.everything(assembly)) is None


# -- single subjects --------------------------


def test_tallies_tell_questions_from_attacks_and_count_an_attack_once_over_its_doses():
    """The passport of person 0 leaks at both doses of relearning and after quantization; cities are no secrets."""
    made = audit()
    for cell in (INT4, RELEARN_5, RELEARN_10):
        made.leak("npo", cell, 1)
    made.leak("npo", INT4, 2, probe="city")
    (found,) = attackers.tallies(Assembly(made.measurements()), "recovered", ("npo",), made.forgotten)
    assert (found.attacks_leaked[0], found.attacks[0]) == (2, 4)
    assert (found.questions_leaked[0], found.questions[0]) == (1, 1)
    assert found.share.tolist() == [0.5] + [0.0] * 9


def test_tallies_keep_missing_scores_apart_and_count_them_as_leaks():
    made = audit()
    made.put("npo", INT4, "f001", "passport", "forced_match", None)
    made.fail("npo", PARAPHRASE)
    (found,) = attackers.tallies(Assembly(made.measurements()), "recovered", ("npo",), made.forgotten)
    assert found.missing[:3].tolist() == [1, 2, 1]
    assert found.share[:3].tolist() == [0.25, 0.5, 0.25]


@pytest.mark.parametrize("loss", ["above_twins"])
def test_losses_over_all_answers_count_as_one_question(loss):
    made = audit(cells=(NONE, INT4), **TWINS)
    scores(made, NONE, [0.5] + [6.0] * 9, [1, 2, 3, 4, 5, 6, 7, 8])
    scores(made, INT4, [0.9] * 10, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    (found,) = attackers.tallies(Assembly(made.measurements()), loss, ("npo",), made.forgotten)
    assert (found.questions[0], found.attacks_leaked[0], found.share[0]) == (1, 1, 0.5)
