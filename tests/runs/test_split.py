"""The split: tune units from the lock, the others from lock and finished weights; nobody twice or lost."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.core.errors import AuditError
from audit.runs import split
from audit.runs.eligibility import Eligibility

NOBODY = {"forget": set(), "retain": set()}
CHECKPOINTS = ["ab" * 32, "cd" * 32]


def names(world, side):
    return [s.subject for s in world.corpus.side(side)]


def everybody(world):
    return Eligibility(tuple(names(world, "forget")), {s: ("city",) for s in names(world, "retain")})


def drawn(world, checkpoints=CHECKPOINTS, opened=None, eligible=None):
    return split.draw(world, eligible or everybody(world), checkpoints, opened or NOBODY)


def members(units, side, where):
    return {u.subject for u in units if u.side == side and u.split == where}


def test_every_subject_stands_in_exactly_one_place_and_sizes_are_the_plans(world):
    units = drawn(world)
    for side, sizes in (("forget", (4, 10, 6)), ("retain", (2, 8, 4))):
        parts = [members(units, side, where) for where in ("tune", "calibrate", "sealed")]
        assert tuple(map(len, parts)) == sizes
        assert set.union(*parts) == set(names(world, side))
    assert len(members(units, "twin", "threshold")) == 6
    assert len({u.subject for u in units}) == len(units) == 20 + 14 + 8


def test_tune_units_and_twins_depend_on_the_lock_alone(world):
    first, second = drawn(world), drawn(world, ["ef" * 32])
    for side in ("forget", "retain", "twin"):
        assert (
            members(first, side, "tune") == members(second, side, "tune") == split.tune_subjects(world, side)
        )
    assert members(first, "twin", "threshold") == members(second, "twin", "threshold")


def test_who_is_opened_depends_on_the_finished_weights(world):
    """Ten of sixteen: another draw is the same one with probability 1 / 8008."""
    first, second = drawn(world), drawn(world, ["ab" * 32, "ce" * 32])
    assert members(first, "forget", "calibrate") != members(second, "forget", "calibrate")
    assert members(first, "retain", "calibrate") != members(second, "retain", "calibrate")


def test_the_order_of_the_checkpoints_and_a_second_call_change_nothing(world):
    assert drawn(world) == drawn(world, CHECKPOINTS[::-1]) == drawn(world)


def test_the_order_within_the_opened_is_a_random_one_of_its_own(world):
    opened = sorted(
        (u.order, u.subject) for u in drawn(world) if u.side == "forget" and u.split == "calibrate"
    )
    assert [order for order, _ in opened] == list(range(10))
    assert [s for _, s in opened] != sorted(s for _, s in opened)  # 1 / 10! by chance


def test_units_another_audit_opened_are_not_opened_again(world):
    seen = set(sorted(members(drawn(world), "forget", "calibrate"))[:3])
    units = drawn(world, opened={"forget": seen, "retain": set()})
    assert not seen & (members(units, "forget", "calibrate") | members(units, "forget", "sealed"))
    assert len(members(units, "forget", "calibrate")) == 10
    assert len(members(units, "forget", "sealed")) == 3


def test_too_few_left_to_open_is_an_integrity_error_with_their_number(world):
    seen = members(drawn(world), "forget", "calibrate")
    with pytest.raises(AuditError) as caught:
        drawn(world, opened={"forget": seen, "retain": set()})
    assert (caught.value.code, caught.value.exit_code) == ("E506", 5)
    assert (
        caught.value.cause == "6 forget subjects are left to open, the plan opens 10 (10 were opened before)"
    )


def test_too_few_that_can_be_audited_is_an_error_of_the_plan(world):
    few = Eligibility(tuple(names(world, "forget")[:9]), everybody(world).known)
    with pytest.raises(AuditError) as caught:
        drawn(world, eligible=few)
    assert (caught.value.code, caught.value.exit_code) == ("E411", 2)


def test_whom_the_original_never_knew_is_scored_beside_the_others_and_marked(world):
    tune = split.tune_subjects(world, "forget")
    unknown = [s for s in names(world, "forget") if s not in tune][:2]
    eligible = Eligibility(
        tuple(s for s in names(world, "forget") if s not in unknown),
        {s: () if s == names(world, "retain")[0] else ("city",) for s in names(world, "retain")},
    )
    units = {u.subject: u for u in drawn(world, eligible=eligible)}
    for subject in (*unknown, names(world, "retain")[0]):
        assert not units[subject].auditable
        assert units[subject].split in ("calibrate", "tune")
    auditable = [u for u in units.values() if u.side == "forget" and u.auditable]
    assert len([u for u in auditable if u.split == "calibrate"]) == 10
    assert len([u for u in auditable if u.split == "sealed"]) == 4


def test_tune_persons_are_scored_when_the_lock_says_so_and_only_those_that_can_be_audited(world):
    tune = sorted(split.tune_subjects(world, "forget"))
    eligible = Eligibility(tuple(s for s in names(world, "forget") if s != tune[0]), everybody(world).known)
    units = [u for u in drawn(world, eligible=eligible) if u.side == "forget"]
    scored = {u.subject for u in units if u.is_scored(tune=False)}
    assert not scored & set(tune)
    assert {u.subject for u in units if u.is_scored(tune=True)} == scored | set(tune[1:])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(data=st.data())
def test_whatever_was_opened_or_unknown_nobody_is_in_two_places(world, data):
    forget = names(world, "forget")
    opened = data.draw(st.sets(st.sampled_from(forget), max_size=4))
    known = [s for s in forget if s not in data.draw(st.sets(st.sampled_from(forget), max_size=3))]
    eligible = Eligibility(tuple(known), everybody(world).known)
    try:
        units = drawn(world, opened={"forget": opened, "retain": set()}, eligible=eligible)
    except AuditError as error:
        assert error.code in ("E411", "E506")  # noqa: PT017
        return
    mine = [u for u in units if u.side == "forget"]
    assert sorted(u.subject for u in mine) == sorted(forget)
    claimed = {u.subject for u in mine if u.auditable and u.split in ("calibrate", "sealed")}
    assert claimed == set(known) - opened - split.tune_subjects(world, "forget")
