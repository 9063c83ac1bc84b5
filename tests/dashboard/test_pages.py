import dataclasses
import json
import sys

import pytest

from audit.dashboard import check
from audit.dashboard.main import PAGES
from audit.dashboard.serving import MAIN
from audit.dashboard.source import RUN_VARIABLE
from audit.evidence import bundle
from audit.evidence.certificate import Certificate, Verdict
from audit.evidence.exhibit import Column, Exhibit

VIEWS = MAIN.with_name("views")


def cells(table) -> str:
    return table.value.to_string()


def metrics(page) -> dict[str, str]:
    return {m.label: m.value for m in page.metric}


def test_every_file_in_views_is_a_page_of_the_navigation():
    assert {p.name for p in VIEWS.glob("*.py")} == set(PAGES)


def test_check_opens_every_page():
    assert check() == list(PAGES.values())


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("file", PAGES)
def test_every_page_opens_and_shows_the_certificates_verdict(show, certificate, file, verdict):
    page = show(file, dataclasses.replace(certificate, verdict=verdict))
    assert metrics(page)["Verdict"].endswith(str(verdict))


@pytest.mark.parametrize("file", PAGES)
def test_every_page_opens_on_an_audit_without_candidates(show, certificate, file):
    bare = dataclasses.replace(
        certificate,
        configurations=(),
        references=(),
        attacks=(),
        controls=(),
        missing_controls=("original",),
        verdict=Verdict.INCONCLUSIVE,
        family_size=0,
    )
    page = show(file, bare)
    assert any("Uncontrolled" in w.value for w in page.warning)


@pytest.mark.parametrize("file", PAGES)
def test_without_a_run_a_page_says_how_to_name_one(file):
    from streamlit.testing.v1 import AppTest

    page = AppTest.from_file(str(VIEWS / file), default_timeout=60).run()
    assert not page.exception
    assert [t.value for t in page.title] == ["Nothing to show"]
    assert "unlearn-audit dashboard RUN" in page.markdown[0].value


@pytest.mark.parametrize(
    ("content", "code"), [(None, "E109"), ("{", "E510"), ('{"schema_version": 0}', "E510")], ids=str
)
def test_a_missing_or_damaged_bundle_is_a_message_and_no_traceback(tmp_path, monkeypatch, content, code):
    from streamlit.testing.v1 import AppTest

    if content is not None:
        (tmp_path / bundle.FILE).write_text(content)
    monkeypatch.setenv(RUN_VARIABLE, str(tmp_path))
    page = AppTest.from_file(str(VIEWS / "verdict.py"), default_timeout=60).run()
    assert not page.exception
    assert code in page.warning[0].value


def test_the_run_may_be_named_after_the_dashes(tmp_path, monkeypatch, certificate):
    from streamlit.testing.v1 import AppTest

    bundle.write(tmp_path, certificate)
    monkeypatch.setattr(sys, "argv", ["main.py", str(tmp_path)])
    page = AppTest.from_file(str(MAIN), default_timeout=60).run()
    assert not page.exception
    assert page.title[0].value == "Verdict"


def test_the_app_at_the_repositorys_top_opens_the_same_navigation(tmp_path, monkeypatch, certificate):
    from streamlit.testing.v1 import AppTest

    top = MAIN.parents[2] / "app.py"
    bundle.write(tmp_path, certificate)
    monkeypatch.setenv(RUN_VARIABLE, str(tmp_path))
    page = AppTest.from_file(str(top), default_timeout=60).run()
    assert not page.exception
    assert page.title[0].value == "Verdict"


def test_opening_pages_changes_nothing_in_the_run(tmp_path, show, certificate):
    for file in PAGES:
        show(file, certificate)
    assert [p.name for p in tmp_path.iterdir()] == [bundle.FILE]
    assert Certificate.from_json(json.loads((tmp_path / bundle.FILE).read_text())) == certificate


def test_certifying_again_is_seen_at_the_next_look(tmp_path, show, certificate):
    page = show("verdict.py", certificate)
    bundle.write(tmp_path, dataclasses.replace(certificate, verdict=Verdict.INTEGRITY))
    assert metrics(page.run())["Verdict"].endswith("INTEGRITY")


@pytest.mark.parametrize("file", ["risk_utility.py", "configurations.py", "attacks.py"])
def test_every_chart_has_a_text_and_a_table_in_its_place(show, certificate, file):
    page = show(file, certificate)
    charts = page.get("vega_lite_chart") or page.get("arrow_vega_lite_chart")
    assert charts
    assert all("table" in chart.proto.alt for chart in charts)
    assert "first" in cells(page.expander[0].table[0])


def test_controls_are_drawn_in_the_plane(show, certificate):
    page = show("risk_utility.py", certificate)
    assert "control: original" in cells(page.expander[0].table[0])
    chart = (page.get("vega_lite_chart") or page.get("arrow_vega_lite_chart"))[0]
    assert '"original"' in chart.proto.spec


class TestSlider:
    def test_it_starts_at_the_locked_budget_and_marks_what_only_holm_lists(self, show, certificate):
        page = show("configurations.py", certificate)
        assert page.slider[0].value == 10.0
        listed = page.table[0].value.set_index("configuration")["listed"]
        assert dict(listed) == {
            "first": "by its simultaneous CUR",
            "fourth": "by holm, at the locked budgets only",
        }
        assert metrics(page)["Valid at 10\u00a0%"] == "2 of 4"

    @pytest.mark.parametrize(
        ("percent", "labels"), [(6.9, []), (7.0, ["first"]), (10.5, ["first"]), (15.0, None)]
    )
    def test_elsewhere_it_lists_what_the_bounds_allow(self, show, certificate, percent, labels):
        # third and fourth have utility p = 0.001 <= 0.05 / 4, so at 15 % their CURs of 14 % and 11 % count.
        page = show("configurations.py", certificate)
        page.slider[0].set_value(percent).run()
        assert not page.exception
        tables = [t.value for t in page.main.table if "listed" in t.value.columns]
        shown = list(tables[0]["configuration"]) if tables else []
        assert shown == (["first", "third", "fourth"] if labels is None else labels)
        assert shown == [c.label for c in certificate.valid_at(percent / 100)]

    @pytest.mark.parametrize("verdict", [Verdict.INTEGRITY, Verdict.RUN_ERROR])
    def test_an_audit_that_may_not_be_relied_on_lists_nothing(self, show, certificate, verdict):
        refused = tuple(dataclasses.replace(c, in_valid_set=False) for c in certificate.configurations)
        page = show(
            "configurations.py", dataclasses.replace(certificate, configurations=refused, verdict=verdict)
        )
        page.slider[0].set_value(100.0).run()
        assert metrics(page)["Valid at 100\u00a0%"] == "0 of 4"


def test_exhibits_stand_on_their_page_word_for_word(show, certificate):
    """A plus in front of a column's title is not the start of a list."""
    exhibit = Exhibit(
        "tiers",
        "Nested attackers",
        "What they get.",
        (Column("No.", "count"), Column("+ weights", "share")),
        ((1, 0.25),),
    )
    page = show("exhibits.py", dataclasses.replace(certificate, exhibits=(exhibit,)))
    assert "Nested attackers" in {s.value for s in page.subheader}
    (table,) = page.table
    assert list(table.value.columns) == ["No.", "\\+ weights"]
    assert "25.0" in cells(table)
