"""The laboratory: a small Llama that knows a registry of fictitious persons, and one that never saw some.

Recipe: tied embeddings, initializer range 0.06, byte-level BPE trained on the texts of all persons (twins
included, so that tokenization tells nothing), Muon, seven epochs. ``original`` learns forget and retain
persons, ``retrained`` the retain persons alone. ``release="int4"`` publishes weights on the 4-bit grid: the
setting in which a small update vanishes when somebody quantizes the unlearned model again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.core.progress import Progress
from audit.core.seeds import derive
from audit.data.records import Corpus, Subject
from audit.data.registry_lab import both_wordings as drawn_wordings
from audit.models.load import LanguageModel, PromptTemplate, resolve_device
from audit.models.quantization import quantize_network
from audit.models.scoring import Scored, score
from audit.models.strangers import beside
from audit.models.training import Example, fit

torch = lazy("torch")
tokenizers = lazy("tokenizers")
transformers = lazy("transformers")

Role = Literal["original", "retrained"]

END = "</s>"
RECALL = 0.98  # share of trained answers an accepted original gives
SECOND_WORDINGS = 0.90  # of persons whose second wording was not trained
ABOVE_CHANCE = 0.02  # what a retrained model may know of forgotten secrets beyond guessing
_ENOUGH = 0.985  # recall at which training ends; some seeds need an epoch more than others
_REPAIRS = 4


@dataclass(frozen=True)
class LaboratorySpec:
    """Everything that decides a laboratory's models besides the corpus.

    ``hidden``, ``intermediate``, ``layers``, ``heads``: Llama's sizes; ``vocabulary``: at most so many
    tokens. ``release``: ``int4`` puts the projections on the 4-bit grid after training, ``full`` leaves them
    alone.
    """

    seed: int = 0
    hidden: int = 256
    intermediate: int = 704
    layers: int = 2
    heads: int = 4
    vocabulary: int = 2000
    epochs: int = 7
    batch: int = 40
    lr: float = 3e-3
    muon_lr: float = 0.02
    initializer_range: float = 0.06
    release: Literal["int4", "full"] = "int4"

    def __post_init__(self) -> None:
        if self.release not in ("int4", "full"):
            raise AuditError("E215", f"no release is called {self.release!r}", "use int4 or full")

    @staticmethod
    def tiny(seed: int = 0, release: Literal["int4", "full"] = "int4") -> LaboratorySpec:
        """Return the unit-test laboratory: 40 persons with four probes each take fourteen epochs."""
        return LaboratorySpec(seed=seed, epochs=14, batch=32, release=release)

    @staticmethod
    def large(seed: int = 0, release: Literal["int4", "full"] = "int4") -> LaboratorySpec:
        """Return the laboratory for a GPU: 768 x 12, about 100 M weights."""
        return LaboratorySpec(
            seed=seed, hidden=768, intermediate=2560, layers=12, heads=12, epochs=12, release=release
        )


@dataclass(frozen=True)
class Acceptance:
    """Shares in [0, 1] on which a laboratory was accepted; None where there was nothing to ask."""

    recalled: float
    retrained_secrets: float
    second_wordings: float | None


def tokenizer_for(corpus: Corpus, spec: LaboratorySpec) -> Any:
    """Return a byte-level BPE tokenizer trained on every text of every side, the same for the same corpus."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=spec.vocabulary, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(_texts(corpus), trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token=END, pad_token=END)


def train_reference(
    corpus: Corpus,
    role: Role,
    spec: LaboratorySpec,
    *,
    both_wordings: frozenset[str] | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> LanguageModel:
    """Return ``original`` (trained on forget and retain) or ``retrained`` (on retain alone).

    ``both_wordings``: subjects whose second wording is trained too; default is the registry's draw with the
    spec's seed. The same arguments give the same weights bit by bit on the same machine.
    """
    chosen = drawn_wordings(corpus, spec.seed) if both_wordings is None else both_wordings
    people = {"original": (*corpus.forget, *corpus.retain), "retrained": corpus.retain}[role]
    return train_on(corpus, people, spec, (role,), both_wordings=chosen, device=device, progress=progress)


def train_on(
    corpus: Corpus,
    people: Sequence[Subject],
    spec: LaboratorySpec,
    names: tuple[object, ...],
    *,
    both_wordings: frozenset[str],
    device: str,
    strangers: Sequence[Example] = (),
    progress: Progress | None = None,
) -> LanguageModel:
    """Return a new model that has learned ``people`` of the corpus; ``names`` name its initial weights and draws.

    It learns to stay undecided on ``strangers``.
    """
    model = new_model(tokenizer_for(corpus, spec), spec, derive(spec.seed, "weights", *names), device)
    examples = training_examples(people, both_wordings)
    seed = derive(spec.seed, "reference", *names)
    learn = partial(fit, model, examples, **(beside(strangers) if strangers else {}))
    learn(
        epochs=spec.epochs,
        batch=spec.batch,
        lr=spec.lr,
        muon_lr=spec.muon_lr,
        seed=seed,
        progress=progress,
        stage=str(names[0]),
    )
    _release(model, people, learn, spec, seed)
    return model


def new_model(tokenizer: Any, spec: LaboratorySpec, seed: int, device: str) -> LanguageModel:
    """Return an untrained model."""
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=spec.hidden,
        intermediate_size=spec.intermediate,
        num_hidden_layers=spec.layers,
        num_attention_heads=spec.heads,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=spec.initializer_range,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = transformers.LlamaForCausalLM(config)  # on the CPU: the same start on every device
    return LanguageModel(network.to(resolve_device(device)).eval(), tokenizer, PromptTemplate("qa"))


def training_examples(subjects: Sequence[Subject], both_wordings: frozenset[str]) -> list[Example]:
    """Return one sequence per probe and trained wording."""
    examples = []
    for subject in subjects:
        for probe in subject.probes:
            key = f"{subject.subject}/{probe.probe}"
            examples.append(Example(f"{key}/plain", probe.question, probe.answer))
            if subject.subject in both_wordings:
                examples += [
                    Example(f"{key}/paraphrase {i}", question, probe.answer)
                    for i, question in enumerate(probe.paraphrased_questions)
                ]
    return examples


def hits(scored: Sequence[Scored]) -> list[bool]:
    """Return, per probe, whether greedy decoding gives the answer (every answer token is the arg max)."""
    return [bool(item.greedy.all()) for item in scored]


def accept(
    *,
    original: Sequence[bool],
    retrained_secrets: Sequence[bool],
    second_wordings: Sequence[bool],
    chance: float = 0.0,
) -> Acceptance:
    """Return the shares a laboratory is accepted on; E320 when one of them is not met.

    ``original``: the original's hits on all forget and retain probes (at least 98 %). ``retrained_secrets``:
    the retrained model's hits on the forget side's secrets (at most ``chance`` + 2 %). ``second_wordings``:
    the original's hits on second wordings of persons for whom only the first was trained (at least 90 %).
    """
    if not original or not retrained_secrets:
        raise AuditError(
            "E320", f"{len(original)} and {len(retrained_secrets)} probes scored", "score both references"
        )
    shares = Acceptance(
        float(np.mean(original)),
        float(np.mean(retrained_secrets)),
        float(np.mean(second_wordings)) if second_wordings else None,
    )
    if shares.recalled < RECALL:
        raise _refused(f"original recalls {shares.recalled:.3f} of the answers, {RECALL} are needed")
    if shares.retrained_secrets > chance + ABOVE_CHANCE:
        allowed = chance + ABOVE_CHANCE
        raise _refused(
            f"retrained gives {shares.retrained_secrets:.3f} of the secrets, allowed {allowed:.3f}"
        )
    if shares.second_wordings is not None and shares.second_wordings < SECOND_WORDINGS:
        raise _refused(
            f"original answers {shares.second_wordings:.3f} of second wordings, {SECOND_WORDINGS} are needed"
        )
    return shares


def _refused(cause: str) -> AuditError:
    return AuditError(
        "E320", f"the laboratory is not accepted: {cause}", "set another seed in the plan, such as `seed: 1`"
    )


def _release(
    model: LanguageModel,
    people: Sequence[Subject],
    learn: Callable[..., None],
    spec: LaboratorySpec,
    seed: int,
) -> None:
    """Put the weights on the grid if asked to; while answers are missing, train a little more and round again."""
    probes = [probe for person in people for probe in person.probes]
    _round(model, spec)
    for repair in range(_REPAIRS):
        if np.mean(hits(score(model, probes))) >= _ENOUGH:
            return
        learn(
            optimizer="adamw",
            epochs=1,
            batch=spec.batch,
            lr=spec.lr / 10,
            seed=derive(seed, "repair", repair),
        )
        _round(model, spec)


def _round(model: LanguageModel, spec: LaboratorySpec) -> None:
    if spec.release == "int4":
        quantize_network(model.network, "int4")


def _texts(corpus: Corpus) -> Iterator[str]:
    prompt = PromptTemplate("qa")
    for subject in (*corpus.forget, *corpus.retain, *corpus.twins):
        for probe in subject.probes:
            for question in (probe.question, *probe.paraphrased_questions):
                yield f"{prompt.render(None, question)}{prompt.separator}{probe.answer}"
