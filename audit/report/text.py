"""The certificate on a terminal: verdict, one row per configuration, reasons; plain text, 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from audit.evidence.certificate import Certificate, ConfigurationResult
from audit.report import reading, wording

WIDTH = 100
_VERDICT = 14  # "? INCONCLUSIVE"
_CUR = 31  # "100.0 % (relearning, 25 steps)"
_UTILITY = 9  # "≤ 100.0 %"
_GAP = "  "


def lines(certificate: Certificate, width: int = WIDTH) -> list[str]:
    """Return the certificate as lines of at most ``width`` characters.

    One row per configuration: label, CUR with its attack, upper bound of utility harm, verdict; the overall
    verdict and its reasons stand last, where a reader of a terminal looks first.
    """
    label = max(width - _VERDICT - _CUR - _UTILITY - 3 * len(_GAP), 20)
    widths = (label, _CUR, _UTILITY, _VERDICT)
    head = ("configuration", "CUR (worst attack)", "utility", "verdict")
    table = [line for item in certificate.configurations for line in _row(_texts(item), widths)]
    found = [
        *_row(head, widths),
        "─" * min(width, sum(widths) + 3 * len(_GAP)),
        *table,
        "",
        *_wrapped(
            f"{wording.MARKS[certificate.verdict]} {certificate.verdict}: {reading.headline(certificate)}",
            width,
        ),
        *(line for reason in _notes(certificate) for line in _wrapped(f"- {reason}", width)),
    ]
    return [line.replace(wording.SPACE, " ") for line in found]


def _texts(item: ConfigurationResult) -> tuple[str, str, str, str]:
    return (
        item.label,
        wording.cur(item),
        _utility(item),
        f"{wording.MARKS[item.verdict]} {item.verdict}",
    )


def _utility(item: ConfigurationResult) -> str:
    """Return the bound of utility harm; of a candidate given up before everybody was asked the lower one."""
    clause = reading.utility(item)
    if clause is not None and clause.state == "stopped":
        return f"≥ {wording.percent_down(item.utility_lower)}"
    return f"≤ {wording.percent_up(item.utility_upper)}"


def _notes(certificate: Certificate) -> list[str]:
    told = any("uncontrolled" in reason for reason in certificate.reasons)
    missing = [] if told else [f"uncontrolled: {name} not measured" for name in certificate.missing_controls]
    counts = [
        f"confirmed for {item.label}: {k.failures:g} of {k.population} in the worst attack"
        f" ({wording.attack(k.attack, k.dose)})"
        for item in certificate.configurations
        if (k := item.confirmation) is not None and k.exact
    ]
    void = [a.label for a in certificate.attacks if a.informative is False]
    uninformative = [f"uninformative (the original does not fail either): {', '.join(void)}"] if void else []
    return [*certificate.reasons, *missing, *uninformative, *counts]


def _row(texts: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Return one table row; a text too long for its column goes on below, never out of its column."""
    cells = [
        textwrap.wrap(text, width, break_on_hyphens=False) or [""]
        for text, width in zip(texts, widths, strict=True)
    ]
    height = max(map(len, cells))
    padded = [cell + [""] * (height - len(cell)) for cell in cells]
    return [
        _GAP.join(part.ljust(width) for part, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*padded, strict=True)
    ]


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent="  ")
