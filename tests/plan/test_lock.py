"""The lock: the same content is the same audit wherever and whenever; any edit of the file is seen."""

import json
import shutil
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.core.errors import AuditError
from audit.data.records import Corpus, Probe, Subject
from audit.data.writers import write_corpus
from audit.plan import lock as locks
from audit.plan.lock import make_lock, read_lock, write_lock
from audit.plan.schema import parse_plan

TINY = {"laboratory": {"subject": "tiny"}, "candidates": ["npo", "ga(lr=0.001) @lora(8)"]}


def plan(base, **changes):
    return parse_plan(TINY | changes, base=base)


def person(side, number):
    name = f"{side}{number}"
    return Subject(
        name,
        (
            Probe(
                name,
                "code",
                f"Which code has {name}?",
                f"{side[0]}-{number:05d}",
                kind="secret",
                entropy_bits=33.0,
            ),
            Probe(name, "town", f"Where lives {name}?", f"Town {number}"),
        ),
    )


def people(count=60):
    sides = (tuple(person(side, i) for i in range(count)) for side in ("forgotten", "kept", "twin"))
    return Corpus(*sides)


@pytest.fixture
def locked(tmp_path):
    run = tmp_path / "run"
    write_lock(run, make_lock(plan(tmp_path), tmp_path))
    return run


class Tomorrow(datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + timedelta(days=1)


def code_of(function, *args):
    with pytest.raises(AuditError) as caught:
        function(*args)
    return caught.value.code


# -- what is frozen ---------------------------------


def test_recipes_and_attacks_are_frozen_with_every_default_written_out(tmp_path):
    lock = make_lock(plan(tmp_path, attacks=["none", "quantize(int4)"]), tmp_path)
    assert lock.attacks == ["none", "quantize(int4, group=64, merged=true, backend=own)"]
    assert lock.configurations[0].startswith("npo(beta=0.1, ")
    assert lock.configurations[1].endswith("@lora(8)")
    assert "lr=0.001" in lock.configurations[1]
    assert lock.audit_id == lock.digest[:12]


@pytest.mark.parametrize(
    "change",
    [
        {"candidates": ["npo"]},
        {"candidates": ["ga(lr=0.001) @lora(8)", "npo"]},
        {"candidates": ["npo", "ga(lr=0.002) @lora(8)"]},
        {"attacks": ["none"]},
        {"budget": {"forget": 0.2}},
        {"budget": {"utility": 0.2}},
        {"confidence": 0.9},
        {"family": "bonferroni"},
        {"seed": 1},
        {"loss": {"vetoes": []}},
        {"laboratory": {"subject": "tiny", "release": "full"}},
        {"laboratory": {"subject": "tiny", "facts": 2}},
        {"sizes": {"forget": {"calibrate": 20}}},
        {"prompt": "plain"},
    ],
)
def test_whatever_decides_changes_the_digest(tmp_path, change):
    assert make_lock(plan(tmp_path, **change), tmp_path).digest != make_lock(plan(tmp_path), tmp_path).digest


@pytest.mark.parametrize(
    "change",
    [{"keep": "all"}, {"candidates": [" npo ( ) ", "ga(lr=1e-3)@lora(8)"]}, {"budget": {"forget": 0.1}}],
)
def test_another_spelling_of_the_same_plan_is_the_same_audit(tmp_path, change):
    assert make_lock(plan(tmp_path, **change), tmp_path).digest == make_lock(plan(tmp_path), tmp_path).digest


def test_the_digest_does_not_depend_on_where_files_lie_nor_on_the_time(tmp_path, monkeypatch):
    digests, times = [], []
    for name in ("here", "somewhere/else"):
        folder = tmp_path / name
        write_corpus(people(), folder / "data")
        (folder / "m").mkdir()
        for file in ("config.json", "model.safetensors"):
            (folder / "m" / file).touch()
        monkeypatch.setattr(locks, "folder_digest", lambda path, **_: "ab" * 32)
        made = make_lock(
            parse_plan(
                {
                    "model": "m",
                    "data": {
                        "forget": "data/forget.jsonl",
                        "retain": "data/retain.jsonl",
                        "twins": "data/twins.jsonl",
                    },
                    "candidates": ["npo"],
                },
                base=folder,
            ),
            folder,
        )
        digests.append(made.digest)
        times.append(made.locked_at)
        monkeypatch.setattr(locks, "datetime", Tomorrow)
    assert digests[0] == digests[1]
    assert times[0] != times[1]


def test_one_changed_answer_is_another_audit(tmp_path):
    corpus = people()
    first = make_lock(plan(tmp_path), tmp_path, corpus)
    changed = Corpus(corpus.forget, (*corpus.retain[:-1], person("kept", 99)), corpus.twins)
    assert make_lock(plan(tmp_path), tmp_path, people()).digest == first.digest
    assert make_lock(plan(tmp_path), tmp_path, changed).digest != first.digest


def test_a_laboratory_of_another_release_shares_nobody(tmp_path):
    releases = [
        make_lock(plan(tmp_path, laboratory={"subject": "tiny", "release": r}), tmp_path)
        for r in ("int4", "full")
    ]
    lists = [lock.content["lists"] for lock in releases]
    assert all(lists[0][side] != lists[1][side] for side in ("forget", "retain"))


# -- what is refused ---------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"candidates": ["npo", "npo()"]}, "E113"),
        ({"attacks": ["none", "none"]}, "E113"),
        ({"attacks": ["quantize(int4)"]}, "E114"),
        ({"candidates": ["npoo"]}, "E110"),
        ({"candidates": ["npo(bta=1)"]}, "E112"),
        ({"candidates": ["npo("]}, "E111"),
        ({"attacks": ["none", "quantise(int4)"]}, "E110"),
        ({"attacks": ["none", "quantize(int1)"]}, "E112"),
        ({"loss": {"primary": ["above_twins"]}}, "E405"),  # the tiny laboratory has no twins
    ],
)
def test_a_plan_that_cannot_be_run_is_not_locked(tmp_path, change, code):
    assert code_of(make_lock, plan(tmp_path, **change), tmp_path) == code


def test_a_list_without_secrets_has_nothing_to_recover(tmp_path):
    facts = Corpus(
        *(
            tuple(Subject(s.subject, s.probes[1:]) for s in people().side(side))
            for side in ("forget", "retain")
        )
    )
    assert code_of(make_lock, plan(tmp_path), tmp_path, facts) == "E405"


# -- the file ---------------------------------


def test_what_is_read_back_is_what_was_locked(tmp_path, locked):
    made, found = make_lock(plan(tmp_path), tmp_path), read_lock(locked)
    assert (found.content, found.plan, found.project) == (made.content, made.plan, made.project)
    assert found.digest == made.digest


def test_locking_the_same_plan_again_changes_nothing(tmp_path, locked):
    before = (locked / "lock.json").read_bytes()
    write_lock(locked, make_lock(plan(tmp_path), tmp_path))
    assert (locked / "lock.json").read_bytes() == before
    assert [p.name for p in locked.iterdir()] == ["lock.json"]


def test_another_plan_in_the_same_directory_is_an_integrity_error(tmp_path, locked):
    before = (locked / "lock.json").read_bytes()
    with pytest.raises(AuditError) as caught:
        write_lock(locked, make_lock(plan(tmp_path, seed=1), tmp_path))
    assert (caught.value.code, caught.value.exit_code) == ("E501", 5)
    assert (locked / "lock.json").read_bytes() == before


def test_a_run_directory_may_move_with_its_project(tmp_path):
    (tmp_path / "a").mkdir()
    write_lock(tmp_path / "a" / "run", make_lock(plan(tmp_path / "a"), tmp_path / "a"))
    shutil.move(tmp_path / "a", tmp_path / "b")
    assert read_lock(tmp_path / "b" / "run").project == tmp_path / "b"


def test_a_folder_without_a_lock_is_no_run_directory(tmp_path):
    assert code_of(read_lock, tmp_path) == "E105"


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", "{}", '{"file_digest": "x"}'])
def test_a_lock_that_is_no_lock_is_damaged(locked, text):
    (locked / "lock.json").write_text(text)
    assert code_of(read_lock, locked) == "E502"


def leaves(value, path=()):
    """Yield the path of every value inside JSON data, inner nodes included."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from leaves(item, (*path, key))


def other(value):
    """Return another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    return (
        {**value, "extra": 1} if isinstance(value, dict) else [*value, 1] if isinstance(value, list) else "x"
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(data=st.data())
def test_any_edit_of_the_lock_is_detected(locked, data):
    target = locked / "lock.json"
    original = target.read_text()
    record = json.loads(original)
    path = data.draw(st.sampled_from([p for p in leaves(record) if p]))
    inside = record
    for key in path[:-1]:
        inside = inside[key]
    if data.draw(st.booleans()) and isinstance(inside, dict):
        del inside[path[-1]]
    else:
        inside[path[-1]] = other(inside[path[-1]])
    try:
        target.write_text(json.dumps(record))
        assert code_of(read_lock, locked) == "E502"
    finally:
        target.write_text(original)


def test_laying_the_file_out_anew_is_no_edit(locked):
    target = locked / "lock.json"
    target.write_text(json.dumps(json.loads(target.read_text())))
    assert read_lock(locked).audit_id


def test_a_plan_that_cannot_conclude_is_not_locked_and_says_how_many_persons_could(tmp_path):
    """Three of forty persons opened: without any failure more than half of the list may still leak."""
    sizes = {"forget": {"tune": 0, "calibrate": 3, "sealed": 37}}
    with pytest.raises(AuditError, match=r"E403.*units are needed"):
        make_lock(plan(tmp_path, sizes=sizes), tmp_path)


def test_a_depth_between_models_of_two_starts_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(AuditError) as caught:
        make_lock(plan(tmp_path, metrics=["patching_depth"]), tmp_path)
    assert caught.value.code == "E291"
    related = {"subject": "smollm2"}
    assert (
        "patching_depth"
        in make_lock(plan(tmp_path, metrics=["patching_depth"], laboratory=related), tmp_path).content[
            "metrics"
        ]
    )
