"""Other answers to the same question: what a model may be taught instead of the truth.

Swapped answers are those of other persons to the same kind of question, read off the keys
("subject/probe/form": same probe, same form), or of anybody where nobody was asked the same. Sampled
answers are the starting model's own, asked to answer with other facts (Mekala et al. COLING 2025,
arXiv:2409.13474).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from audit.core.errors import AuditError
from audit.core.seeds import derive
from audit.models.batches import Example
from audit.models.generation import Decoding, generate
from audit.models.language_model import LanguageModel

SAMPLES = 5  # per question, as published
_REQUEST = "{question} Answer with other, made-up facts than: {answer}"


def swapped(
    examples: Sequence[Example], pool: Sequence[Example], seed: int, samples: int = SAMPLES
) -> dict[str, tuple[str, ...]]:
    """Return, per key, up to ``samples`` different answers from ``pool``, none of them the example's own.

    Raises
    ------
    AuditError: E241 if every answer of the pool is the example's own.

    """
    asked: dict[str, list[Example]] = defaultdict(list)
    for other in pool:
        asked[_kind(other)].append(other)
    made = {}
    for example in examples:
        alike = [other for other in asked[_kind(example)] if other.answer != example.answer]
        seeds = [derive(seed, "swapped", example.key, i) for i in range(samples)]
        drawn = (another(example.answer, alike or pool, one)[1] for one in seeds)
        made[example.key] = tuple(dict.fromkeys(drawn))
    return made


def sampled(
    model: LanguageModel, examples: Sequence[Example], seed: int, samples: int = SAMPLES
) -> dict[str, tuple[str, ...]]:
    """Return, per key, the different answers among ``samples`` draws that do not contain the true one.

    Raises
    ------
    AuditError: E242 if no draw of some question is of use.

    """
    requests = [_REQUEST.format(question=e.question, answer=e.answer) for e in examples]
    decoding = Decoding(max_new_tokens=200, temperature=1.0, samples=samples, seed=derive(seed, "alternates"))
    made = {
        example.key: tuple(
            dict.fromkeys(a for a in answers if a.strip() and example.answer.lower() not in a.lower())
        )
        for example, answers in zip(examples, generate(model, requests, decoding), strict=True)
    }
    if without := sum(not answers for answers in made.values()):
        raise AuditError(
            "E242",
            f"{without} of {len(made)} questions have no other answer in {samples} samples",
            "take alternates=swapped, the answers of other persons",
        )
    return made


def another(answer: str, pool: Sequence[Example], seed: int) -> tuple[int, str]:
    """Return index and answer of a random entry of ``pool`` with another answer; E241 if there is none."""
    start = seed % len(pool) if pool else 0
    for index in (*range(start, len(pool)), *range(start)):
        if pool[index].answer != answer:
            return index, pool[index].answer
    raise AuditError(
        "E241",
        f"none of {len(pool)} retain sequences has another answer than the forgotten one",
        "add retain sequences, or choose a method that needs no other answers",
    )


def _kind(example: Example) -> str:
    return example.key.partition("/")[2]
