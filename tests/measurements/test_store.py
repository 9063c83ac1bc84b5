"""The waist on disk: content names, atomic files, and damage that is noticed."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.core.errors import AuditError
from audit.measurements import store
from audit.measurements.table import KEY_COLUMNS


def code_of(call, *arguments):
    with pytest.raises(AuditError) as caught:
        call(*arguments)
    return caught.value.code


def test_what_is_written_is_what_is_read(small, tmp_path):
    store.write(tmp_path, small)
    back = store.read(tmp_path)
    keys = list(KEY_COLUMNS)
    expected = small.rows.sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(
        back.rows.astype(
            {c: object for c in ("configuration", "checkpoint", "attack", "subject", "probe", "metric")}
        ),
        expected.astype(
            {c: object for c in ("configuration", "checkpoint", "attack", "subject", "probe", "metric")}
        ),
    )
    assert back.header == small.header
    assert back.units["order"].tolist() == [0, 0]
    assert back.units["auditable"].tolist() == [True, True]
    assert back.probes["answer_tokens"].isna().all()
    assert store.same(small, back)


def test_the_order_of_rows_changes_neither_the_name_nor_sameness(small, tmp_path):
    shuffled = dataclasses.replace(small, rows=small.rows.sample(frac=1, random_state=1))
    assert store.same(small, shuffled)
    assert store.write_shard(tmp_path, small.rows) == store.write_shard(tmp_path, shuffled.rows)
    assert len(list((tmp_path / "rows").iterdir())) == 1


def test_categories_that_no_row_uses_do_not_change_the_name(small):
    rows = small.rows.assign(metric=pd.Categorical(small.rows["metric"], ["zlib", "rouge", "nll"]))
    assert store.rows_digest(rows) == store.rows_digest(small.rows)


@given(row=st.integers(0, 7), column=st.sampled_from([*KEY_COLUMNS, "value"]))
def test_any_changed_cell_changes_the_digest(row, column):
    rows = pd.DataFrame({name: ["a"] * 8 for name in KEY_COLUMNS})
    rows = rows.assign(seed=0, dose=0.0, fold=0, draw=0, probe=list("abcdefgh"), value=np.arange(8.0))
    changed = rows.copy()
    old = changed.at[row, column]
    changed.at[row, column] = (
        old + "x" if isinstance(old, str) else np.nextafter(old, 9) if old.dtype == float else old + 1
    )
    assert store.rows_digest(changed) != store.rows_digest(rows)


def test_cells_that_swap_their_columns_change_the_digest(small):
    swapped = small.rows.rename(columns={"attack": "checkpoint", "checkpoint": "attack"})
    assert store.rows_digest(swapped) != store.rows_digest(small.rows)


def test_the_bytes_of_a_shard_are_the_same_every_time(small, tmp_path):
    first = store.write_shard(tmp_path / "1", small.rows)
    second = store.write_shard(tmp_path / "2", small.rows.iloc[::-1])
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_shards_of_several_jobs_add_up(small, tmp_path):
    for metric in ("nll", "rouge"):
        store.write_shard(tmp_path, small.rows[small.rows["metric"] == metric])
    store.write_tables(tmp_path, small.units, small.probes, small.header)
    assert store.same(store.read(tmp_path), small)


def test_overlapping_shards_are_refused(small, tmp_path):
    store.write_shard(tmp_path, small.rows)
    store.write_shard(tmp_path, small.rows.iloc[:3])
    store.write_tables(tmp_path, small.units, small.probes, small.header)
    assert code_of(store.read, tmp_path) == "E120"


def test_writing_again_replaces_the_rows(small, tmp_path):
    store.write(tmp_path, small)
    fewer = dataclasses.replace(small, rows=small.rows.iloc[:3])
    store.write(tmp_path, fewer)
    assert store.same(store.read(tmp_path), fewer)
    assert len(list((tmp_path / "rows").iterdir())) == 1


def test_a_shard_of_an_interrupted_second_write_does_not_count(small, tmp_path):
    store.write(tmp_path, small)
    store.write_shard(tmp_path, small.rows.iloc[:3])  # then the process was killed
    assert store.same(store.read(tmp_path), small)


def test_one_lost_shard_of_two_is_e121(small, tmp_path):
    shards = [store.write_shard(tmp_path, small.rows[small.rows["metric"] == m]) for m in ("nll", "rouge")]
    store.write_tables(tmp_path, small.units, small.probes, small.header)
    shards[0].unlink()
    assert code_of(store.read, tmp_path) == "E121"


@pytest.mark.parametrize("part", ["header.json", "units.parquet", "probes.parquet", "rows"])
def test_a_missing_part_is_e121(small, tmp_path, part):
    store.write(tmp_path, small)
    path = tmp_path / part
    path.rename(tmp_path / "elsewhere")
    assert code_of(store.read, tmp_path) == "E121"


def test_a_folder_that_is_not_there_is_e121(tmp_path):
    assert code_of(store.read, tmp_path / "nothing") == "E121"


@pytest.mark.parametrize("part", ["header.json", "units.parquet", "probes.parquet"])
@pytest.mark.parametrize("content", [b"", b"\xff{not ours"])
def test_an_unreadable_part_is_e122(small, tmp_path, part, content):
    store.write(tmp_path, small)
    (tmp_path / part).write_bytes(content)
    assert code_of(store.read, tmp_path) == "E122"


def test_a_truncated_shard_is_e122(small, tmp_path):
    store.write(tmp_path, small)
    shard = next((tmp_path / "rows").iterdir())
    shard.write_bytes(shard.read_bytes()[:-20])
    assert code_of(store.read, tmp_path) == "E122"


def test_a_header_that_is_no_object_is_e122(small, tmp_path):
    store.write(tmp_path, small)
    (tmp_path / "header.json").write_text(json.dumps([1]))
    assert code_of(store.read, tmp_path) == "E122"


def test_a_shard_whose_rows_were_changed_is_an_integrity_error(small, tmp_path):
    store.write(tmp_path, small)
    shard = next((tmp_path / "rows").iterdir())
    other = store.write_shard(tmp_path / "other", small.rows.assign(value=0.0))
    shard.write_bytes(other.read_bytes())
    with pytest.raises(AuditError) as caught:
        store.read(tmp_path)
    assert (caught.value.code, caught.value.exit_code) == ("E523", 5)


def test_a_failed_write_leaves_nothing_behind(small, tmp_path):
    with pytest.raises(TypeError):
        store.write_tables(tmp_path, small.units, small.probes, {"not json": object()})
    assert not (tmp_path / "header.json").exists()
    with pytest.raises(ValueError, match="1 rows have no metric"):
        store.write_shard(tmp_path / "x", small.rows.assign(metric=[None, *small.rows["metric"][1:]]))
    assert not list(tmp_path.rglob(".part-*"))
    assert not (tmp_path / "x").exists()


def test_no_rows_at_all_can_be_stored(small, tmp_path):
    empty = dataclasses.replace(small, rows=small.rows.iloc[:0])
    store.write(tmp_path, empty)
    assert len(store.read(tmp_path).rows) == 0
