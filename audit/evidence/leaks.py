"""The leak check: no output may hold what was to be forgotten.

A hard gate over every file an audit writes. Found are 20 characters in a row, or 8 words in a row, of a
forget record; and whole short texts (secrets, names). Compared are canonical texts (Unicode folded, letters
and digits only), so that case, punctuation, line breaks, tags and escapes hide nothing. Findings are counts
and file names, never the text. Compressed files are read as the bytes they are.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.data.records import Subject

parquet = lazy("pyarrow.parquet")
pa = lazy("pyarrow")

CHARACTERS = 20
WORDS = 8
SHORTEST_NAME = 6  # a shorter subject identifier without a space is an ordinary word or a number
_BETWEEN_WORDS = re.compile(r"[\W_]+")
_TAG = re.compile(r"<[^<>]*>")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|[nrt\"\\/bf])")
_CLAUSE = re.compile(r"[^,.;:?!()\"“”]+")


@dataclass(frozen=True)
class Finding:
    """``count`` separate places of ``path`` overlap with the forget list."""

    path: Path
    count: int


def scan(paths: Iterable[Path], texts: Iterable[str]) -> list[Finding]:
    """Return the files that hold something of ``texts``, in the order given.

    ``paths`` are files, or folders that are searched with everything below them. A text of 20 characters or
    more is found by any 20 of them in a row, or any 8 words; a shorter one as a whole, at word boundaries.
    ``forbidden`` lists the texts of a forget list.
    """
    sought = _Sought.of(texts)
    found = ((path, sum(map(sought.places, _contents(path)))) for path in _files(paths))
    return [Finding(path, count) for path, count in found if count]


def refuse(paths: Iterable[Path], subjects: Iterable[Subject]) -> None:
    """Raise E512 if some output holds a text of ``subjects``; names the files, never the text."""
    findings = scan(paths, forbidden(subjects))
    if findings:
        named = ", ".join(f"{f.path.name} ({f.count})" for f in findings[:5])
        raise AuditError(
            "E512",
            f"{len(findings)} outputs hold forgotten text: {named}",
            "do not pass them on; report this",
        )


def forbidden(subjects: Iterable[Subject]) -> list[str]:
    """Return what no output may hold of the subjects to be forgotten.

    Questions and answers in all wordings, as whole records and by themselves; answers shorter than 20
    characters only where they are secrets, since a short fact is an ordinary word; the subjects' names.
    """
    listed = list(subjects)
    return [text for subject in listed for text in _records(subject)] + _names(listed)


@dataclass(frozen=True)
class _Sought:
    windows: frozenset[str]  # every 20 characters in a row
    phrases: dict[str, tuple[tuple[str, ...], ...]]  # first word -> word sequences shorter than 20 characters

    @classmethod
    def of(cls, texts: Iterable[str]) -> _Sought:
        windows: set[str] = set()
        phrases: set[tuple[str, ...]] = set()
        for text in set(map(canonical, texts)) - {""}:
            words = tuple(text.split(" "))
            windows.update(_windows(text))
            phrases.update(words[i : i + WORDS] for i in range(len(words) - WORDS + 1))
            if len(text) < CHARACTERS:
                phrases.add(words)
        short = sorted(p for p in phrases if len(" ".join(p)) < CHARACTERS)
        first = dict.fromkeys(p[0] for p in short)
        return cls(frozenset(windows), {word: tuple(p for p in short if p[0] == word) for word in first})

    def places(self, text: str) -> int:
        """Return how many separate places of a canonical text overlap."""
        return _runs([window in self.windows for window in _windows(text)]) + self._phrases_in(
            text.split(" ")
        )

    def _phrases_in(self, words: Sequence[str]) -> int:
        return sum(
            tuple(words[i : i + len(phrase)]) == phrase
            for i, word in enumerate(words)
            if word in self.phrases
            for phrase in self.phrases[word]
        )


def canonical(text: str) -> str:
    """Return ``text`` in NFKC and case-folded, with single spaces for everything but letters and digits."""
    folded = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return _BETWEEN_WORDS.sub(" ", folded.casefold()).strip()


def _windows(text: str) -> Iterator[str]:
    return (text[i : i + CHARACTERS] for i in range(len(text) - CHARACTERS + 1))


def _runs(hits: Sequence[bool]) -> int:
    return sum(hit and not before for before, hit in zip([False, *hits], hits, strict=False))


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def _contents(path: Path) -> list[str]:
    """Return the canonical texts of one file: as it stands, and without tags and escapes."""
    if path.suffix == ".parquet":
        return [canonical("\n".join(_parquet_strings(path)))]
    raw = path.read_text(encoding="utf-8", errors="replace")
    plain = html.unescape(_TAG.sub("", _ESCAPE.sub(_unescaped, raw)))
    return [canonical(raw)] if plain == raw else list(dict.fromkeys((canonical(raw), canonical(plain))))


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 16)) if match[1] else " "


def _parquet_strings(path: Path) -> Iterator[str]:
    """Yield column names, metadata and the distinct values of every column but floats, nested ones too."""
    file = parquet.ParquetFile(path)
    yield from file.schema_arrow.names
    for key, value in (file.schema_arrow.metadata or {}).items():
        yield from (key.decode("utf-8", "replace"), value.decode("utf-8", "replace"))
    for batch in file.iter_batches():
        for column in batch.columns:
            if not _is_number(column.type):
                yield from map(str, _distinct(column))


def _distinct(column: Any) -> Iterable[Any]:
    """Return the distinct values of a column; Arrow cannot tell nested ones apart, those come as they stand."""
    return column.to_pylist() if pa.types.is_nested(column.type) else column.unique().to_pylist()


def _is_number(kind: object) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)


def _records(subject: Subject) -> Iterator[str]:
    for probe in subject.probes:
        worded = (text for _, text in probe.wordings)
        for question in (probe.question, *probe.paraphrased_questions, *worded):
            yield f"{question} {probe.answer}"
        for answer in (probe.answer, probe.paraphrased_answer or ""):
            if probe.kind == "secret" or len(canonical(answer)) >= CHARACTERS:
                yield answer


def _names(subjects: Sequence[Subject]) -> list[str]:
    """Return identifiers that read like names, and the capitalised words that all of one's questions share.

    A sequence that several subjects share (a place, a language) is nobody's name.
    """
    own = [_shared_capitals(subject) for subject in subjects]
    owners: dict[str, int] = {}
    for names in own:
        for name in names:
            owners[name] = owners.get(name, 0) + 1
    identifiers = [
        s.subject for s in subjects if " " in canonical(s.subject) or len(s.subject) >= SHORTEST_NAME
    ]
    return identifiers + [name for names in own for name in names if owners[name] == 1]


def _shared_capitals(subject: Subject) -> list[str]:
    """Return runs of two or more capitalised words that stand in at least half of the questions."""
    counts: dict[str, int] = {}
    for probe in subject.probes:
        for name in dict.fromkeys(_capitals(probe.question)):
            counts[name] = counts.get(name, 0) + 1
    return [name for name, count in counts.items() if 2 * count >= len(subject.probes)]


def _capitals(question: str) -> Iterator[str]:
    """Yield them; a question's first word is a capital by grammar, so a sequence is given without it too."""
    for part in _CLAUSE.findall(question):
        sequence: list[str] = []
        for word in [*part.split(), ""]:
            if word[:1].isupper():
                sequence.append(word)
                continue
            first = bool(sequence) and question.startswith(sequence[0])
            for kept in (sequence, sequence[1:] if first else []):
                if len(kept) > 1:
                    yield " ".join(kept).removesuffix("'s").removesuffix("’s")
            sequence = []
