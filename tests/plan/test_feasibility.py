"""What a plan can prove, before anything is spent; hopeless plans are refused with a code."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from scipy.stats import hypergeom

from audit.attacks.base import ATTACKS
from audit.core.errors import AuditError
from audit.data.records import Corpus, Probe, Subject
from audit.plan import cost, feasibility
from audit.plan.cost import tensor_sizes
from audit.plan.demo import write_demo_plan
from audit.plan.feasibility import assess
from audit.plan.schema import load_plan, parse_plan
from audit.risk.bounds.base import Sample, build
from audit.risk.catalogue import covering


def person(side, number, *, secret=True, bits=33.0, second=True):
    name = f"{side}{number}"
    wording = (f"Tell me the code of {name}",) if second else ()
    probes = [Probe(name, "town", f"Where lives {name}?", f"Town {number}", paraphrased_questions=wording)]
    if secret:
        probes.append(
            Probe(
                name, "code", f"Which code has {name}?", f"{side}-{number}", kind="secret", entropy_bits=bits
            )
        )
    return Subject(name, tuple(probes))


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Return a function that assesses a plan on somebody's own data, without files."""

    def build(*, forget=150, retain=200, twins=0, candidates=("npo",), person_options=None, **changes):
        options = person_options or {}
        corpus = Corpus(
            tuple(person("f", i, **options) for i in range(forget)),
            tuple(person("r", i) for i in range(retain)),
            tuple(person("t", i) for i in range(twins)),
        )
        for name in ("m", "there"):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "config.json").touch()
            save_file({"a": np.zeros((3, 5)), "b": np.zeros(7)}, tmp_path / name / "model.safetensors")
        monkeypatch.setattr(feasibility, "corpus_of", lambda plan: corpus)
        data = {"forget": "f", "retain": "r"} | ({"twins": "t"} if twins else {})
        raw = {"model": "m", "data": data, "candidates": list(candidates), "attacks": ["none"]} | changes
        return assess(parse_plan(raw, base=tmp_path))

    return build


def refused(own, **changes):
    with pytest.raises(AuditError) as caught:
        own(**changes)
    return caught.value


def certified(failures, n, size, alpha, level):
    """P(X <= failures) if one unit more than the budget allows leaked."""
    return hypergeom.cdf(failures, size, int(alpha * size + 1e-9) + 1, n) <= level


def test_the_demo_allows_four_failures_of_ninety_and_fails_from_thirteen(tmp_path):
    """STATISTICS §5, from the hypergeometric distribution: K = 16, seven forget clauses and utility."""
    found = assess(load_plan(write_demo_plan(tmp_path, subject="lab", release="int4", seed=0)))
    forget = found.prospects[0]
    assert (found.candidates, found.attacks, found.clauses, forget.design.population) == (16, 5, 8, 120)
    assert forget.failures_allowed == 4
    assert certified(4, 90, 120, 0.1, 0.05 / 16)
    assert not certified(5, 90, 120, 0.1, 0.05 / 16)
    assert forget.failing_from == 13
    # smallest count k at which every list with at most 12 leaking would show so many with P <= .05 / 8
    assert min(k for k in range(91) if hypergeom.sf(k - 1, 120, 12, 90) <= 0.05 / 8) == 13
    assert found.units["forget calibrate"] == 90
    assert found.units["twin threshold"] == 200
    # 2 % of 120 are 2 persons: with at most 4 of them opened the candidate is certified for sure; 5 % are 6
    assert forget.true_shares == (0.0, 0.02, 0.05)
    chances = (1, 1, hypergeom.cdf(4, 120, 6, 90))
    assert forget.certified == tuple(pytest.approx((chance, chance)) for chance in chances)


def test_no_failure_among_the_opened_bounds_the_list_by_what_may_be_left(own):
    """The largest M with P(X = 0 | M of 120) > .05, over 120."""
    found = own(forget=150)
    largest = max(m for m in range(121) if hypergeom.cdf(0, 120, m, 90) > 0.05)
    assert found.forgetting[0].smallest_certifiable_share == pytest.approx(largest / 120)


def test_the_base_rate_of_guessing_counts_every_attack_and_secret(own):
    """One secret of 33 bits under one attack: 2^-33 = 1.2e-10."""
    assert own().base_rate == "at most 1e-10 by guessing"
    assert own(person_options={"bits": None}).base_rate.startswith("an unknown rate")


def test_too_few_units_are_refused_and_the_number_needed_is_said(own):
    error = refused(own, forget=10)
    assert (error.code, error.exit_code) == ("E403", 2)
    assert "6 units cannot show a risk of at most 0.1" in error.cause
    assert refused(own, retain=10).cause.startswith("utility")


def test_more_candidates_need_more_units(own):
    """Of 20 on the list 2 may leak: 12 opened without failure leave P = C(17, 12) / C(20, 12) = .049."""
    sizes = {"sizes": {"forget": {"tune": 0, "calibrate": 12, "sealed": 8}}}
    assert hypergeom.cdf(0, 20, 3, 12) == pytest.approx(6188 / 125970)
    assert own(forget=20, **sizes).forgetting[0].failures_allowed == 0
    assert refused(own, forget=20, candidates=("npo", "ga"), **sizes).code == "E403"


def test_with_an_order_the_first_candidate_needs_no_more_units_for_the_others_behind_it(own):
    """The same twelve of 20 suffice for two candidates tested one after the other at the whole of delta."""
    sizes = {"sizes": {"forget": {"tune": 0, "calibrate": 12, "sealed": 8}}}
    found = own(forget=20, candidates=("npo", "ga"), family="fixed_sequence", **sizes)
    assert found.forgetting[0].failures_allowed == 0
    assert found.order == "plan"
    assert any("if it comes first in the order (plan)" in line for line in found.lines())
    assert own(candidates=("npo", "ga"), family="graphical").order == "tune"
    assert own(candidates=("npo", "ga")).order is None
    assert refused(own, candidates=("npo", "ga"), order="tune").code == "E430"


def test_an_order_moves_what_passes_and_not_what_fails(own):
    """FAIL is judged at delta over the clauses; 16 candidates behind one another leave the first all of delta."""
    sizes = {"sizes": {"forget": {"tune": 30, "calibrate": 60, "sealed": 60}}}
    many = tuple(f"npo(steps={n})" for n in range(1, 17))
    for family in ("holm", "fixed_sequence", "fallback"):
        (forget,) = own(candidates=many, family=family, **sizes).forgetting
        level = 0.05 if family == "fixed_sequence" else 0.05 / 16
        assert forget.failures_allowed == max(k for k in range(60) if hypergeom.cdf(k, 120, 13, 60) <= level)
        assert forget.failing_from == min(
            k for k in range(60) if hypergeom.sf(k - 1, 120, 12, 60) <= 0.05 / 2
        )


def test_units_the_plan_leaves_out_still_belong_to_the_list(own):
    """Twenty of 150 opened, nobody sealed by the plan: the others are sealed, it is no census."""
    error = refused(own, sizes={"forget": {"tune": 0, "calibrate": 20, "sealed": 0}})
    assert error.code == "E403"
    whole = own(sizes={"forget": {"tune": 0, "calibrate": 150, "sealed": 0}})
    assert whole.forgetting[0].design.population == 150
    assert whole.forgetting[0].failures_allowed == 15
    assert any("census" in text for text in whole.warnings)


def test_a_list_without_secrets_cannot_be_judged_by_recovered_ones(own):
    error = refused(own, person_options={"secret": False})
    assert error.code == "E405"
    assert "secret: true" in error.cause


def test_a_loss_against_twins_needs_twins_and_enough_of_them(own):
    loss = {"primary": ["above_twins"]}
    assert refused(own, loss=loss).code == "E405"
    # beta = .01 needs floor(.01 (m + 1)) >= 1, so 99 threshold twins; 100 - 16 tune are too few
    assert refused(own, loss=loss, twins=100).code == "E401"
    assert own(loss=loss, twins=240).base_rate.endswith("twins)")
    # half of the twins above the threshold: a perfect model shows 50 % and is never certified
    assert refused(own, loss=loss | {"beta": 0.5}, twins=240).code == "E404"


def test_knowledge_left_over_needs_a_retrained_model(own, tmp_path):
    loss = {"primary": ["residual_knowledge"]}
    assert refused(own, loss=loss).code == "E405"
    assert own(loss=loss, retrained="m").base_rate == "a rate that is not known with this loss"


def test_secrets_that_can_be_guessed_are_refused(own):
    """Ten bits are guessed once in 1024 tries."""
    assert refused(own, person_options={"bits": 10.0}).code == "E402"


def test_what_will_be_missing_is_said_beforehand(own):
    said = " ".join(
        own(attacks=["none", "paraphrase"], person_options={"second": False, "bits": None}).warnings
    )
    assert "neither a retrained model nor twins: without that control nothing can PASS" in said
    assert "150 secrets have no entropy_bits" in said
    assert "150 of 150 forget subjects have no second wording" in said
    assert "retrained" not in " ".join(own(retrained="m").warnings)


def test_whom_a_rewording_cannot_reach_and_which_control_it_lacks_is_said_beforehand(own):
    """Nobody carries a cloze; f0 has no capital that a name could be read by; everybody has another fact to show."""
    attacks = ["none", "reworded", "reverse_query", "few_shot", "multiple_choice", "soft_prompt"]
    said = own(attacks=attacks).warnings
    assert [text.split(":")[0] for text in said if "cannot be asked" in text] == [
        "150 of 150 forget subjects cannot be asked by reworded(kind=cloze)",
        "150 of 150 forget subjects cannot be asked by reverse_query",
    ]
    (lacking,) = [text for text in said if "puts in what it asks for" in text]
    assert lacking.startswith("reverse_query, multiple_choice, soft_prompt:")
    assert not any("puts in" in text for text in own(attacks=attacks, twins=200).warnings)
    assert not any("puts in" in text for text in own(attacks=["none", "gcg"]).warnings)


def test_an_unknown_method_or_attack_is_named_before_any_cost_is_estimated(own):
    assert refused(own, candidates=("npoo",)).remedy == "did you mean 'npo'?"
    assert refused(own, attacks=["none", "quantiz(int4)"]).remedy == "did you mean 'quantize'?"


def test_the_assessment_is_text_and_json_with_the_same_numbers(own):
    found = own()
    text = "\n".join(found.lines())
    record = json.loads(json.dumps(found.to_json()))
    forget = record["prospects"][0]
    assert f"failures allowed: {forget['failures_allowed']} of 90" in text
    no, one, two = forget["units_needed"]
    assert f"units needed of 120: {no} with no failure, {one} with one, {two} with two" in text
    assert record["cost"]["seconds"] >= 0
    assert record["cost"]["parameters"] == 22  # 3 x 5 and 7, read from the file's header


def test_one_candidate_under_one_attack_is_no_plural(own):
    assert own().lines()[0] == "1 candidate under 1 attack (2 clauses each)"
    many = own(candidates=("npo", "ga"), attacks=["none", "noise(sigma=[0.1])"])
    assert many.lines()[0] == "2 candidates under 2 attacks (3 clauses each)"


def test_units_needed_for_none_one_and_two_failures_are_counted_exactly(own):
    """The smallest n at which so few failures among 13 leaking of 120 are rarer than .05."""
    needed = own().forgetting[0].units_needed
    for failures, n in enumerate(needed):
        assert hypergeom.cdf(failures, 120, 13, n) <= 0.05 < hypergeom.cdf(failures, 120, 13, n - 1)


def test_chances_and_bounds_are_rounded_away_from_what_is_hoped_for(own):
    """6 of 120 leak: 8 of 90 are allowed for one candidate, so certainty; for a chance of .4686 .46 is said."""
    said = "\n".join(own(candidates=tuple(f"npo(steps={n})" for n in range(1, 17))).lines())
    assert (
        "a candidate with true risk 0 / 0.02 / 0.05 is certified with probability 1.00 / 1.00 / 0.46" in said
    )
    assert hypergeom.cdf(4, 120, 6, 90) == pytest.approx(0.4686, abs=1e-4)
    # largest M with P(X = 0 | M of 120) > .05 / 16 is 4, a share of .0333..
    assert hypergeom.cdf(0, 120, 4, 90) > 0.05 / 16 > hypergeom.cdf(0, 120, 5, 90)
    assert "with no failure CUR is 0.034" in said


def test_every_bound_that_covers_the_list_stands_in_the_json_with_its_power(own):
    found = own()
    for item in found.prospects:
        rows = item.to_json()["bounds"]
        assert {row["bound"] for row in rows} == set(covering("list", binary=not item.graded))
        assert all(len(row["certified"]) == len(item.true_shares) for row in rows)
        best = "betting_without_replacement" if item.graded else "hypergeometric"
        assert rows[0]["bound"] == best


def test_a_graded_primary_loss_is_planned_as_graded_and_not_counted(own):
    """Without loss the bets win (1 + bet (mu - 0)) per unit; no number of failures means anything."""
    found = own(loss={"primary": ["residual_knowledge"]}, retrained="m")
    (forget,) = found.forgetting
    assert forget.graded
    assert (forget.failures_allowed, forget.failing_from) == (None, None)
    bound, zeros = build("betting_without_replacement", 0.05), np.zeros(200)
    (n,) = forget.units_needed
    assert (
        bound.p_value(Sample(zeros[:n], 120), 0.1) <= 0.05 < bound.p_value(Sample(zeros[: n - 1], 120), 0.1)
    )
    assert forget.smallest_certifiable_share == bound.upper(Sample(zeros[:90], 120), 0.05)
    assert forget.certified[0] == (1, 1)
    assert all(0 <= low <= high <= 1 for low, high in forget.certified)
    said = "\n".join(found.lines())
    assert "by residual_knowledge (graded)" in said
    assert "failures allowed" not in said


def test_a_graded_loss_in_few_subjects_is_harder_to_certify_than_one_spread_over_all(own):
    """Mean .05 of 120: six subjects with everything, or a Beta of sd .0475; 60 of 120 opened."""
    sizes = {"sizes": {"forget": {"tune": 30, "calibrate": 60, "sealed": 60}}}
    (forget,) = own(loss={"primary": ["residual_knowledge"]}, retrained="m", **sizes).forgetting
    few, spread = forget.certified[2]
    assert few < spread - 0.2


def test_too_few_units_for_a_graded_loss_are_refused_with_the_number_that_suffices(own):
    sizes = {"sizes": {"forget": {"tune": 0, "calibrate": 20, "sealed": 130}}}
    loss = {"loss": {"primary": ["residual_knowledge"]}, "retrained": "m"}
    error = refused(own, **loss, **sizes)
    assert error.code == "E403"
    enough = int(error.remedy.split()[2])
    sizes["sizes"]["forget"] = {"tune": 0, "calibrate": enough, "sealed": 150 - enough}
    assert own(**loss, **sizes).forgetting[0].units_needed == (enough,)


def test_counted_and_graded_primary_losses_are_both_planned(own):
    found = own(loss={"primary": ["residual_knowledge", "recovered", "answered"]}, retrained="m")
    assert [(item.losses, item.graded) for item in found.prospects] == [
        (("recovered", "answered"), False),
        (("residual_knowledge",), True),
        (("utility_harm",), True),
    ]
    assert found.clauses == 4


def test_utility_is_planned_on_the_retained_subjects(own):
    """200 retained: 40 tune, 120 opened of 160; harm is a share of answers, so graded."""
    utility = own().utility
    assert (utility.side, utility.graded, utility.design.n, utility.design.population) == (
        "utility",
        True,
        120,
        160,
    )
    expected = build("betting_without_replacement", 0.05).upper(Sample(np.zeros(120), 160), 0.05)
    assert utility.smallest_certifiable_share == expected
    assert any(
        line.startswith("utility: of 120 opened, without any harm its bound is") for line in own().lines()
    )


def test_a_damaged_weight_file_is_said_and_not_read_as_small(own, tmp_path):
    own()
    path = tmp_path / "m" / "model.safetensors"
    for data in (b"", b"abc", b"\xff" * 64, path.read_bytes()[:20]):
        path.write_bytes(data)
        with pytest.raises(AuditError) as caught:
            tensor_sizes(path)
        assert caught.value.code == "E202"


@pytest.mark.parametrize(
    ("subject", "scope", "depth"), [("tiny", "layers(1:3)", 2), ("smollm2", "layers(30:).mlp", 30)]
)
def test_layers_that_the_laboratory_does_not_have_are_refused_before_training(subject, scope, depth):
    raw = {"laboratory": {"subject": subject}, "candidates": [f"npo @{scope}"], "attacks": ["none"]}
    with pytest.raises(AuditError, match=f"E209.*{depth} layers"):
        assess(parse_plan(raw, base=Path()))


@pytest.mark.parametrize("config", [{"n_layer": 3}, {"text_config": {"num_hidden_layers": 3}}])
def test_layers_that_the_users_model_does_not_have_are_refused_before_training(own, tmp_path, config):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    own(candidates=["npo @layers(1:3)"])
    with pytest.raises(AuditError, match="E209"):
        own(candidates=["npo @layers(1:4)"])


def test_each_tier_of_attackers_costs_what_weaker_ones_cost_and_its_own_attacks(own):
    relearn = "relearn(steps=[5, 10], arm=persons)"
    found = own(attacks=["none", "paraphrase(wordings=2)", "noise(sigma=[0.01])", relearn])
    prompt, weights, finetune = found.cost.tiers
    assert [(t.tier, t.attacks) for t in (prompt, weights, finetune)] == [
        ("prompt", 2),
        ("weights", 3),
        ("finetune", 4),
    ]
    assert prompt.passes == 1 + 2  # the plain question and two wordings, one pass each
    assert weights.passes == prompt.passes + ATTACKS.build("noise(sigma=[0.01])").cost
    assert finetune.passes == weights.passes + ATTACKS.build(relearn).cost
    assert finetune.seconds / prompt.seconds == pytest.approx(finetune.passes / prompt.passes)
    assert "weights 3 attacks" in "\n".join(found.lines())


def test_a_tier_that_the_plan_does_not_name_is_not_listed(own):
    assert [tier.tier for tier in own().cost.tiers] == ["prompt"]


@pytest.fixture
def operations(own, monkeypatch):
    """Return a function that counts what a plan of 22 weights takes more than one of nothing but given weights."""
    monkeypatch.setattr(cost, "_flops_per_second", lambda: 1 / cost.EFFICIENCY)

    def count(candidate, **changes):
        given = {"given": "there"}
        more = own(candidates=(candidate,), **changes).cost.seconds
        return (more - own(candidates=(given,)).cost.seconds) / 22

    return count


def test_a_training_done_again_costs_its_epochs_over_both_files(operations):
    """150 and 200 persons of two questions each, their letters over 3.5; six operations a token, weight and epoch."""
    letters = sum(
        len(p.question) + len(p.answer)
        for s, n in (("f", 150), ("r", 200))
        for i in range(n)
        for p in person(s, i).probes
    )
    stated = {"base": "m", "epochs": 5, "batch": 8, "lr": 1e-5}
    found = operations("retrain", training=stated)
    assert found == pytest.approx(5 * 6 * letters / 3.5)
    assert operations("retrain", training=stated | {"epochs": 10}) == pytest.approx(2 * found)


def test_a_weighting_costs_its_epochs_over_the_forget_list_once(operations):
    """An epoch of graddiff over 300 forget sequences is 300 / 32 steps of 32; guard says it spends one."""
    plain, guarded = operations("graddiff(steps=60)"), operations("graddiff(steps=60) * guard")
    assert guarded - plain == pytest.approx(plain / 60 * 300 / 32)
    assert operations("graddiff(steps=120) * guard") - guarded == pytest.approx(plain)
