"""A post-calibration that looks at tune subjects is refused at the plan where there are none."""

import pytest
import yaml
from typer.testing import CliRunner

from audit.cli import app
from audit.core.errors import AuditError
from audit.methods.base import POSTS
from audit.plan.lock import make_lock
from audit.plan.post import check_post
from audit.plan.schema import parse_plan
from audit.plan.sizes import ResolvedSizes

SIDE = {"calibrate": 30, "sealed": 10}
LOOKING = sorted(name for name in POSTS.names() if POSTS[name].needs)
BLIND = sorted(set(POSTS.names()) - set(LOOKING))


def plan(*candidates, **more):
    raw = {"laboratory": {"subject": "tiny"}, "candidates": list(candidates), "attacks": ["none"]}
    return raw | {"budget": {"forget": 0.5, "utility": 0.5}} | more


def sizes(forget, retain):
    return ResolvedSizes({"tune": forget, **SIDE}, {"tune": retain, **SIDE}, {"tune": 0, "threshold": 0})


@pytest.mark.parametrize("name", LOOKING)
def test_without_tune_subjects_of_its_side_it_is_refused_with_both_ways_out(name, tmp_path):
    with pytest.raises(AuditError, match="E252") as caught:
        check_post(parse_plan(plan("npo", f"npo > {name}"), base=tmp_path), sizes(forget=9, retain=0))
    assert "sizes: {retain: {tune: N}}" in caught.value.remedy
    assert "> path(strength)" in caught.value.remedy
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", LOOKING)
def test_with_one_tune_subject_of_its_side_it_is_allowed(name, tmp_path):
    check_post(parse_plan(plan(f"npo > {name}"), base=tmp_path), sizes(forget=0, retain=1))


@pytest.mark.parametrize("candidate", ["npo", {"given": "made"}, *(f"npo > {name}" for name in BLIND)])
def test_what_looks_at_nobody_needs_no_tune_subjects(candidate, tmp_path):
    check_post(parse_plan(plan(candidate), base=tmp_path), sizes(forget=0, retain=0))


def test_the_tiny_laboratory_deals_none_unless_told_so_that_its_lock_is_refused(tmp_path):
    for candidate, more in (("npo > path", {}), ("npo > uwc", {"sizes": {"retain": {"tune": 5}}})):
        make_lock(parse_plan(plan(candidate, **more), base=tmp_path), tmp_path)
    with pytest.raises(AuditError, match="E252"):
        make_lock(parse_plan(plan("npo > uwc"), base=tmp_path), tmp_path)


@pytest.mark.parametrize("command", ["plan", "lock"])
def test_the_commands_refuse_it_as_a_bad_plan(command, tmp_path):
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump(plan("npo > uwc")))
    extra = ["--out", str(tmp_path / "run")] if command == "lock" else []
    done = CliRunner().invoke(app, [command, str(tmp_path / "audit.yaml"), *extra])
    assert done.exit_code == 2
    assert "E252" in done.stderr
