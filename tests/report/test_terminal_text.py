import dataclasses

import pytest

from audit.evidence.certificate import Verdict
from audit.report.text import lines


@pytest.mark.parametrize("width", [80, 100, 140])
@pytest.mark.parametrize("verdict", list(Verdict))
def test_no_line_is_wider_than_the_terminal(judged, verdict, width):
    assert max(map(len, lines(judged(verdict), width))) <= width


def test_a_very_long_recipe_stays_in_its_column(certificate):
    long = dataclasses.replace(certificate.configurations[0], label="x" * 300)
    found = lines(dataclasses.replace(certificate, configurations=(long,)))
    assert max(map(len, found)) <= 100
    column = [line.split()[0] for line in found if line.startswith("x")]
    assert "".join(column) == "x" * 300


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_overall_verdict_and_its_reasons_are_printed(judged, verdict):
    certificate = judged(verdict)
    found = lines(certificate)
    assert any(line[2:].startswith(f"{verdict}: ") for line in found)
    for reason in certificate.reasons:
        assert any(reason in line for line in found)


def test_every_configuration_has_a_row_with_cur_attack_utility_and_verdict(certificate):
    found = "\n".join(lines(certificate))
    row = next(line for line in found.splitlines() if line.startswith("simnpo(lr=0.001"))
    # 2 of 90 leak after 25 steps of relearning; 7 of 120 is the largest count not refuted at 0.05 / 16.
    assert "(relearn @25 steps)" in row
    assert "5.9 %" in row
    assert "≤ 3.8 %" in row
    assert row.endswith("✓ PASS")


def test_an_uninformative_attack_is_named_as_such(certificate):
    assert any(line.startswith("- uninformative") and "paraphrase" in line for line in lines(certificate))


def test_an_exact_confirmed_count_is_printed(certificate):
    assert any("2 of 120" in line for line in lines(certificate))


def test_a_missing_control_is_said_once(certificate):
    bare = dataclasses.replace(certificate, missing_controls=("original",), verdict=Verdict.INCONCLUSIVE)
    assert sum("original not measured" in line for line in lines(bare)) == 1
    told = dataclasses.replace(bare, reasons=("uncontrolled: original not measured, so nothing can PASS",))
    assert sum("original not measured" in line for line in lines(told)) == 1
