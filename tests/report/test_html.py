import dataclasses
import functools
import re
import xml.etree.ElementTree as ET

import pytest

from audit.evidence.certificate import Verdict
from audit.report import reading, wording
from audit.report.html import render

FORBIDDEN_WORDS = ("erased", "anonymous", "compliant", "certified forgotten")
LIMIT = 1_000_000  # bytes


@pytest.fixture(scope="module")
def page(pages) -> str:
    return pages(Verdict.PASS)


@pytest.fixture(scope="module")
def pages(judged):
    """Return the page of a verdict, rendered once."""
    return functools.cache(lambda verdict: render(judged(verdict)))


def elements(page: str) -> ET.Element:
    # Named entities of HTML are not used, so the page is XML after its doctype.
    return ET.fromstring(page.removeprefix("<!DOCTYPE html>"))


def text_of(page: str) -> str:
    body = elements(page).find("body")
    assert body is not None
    return re.sub(r"\s+", " ", "".join(body.itertext()))


def test_the_page_runs_no_script_and_fetches_nothing(page):
    assert "<script" not in page.lower()
    assert "http://" not in page
    assert "https://" not in page
    assert "javascript:" not in page.lower()
    assert not re.search(r"\son[a-z]+=", page)
    assert not re.search(r"@import|url\((?!#)", page)
    for element in elements(page).iter():
        for name in ("src", "href", "data", "action"):
            assert element.get(name, "#").startswith("#")


def test_the_page_is_well_formed_and_its_identifiers_are_unique(page):
    identifiers = [e.get("id") for e in elements(page).iter() if e.get("id")]
    assert len(identifiers) == len(set(identifiers))


def test_every_reference_inside_the_page_has_a_target(page):
    identifiers = {e.get("id") for e in elements(page).iter()}
    targets = set(re.findall(r'href="#([^"]+)"', page)) | set(re.findall(r"url\(#([^)]+)\)", page))
    assert targets
    assert targets <= identifiers


def test_the_same_certificate_gives_the_same_bytes(certificate, page):
    assert render(certificate) == page


def test_the_size_stays_below_a_megabyte_with_a_hundred_configurations(certificate):
    many = tuple(
        dataclasses.replace(item, label=f"{item.label} #{copy}")
        for copy in range(7)
        for item in certificate.configurations
    )[:100]
    large = dataclasses.replace(certificate, configurations=many, family_size=100)
    assert len(render(large).encode()) < LIMIT


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_printed_verdict_is_the_certificates(pages, verdict):
    page = pages(verdict)
    card = next(e for e in elements(page).iter() if e.get("class") == "verdict")
    assert "".join(card.itertext()) == f"{wording.MARKS[verdict]} {verdict}"


@pytest.mark.parametrize("verdict", list(Verdict))
def test_words_that_promise_too_much_never_stand_in_the_page(pages, verdict):
    page = pages(verdict).lower()
    assert [word for word in FORBIDDEN_WORDS if word in page] == []


def test_every_configuration_stands_with_its_label_cur_and_verdict(certificate, page):
    rows = [
        "".join(row.itertext())
        for section in elements(page).iter("section")
        if section.get("id") == "configurations"
        for row in section.iter("tr")
        if row.get("class") == "first"
    ]
    for item, row in zip(certificate.configurations, rows, strict=True):
        assert item.label in row
        assert wording.percent_up(item.cur) in row
        assert str(item.verdict) in row
        assert item.checkpoint[:12] in row


def test_sentences_and_what_is_not_said_stand_word_for_word(certificate, page):
    told = text_of(page)
    for sentence in (*certificate.sentences, *certificate.not_said):
        assert sentence in told


def test_lock_audit_and_full_checkpoints_stand_in_the_provenance(certificate, page):
    told = text_of(page)
    for value in (
        certificate.lock_digest,
        certificate.audit_id,
        *(c.checkpoint for c in certificate.configurations),
    ):
        assert value in told


def test_every_figure_has_a_title_a_description_and_a_caption(page):
    figures = list(elements(page).iter("figure"))
    assert len(figures) == 4  # CUR, plane, attack map, doses of relearning
    for figure in figures:
        svg = figure.find("svg")
        assert svg is not None
        named = (svg.get("aria-labelledby") or "").split()
        assert [e.get("id") for e in (svg.find("title"), svg.find("desc")) if e is not None] == named
        assert all("".join(e.itertext()).strip() for e in (*svg.iter("title"), *svg.iter("desc")))
        assert figure.find("figcaption") is not None


def test_the_text_of_figures_stays_text(page):
    assert "forgetting risk, worst attack (%)" in text_of(page)


def test_markup_in_a_title_is_escaped(certificate):
    page = render(dataclasses.replace(certificate, title="<script>alert(1)</script> & more"))
    assert "<script" not in page
    assert "alert(1)" in text_of(page)


def test_a_missing_control_is_announced_as_uncontrolled(page, judged):
    assert "Uncontrolled." not in page
    bare = dataclasses.replace(judged(Verdict.INCONCLUSIVE), missing_controls=("original",), controls=())
    told = text_of(render(bare))
    assert "Uncontrolled." in told
    assert "Not measured: original." in told


def test_a_failed_measurement_is_said_and_never_shown_as_a_number(pages):
    told = text_of(pages(Verdict.RUN_ERROR))
    assert "run failed: E301" in told


def test_an_audit_without_candidates_still_renders(certificate):
    empty = dataclasses.replace(
        certificate,
        configurations=(),
        references=(),
        sentences=(),
        family_size=0,
        verdict=Verdict.INCONCLUSIVE,
    )
    assert "0 of 0 configurations" in text_of(render(empty)).replace(wording.SPACE, " ")


def test_a_census_names_no_confidence_in_its_headline(certificate):
    census = dataclasses.replace(certificate, estimand="census")
    assert "confidence" not in reading.headline(census)
    assert "census" in reading.headline(census)


def test_every_reason_of_a_refusal_is_printed(certificate, page):
    told = text_of(page)
    for item in certificate.configurations:
        assert all(reason in told for reason in (*item.reasons, *item.vetoes))
