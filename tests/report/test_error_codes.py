"""The generated list of error codes holds every code of the package and says what its errors say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import audit
from audit.core.errors import AuditError
from audit.report.error_codes import codes_named, codes_table
from audit.risk import losses

SOURCE = '''
from audit.core.errors import AuditError

def first(n, folder):
    """Do it; E903 where the list is empty."""
    cause = f"{n} of {folder} files are {folder.name}{n}"
    if n:
        raise AuditError("E901", cause, "write " + f"{n} again")
    cause = "another one"
    if folder:
        raise AuditError("E902" if n else "E901", cause, "mend it" if n else "drop it")
    def inner():
        raise AuditError("E904", "from inside", remedy_of(n))
    raise AuditError("E903", "; ".join(folder), "fill it")

RECORDED = {"code": "E905", "cause": "it died", "remedy": "run again", "more": 1}
NO_CODE = {"code": "x", "cause": "y"}
'''


def test_every_code_in_the_package_stands_in_the_table():
    listed = [row["code"] for row in codes_table()]
    assert listed == sorted(set(listed))
    assert set(listed) == codes_named()


def test_gaps_choices_names_and_records_are_read(tmp_path):
    (tmp_path / "module.py").write_text(SOURCE)
    found = {row["code"]: (row["cause"], row["remedy"]) for row in codes_table(tmp_path)}
    assert found == {
        "E901": ("… of … files are … · another one", "write … again · mend it · drop it"),
        "E902": ("another one", "mend it · drop it"),
        "E903": ("the list is empty", "fill it"),
        "E904": ("from inside", ""),
        "E905": ("it died", "run again"),
    }


def test_a_code_that_is_named_but_never_raised_is_noticed(tmp_path):
    (tmp_path / "module.py").write_text('WORST = {"reference": ("E906", "do this")}\n')
    assert codes_named(tmp_path) == {"E906"}
    assert codes_table(tmp_path) == []


def test_the_table_says_what_a_raised_error_says():
    with pytest.raises(AuditError) as caught:
        losses.twin_rank(10, 0.01)
    (row,) = [row for row in codes_table() if row["code"] == caught.value.code]
    gapped = row["cause"].split("…")
    assert all(part in caught.value.cause for part in gapped)
    assert "use at least … twins" in row["remedy"]


@pytest.mark.parametrize(
    "folder", ["measurements/importers", "data", "plan", "attacks", "methods/grammar.py"]
)
def test_what_a_user_wrote_or_brought_is_never_called_a_run_error(folder):
    """E3xx ends with exit code 4; bad input ends with 2."""
    place = Path(audit.__file__).parent / folder
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    assert files
    assert [path.name for path in files if re.search(r'"E3\d\d"', path.read_text(encoding="utf-8"))] == []
