"""The numbers behind each chart as rows of text: its twin for whoever cannot or will not look at pictures."""

from __future__ import annotations

from audit.evidence.certificate import Certificate, ConfigurationResult
from audit.evidence.exhibit import Exhibit
from audit.report import reading, wording

Rows = list[dict[str, str]]


def configurations(certificate: Certificate) -> Rows:
    """One row per candidate, in the order of the plan."""
    return [
        {
            "No.": str(number),
            "configuration": item.label,
            "verdict": mark(item),
            "CUR (worst attack)": wording.cur(item),
            "unattacked": wording.measured(reading.unattacked(item)),
            wording.words(certificate.utility_loss): wording.measured(reading.utility(item)),
            "p": wording.p_value(item.p_value),
            "why": _first(wording.why(certificate, item)),
        }
        for number, item in reading.numbered(certificate)
    ]


def reasons(certificate: Certificate) -> Rows:
    """Every reason of every candidate that is not listed."""
    return [
        {"No.": str(number), "configuration": item.label, "why": reason}
        for number, item in reading.numbered(certificate)
        for reason in wording.why(certificate, item)
    ]


def plane(certificate: Certificate) -> Rows:
    """The sides of every rectangle, and the controls."""
    rows = [(str(number), item.label, item) for number, item in reading.numbered(certificate)]
    rows += [("", f"control: {item.role}", item) for item in certificate.references]
    return [
        {
            "No.": number,
            "configuration": name,
            "verdict": mark(item) if number else "",
            "forgetting risk, worst attack": wording.measured(reading.worst(item)),
            "bounds used": wording.interval(*item.rectangle[:2]),
            wording.words(certificate.utility_loss): wording.measured(reading.utility(item)),
        }
        for number, name, item in rows
    ]


def valid(certificate: Certificate, listed: tuple[ConfigurationResult, ...], how: str) -> Rows:
    """The configurations listed at some budget and how they came in."""
    return [
        {
            "No.": str(number),
            "configuration": item.label,
            "checkpoint": wording.digest(item.checkpoint),
            "CUR (worst attack)": wording.cur(item),
            "listed": how,
        }
        for number, item in reading.numbered(certificate)
        if item in listed
    ]


def attacks(certificate: Certificate) -> Rows:
    """One row per attack of the lock."""
    informative = {None: "? not measured on the original", True: "✓ yes", False: "✗ uninformative"}
    return [
        {
            "attack": item.label,
            "tier": item.tier,
            "doses": f"{', '.join(f'{d:g}' for d in item.doses)} {item.dose_unit}"
            if item.attack != "none"
            else "–",
            "informative": informative[item.informative],
            "note": item.note,
            "as locked": item.attack,
        }
        for item in certificate.attacks
    ]


def cells(certificate: Certificate) -> Rows:
    """Estimate and interval of every configuration under every attack and dose."""
    names = [(f"{number}: {item.label}", item) for number, item in reading.numbered(certificate)]
    names += [(f"control: {item.role}", item) for item in certificate.references]
    columns = reading.columns(certificate)
    return [
        {"configuration": name}
        | {c.label: wording.measured(reading.cell(item, c.attack, c.dose)) for c in columns}
        for name, item in names
    ]


def exhibit(item: Exhibit) -> Rows:
    """The table of one exhibit."""
    return [
        {_plain(c.title): wording.value(v, c.kind) for c, v in zip(item.columns, row, strict=True)}
        for row in item.rows
    ]


def _plain(title: str) -> str:
    """Return a column's title as Streamlit shows it word for word: a plus in front would start a list."""
    return f"\\{title}" if title.startswith("+") else title


def controls(certificate: Certificate) -> Rows:
    """One row per control."""
    return [
        {"control": c.name, "expected": c.expectation, "outcome": c.outcome, "detail": c.detail}
        for c in certificate.controls
    ]


def mark(item: ConfigurationResult) -> str:
    """Return a verdict with its mark."""
    return f"{wording.MARKS[item.verdict]}{wording.SPACE}{item.verdict}"


def _first(sentences: tuple[str, ...]) -> str:
    more = f" (and {len(sentences) - 1} more)" if len(sentences) > 1 else ""
    return f"{sentences[0]}{more}" if sentences else ""
