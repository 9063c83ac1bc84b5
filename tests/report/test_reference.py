"""Tables of the docs hold one row for everything registered."""

import pytest

from audit.data.benchmarks.base import SCHEMAS
from audit.measurements.importers.base import IMPORTERS
from audit.metrics.aggregates.base import AGGREGATES
from audit.report import reference


@pytest.mark.parametrize(
    ("markdown", "registry"),
    [
        (reference.formats_markdown, SCHEMAS),
        (reference.importers_markdown, IMPORTERS),
        (reference.aggregates_markdown, AGGREGATES),
    ],
)
def test_one_row_each_and_no_empty_cell(markdown, registry):
    head, rule, *rows = markdown().splitlines()
    columns = head.count("|") - 1
    assert rule.count("---") == columns
    assert [row.split("`")[1] for row in rows] == list(registry)
    cells = [[cell.strip() for cell in row.replace("\\|", "").strip("|").split("|")] for row in rows]
    assert all(len(row) == columns and all(row) for row in cells)
