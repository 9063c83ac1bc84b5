"""A family with an order, as a user runs it: tune subjects are scored, the order comes from them alone."""

import pytest
from commands import command

from audit.evidence import bundle
from audit.measurements import store

pytestmark = pytest.mark.slow

PLAN = """
laboratory: {subject: tiny, release: full, facts: 1, secrets: 2}
candidates:
  - idk_sft(lr=0.003, steps=10)
  - simnpo(lr=0.001, steps=60)
attacks: [none, "relearn(steps=[5])"]
family: graphical
sizes:
  forget: {tune: 8, calibrate: 26, sealed: 6}
  retain: {tune: 8, calibrate: 26, sealed: 6}
"""


def test_tune_subjects_are_measured_and_the_better_candidate_comes_first(tmp_path):
    """After ten steps of refusals relearning brings the secrets back; the plan names that candidate first."""
    (tmp_path / "audit.yaml").write_text(PLAN)
    done = command("run", tmp_path / "audit.yaml", "--out", tmp_path / "run")
    assert done.returncode in (0, 1, 3), done.stderr[-2000:]
    measurements = store.read(tmp_path / "run" / "measurements")
    split = measurements.units.set_index("subject")["split"]
    rows = measurements.rows[~measurements.rows["configuration"].isin(["original", "retrained"])]
    scored = rows.assign(split=rows["subject"].astype(str).map(split))
    assert set(scored["split"]) == {"tune", "calibrate"}
    assert len(set(scored["attack"])) == 2
    certificate = bundle.read(tmp_path / "run")
    assert (certificate.family, certificate.order_source) == ("graphical(insurance=0.2)", "tune")
    assert [name.partition("(")[0] for name in certificate.order] == ["simnpo", "idk_sft"]
