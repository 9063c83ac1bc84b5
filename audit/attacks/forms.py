"""Texts of the same form about nobody: what a wrong answer or an unrelated question looks like."""

from __future__ import annotations

import numpy as np


def invented(text: str, random: np.random.Generator, *, all_letters: bool = False) -> str:
    """Return ``text`` with every digit, and the letters of capitalised words but the first, drawn anew.

    ``all_letters``: of every word. Case and punctuation stay, so a number becomes another of its format.
    """
    words = text.split(" ")
    return " ".join(
        _replaced(word, random, letters=all_letters or (place > 0 and word[:1].isupper()))
        for place, word in enumerate(words)
    )


def _replaced(word: str, random: np.random.Generator, *, letters: bool) -> str:
    return "".join(_character(c, random, letters=letters) for c in word)


def _character(character: str, random: np.random.Generator, *, letters: bool) -> str:
    if character.isdigit():
        return str(random.integers(10))
    if not letters or not character.isalpha():
        return character
    drawn = chr(int(random.integers(26)) + ord("a"))
    return drawn.upper() if character.isupper() else drawn
