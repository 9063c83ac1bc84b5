"""When a generation yields an answer: normalised exact match.

SQuAD's normalisation (Rajpurkar et al. 2016, arXiv:1606.05250) without dropping articles, widened to Unicode.
It lives on the lowest floor because importers of foreign logs and the scoring of own models must agree on it.
"""

from __future__ import annotations

import string
import unicodedata

_ASCII_TABLE = str.maketrans("", "", string.punctuation)


def normalise(text: str) -> str:
    """Return ``text`` in NFKC, case-folded, without punctuation and symbols, with single spaces."""
    if text.isascii():  # the common case, an order of magnitude faster
        return " ".join(text.lower().translate(_ASCII_TABLE).split())
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    kept = "".join(c for c in folded if unicodedata.category(c)[0] not in "PS")
    return " ".join(unicodedata.normalize("NFKC", kept).split())


def yields(answer: str, generation: str) -> bool:
    """Return whether the normalised answer stands in the normalised generation at word boundaries.

    An answer that normalises to nothing is never yielded.
    """
    sought = normalise(answer)
    return bool(sought) and f" {sought} " in f" {normalise(generation)} "
