"""What a person is called, read off the questions about them: nothing else in the data says it."""

from __future__ import annotations

from collections.abc import Sequence

from audit.data.records import Probe

THIS_PERSON = "this person"
_MARKS = "?.,:;!()\"'“”¿¡"


def name_in(siblings: Sequence[Probe]) -> str | None:
    """Return the longest run of words that stands in every text asked about a person, or None.

    Texts are questions and their second wordings, two at least. A name begins and ends with a capital or a digit and
    does not open a question, where any word is a capital.
    """
    asked = {text for p in siblings for text in (p.question, *p.paraphrased_questions)}
    texts = sorted(asked, key=lambda text: (len(text), text))
    if len(texts) < 2:
        return None
    others = [f" {' '.join(_words(text))} " for text in texts[1:]]
    for run in _runs(_words(texts[0])):
        if all(f" {run} " in other for other in others):
            return run
    return None


def anonymous(question: str, name: str) -> str:
    """Return the question with ``this person`` in the name's place."""
    return question.replace(name, THIS_PERSON)


def _words(text: str) -> list[str]:
    """Return the words but the first, without punctuation around them and possessive endings."""
    words = (word.strip(_MARKS) for word in text.split()[1:])
    return [word.removesuffix("'s").removesuffix("’s") for word in words]


def _runs(words: Sequence[str]) -> list[str]:
    """Return runs of words that begin and end like a name, longest first, earlier ones before later ones."""
    ends = [i for i, word in enumerate(words) if word[:1].isupper() or word[:1].isdigit()]
    runs = [(first, last) for first in ends for last in ends if first <= last]
    return [" ".join(words[a : b + 1]) for a, b in sorted(runs, key=lambda run: (run[0] - run[1], run[0]))]
