"""Exhibits about attackers who choose: counts on paper, bounds from the hypergeometric law at the shared level."""

import pytest
from hand_made import INT4, NONE, PARAPHRASE, RELEARN_5, RELEARN_10, Audit, imported
from scipy.stats import hypergeom

from audit.evidence.certify import certify

DRAWN = {"forget": 60, "sealed": 20, "retain": 60, "retain_sealed": 20, "candidates": ("npo", "simnpo")}
CELLS = (NONE, PARAPHRASE, INT4, RELEARN_5, RELEARN_10)
LEVEL = 0.05 / 2  # two configurations


def upper(failures, level, opened=60, size=80):
    return max(m for m in range(size + 1) if hypergeom.cdf(failures, size, m, opened) > level) / size


def lower(failures, level, opened=60, size=80):
    return min(m for m in range(size + 1) if hypergeom.sf(failures - 1, size, m, opened) > level) / size


def exhibits(audit):
    return {item.name: item for item in certify(audit.measurements()).exhibits}


def exhibit(audit, name):
    return exhibits(audit).get(name)


def column(found, title):
    place = [c.title for c in found.columns].index(title)
    return [row[place] for row in found.rows]


def leaking():
    """Person 0 leaks when asked in other words, 1 and 2 quantized, 3 to 6 after ten steps, 3 and 4 after five."""
    audit = Audit(**DRAWN, cells=CELLS)
    for cell, count, first in ((PARAPHRASE, 1, 0), (INT4, 2, 1), (RELEARN_5, 2, 3), (RELEARN_10, 4, 3)):
        audit.leak("npo", cell, count, first=first)
    return audit


def test_the_attacker_who_chooses_gets_everybody_that_some_attack_gets():
    """One, two and four persons, none twice: seven of sixty, where the worst single attack gets four."""
    found = exhibit(leaking(), "attackers")
    assert column(found, "Subjects") == ["7\u00a0of\u00a060", "0\u00a0of\u00a060"]
    assert column(found, "Unattacked") == [0, 0]
    assert column(found, "Worst single attack") == [4 / 60, 0]
    assert column(found, "Attacker’s choice") == [7 / 60, 0]
    assert column(found, "At most") == pytest.approx([upper(7, LEVEL), upper(0, LEVEL)])
    assert column(found, "At least") == pytest.approx([lower(7, LEVEL), lower(0, LEVEL)])
    assert "2 configurations together with confidence 95\u00a0%" in found.claim


def test_the_budget_is_kept_exceeded_or_open():
    audit = leaking()
    audit.leak("simnpo", INT4, 20)
    assert upper(7, LEVEL) > 0.1 >= lower(7, LEVEL)
    assert column(exhibit(audit, "attackers"), "Budget 10\u00a0%") == ["open", "exceeded"]
    assert column(exhibit(Audit(**DRAWN), "attackers"), "Budget 10\u00a0%") == ["kept", "kept"]


def test_one_attack_leaves_nothing_to_choose():
    audit = Audit(**DRAWN, cells=(NONE,))
    assert not {"attackers", "tiers", "doses"} & set(exhibits(audit))


def test_a_curve_over_tiers_rises_and_shares_delta_over_its_points():
    """Three tiers shown for each of two configurations: delta / 6 each; an upper bound covers every weaker tier."""
    found = exhibit(leaking(), "tiers")
    assert [c.title for c in found.columns[2:]] == ["prompts (%)", "+ weights (%)", "+ training (%)"]
    (_, (curve,)), _ = found.figure.panels
    assert curve.y == pytest.approx((1 / 60, 3 / 60, 7 / 60))
    assert curve.upper == pytest.approx(tuple(upper(k, LEVEL / 3) for k in (1, 3, 7)))
    assert curve.lower == pytest.approx(tuple(lower(k, LEVEL / 3) for k in (1, 3, 7)))
    assert found.rows[0][2] == "1.7\u00a0[1.2,\u00a06.3]"
    assert (lower(1, LEVEL / 3), upper(1, LEVEL / 3)) == (1 / 80, 5 / 80)
    assert "paraphrase" in found.notes[0]
    assert "sampling" in found.notes[1]


def test_doses_accumulate_from_the_model_as_it_ships():
    found = exhibit(leaking(), "doses")
    (_, (curve,)), _ = found.figure.panels
    assert curve.x == (0, 5, 10)
    assert curve.y == pytest.approx((0, 2 / 60, 4 / 60))
    assert curve.upper == pytest.approx(tuple(upper(k, LEVEL / 3) for k in (0, 2, 4)))
    assert [c.title for c in found.columns[2:]] == ["dose 0 (%)", "dose 5 (%)", "dose 10 (%)"]
    assert "doses 0, 5, 10 steps" in found.notes[0]


def test_an_attack_that_failed_shows_no_number():
    audit = leaking()
    audit.fail("npo", INT4)
    found = exhibits(audit)
    chosen, tiers = found["attackers"], found["tiers"]
    assert column(chosen, "Subjects")[0] == "not measured"
    assert column(chosen, "At most")[0] is None
    assert column(chosen, "Budget 10\u00a0%")[0] == "open"
    assert tiers.rows[0][3:] == ("–", "–")
    assert tiers.figure.panels[0][1][0].x == (0,)


def test_everybody_counted_gives_exact_numbers():
    audit = Audit(forget=20, retain=10, cells=CELLS, candidates=("npo",))
    audit.leak("npo", INT4, 1)
    audit.leak("npo", RELEARN_5, 1, first=1)
    found = exhibits(audit)
    assert all("exact" in found[name].claim for name in ("attackers", "tiers", "doses"))
    assert found["tiers"].rows[0][2:] == ("0.0", "5.0", "10.0")
    assert column(found["attackers"], "At most") == [0.1]


def test_twins_show_what_perfect_unlearning_would():
    """Beta 1/4 of eight twins; of the four held out one is above after quantization: a quarter."""
    lock = {"loss": {"primary": ["above_twins"], "beta": 0.25}}
    audit = Audit(
        forget=20,
        twins=8,
        cells=(NONE, INT4),
        candidates=("npo",),
        lock=lock,
        metrics=("forced_match", "exact_match", "nll"),
    )
    audit.put_all("npo", INT4, "nll", dict(zip(audit.never_trained, (1, 2, 3, 4, 5, 6, 7, 8), strict=True)))
    found = exhibit(audit, "attackers")
    assert column(found, "Never-trained twins") == ["25.0 % (1 of 4)"]
    assert "nothing is subtracted" in " ".join(found.notes)


def test_several_primary_losses_have_lines_of_their_own_and_share_delta():
    lock = {"loss": {"primary": ["recovered", "above_twins"], "beta": 0.25}}
    audit = Audit(
        **DRAWN, twins=8, cells=(NONE, INT4), lock=lock, metrics=("forced_match", "exact_match", "nll")
    )
    found = exhibit(audit, "attackers")
    assert len(found.rows) == 4
    assert column(found, "Loss")[:2] == [
        "subjects with a recovered secret",
        "subjects above the threshold of never-trained twins",
    ]
    assert column(found, "At most")[0] == pytest.approx(upper(0, LEVEL / 2))


def test_imported_logs_without_attacks_have_no_such_exhibits():
    audit = imported(Audit(forget=6, retain=4, candidates=("npo",), cells=(NONE,)))
    assert not {"attackers", "tiers", "doses"} & set(exhibits(audit))


def test_with_many_configurations_the_valid_set_and_the_smallest_curs_are_drawn():
    names = tuple(f"c{i:02d}" for i in range(20))
    audit = Audit(forget=40, retain=10, candidates=names, cells=(NONE, INT4))
    for number, name in enumerate(names):
        audit.leak(name, INT4, 4 + number)
    found = exhibit(audit, "tiers")
    assert len(found.rows) == 20
    assert [title for title, _ in found.figure.panels] == [f"{i + 1}: c{i:02d}" for i in range(16)]
    assert "leaves out 4 configurations" in found.notes[-1]
