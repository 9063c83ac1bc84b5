"""The four parts are validated together: what does not fit is E120, and no text of a unit is named."""

import dataclasses

import pandas as pd
import pytest

from audit.core.errors import AuditError


def broken(small, **changes):
    with pytest.raises(AuditError) as caught:
        dataclasses.replace(small, **changes)
    assert caught.value.code == "E120"
    return caught.value.cause


def test_a_missing_column_is_named(small):
    assert "rows lacks the columns fold" in broken(small, rows=small.rows.drop(columns="fold"))
    assert "auditable" in broken(small, units=small.units.drop(columns="auditable"))


def test_a_null_value_is_refused_because_absence_is_not_a_value(small):
    rows = small.rows.copy()
    rows.loc[2, "value"] = float("nan")
    assert "1 values are null" in broken(small, rows=rows)


def test_two_values_for_one_key_are_refused(small):
    assert "1 rows repeat a key" in broken(small, rows=pd.concat([small.rows, small.rows.iloc[:1]]))


def test_one_subject_stands_on_one_side_only(small):
    cause = broken(small, units=pd.concat([small.units, small.units.iloc[:1].assign(side="retain")]))
    assert "1 subjects stand in units twice" in cause


@pytest.mark.parametrize(("column", "word"), [("side", "holdout"), ("split", "val")])
def test_words_outside_the_vocabulary_are_refused(small, column, word):
    assert word in broken(small, units=small.units.assign(**{column: word}))


def test_rows_about_strangers_are_refused(small):
    assert "1 subjects" in broken(small, units=small.units.iloc[:1])
    assert "2 probes" in broken(small, probes=small.probes[small.probes["probe"] == "a"])
    assert "1 metrics" in broken(small, header={**small.header, "metrics": small.header["metrics"][:1]})
    assert "1 configurations" in broken(small, header={**small.header, "configurations": []})


def test_a_header_of_another_schema_or_with_gaps_is_refused(small):
    assert "schema 0" in broken(small, header={**small.header, "schema_version": 0})
    header = {key: value for key, value in small.header.items() if key != "coverage"}
    assert "coverage" in broken(small, header=header)


def test_an_unknown_state_or_role_is_refused(small):
    cell = {**small.header["coverage"][0], "state": "fine"}
    assert "fine" in broken(small, header={**small.header, "coverage": [cell]})
    item = {**small.header["configurations"][0], "role": "gold"}
    assert "gold" in broken(small, header={**small.header, "configurations": [item]})
