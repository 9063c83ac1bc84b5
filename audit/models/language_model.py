"""A language model as the audit sees it: network, tokenizer, and how a question becomes a prompt."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from audit.core.errors import AuditError
from audit.core.lazy import lazy

if TYPE_CHECKING:
    from audit.models.provenance import Training

torch = lazy("torch")

_STYLES = {"qa": "Q: {question} A:", "plain": "{question}"}


@dataclass(frozen=True)
class PromptTemplate:
    """How a question becomes a prompt.

    ``style`` is ``chat`` (the tokenizer's chat template), ``qa`` (``Q: … A:``), ``plain`` (the question
    alone) or a text with ``{question}`` in it.
    """

    style: str = "qa"

    def __post_init__(self) -> None:
        if self.style != "chat" and self.style not in _STYLES and "{question}" not in self.style:
            raise AuditError(
                "E214",
                f"prompt {self.style!r} is no known style",
                "use chat, qa, plain or a text with {question}",
            )

    @staticmethod
    def default_for(tokenizer: Any) -> PromptTemplate:
        """Return the chat template where the tokenizer has one, else ``Q: … A:``."""
        return PromptTemplate("chat" if getattr(tokenizer, "chat_template", None) else "qa")

    @property
    def separator(self) -> str:
        """What stands between prompt and answer."""
        return "" if self.style == "chat" else " "

    def render(self, tokenizer: Any, question: str) -> str:
        """Return the prompt's text."""
        if self.style == "chat":
            turn = [{"role": "user", "content": question}]
            return tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        return _STYLES.get(self.style, self.style).replace("{question}", question)


@dataclass(frozen=True)
class Encoded:
    """One question with its answer: ``ids[answer_start:]`` are its tokens, the last is EOS when ``eos``."""

    ids: tuple[int, ...]
    answer_start: int
    eos: bool

    @property
    def answer_tokens(self) -> int:
        """Number of answer tokens without EOS."""
        return len(self.ids) - self.answer_start - self.eos


@dataclass
class LanguageModel:
    """A transformers causal network (or its PEFT wrapper) in eval mode, with tokenizer and prompt style.

    ``training`` is how the weights came about, where that is known and can be done again.
    """

    network: Any
    tokenizer: Any
    prompt: PromptTemplate
    training: Training | None = None

    @property
    def has_adapter(self) -> bool:
        """Whether the network carries LoRA weights beside its base."""
        return hasattr(self.network, "peft_config")

    @property
    def device(self) -> Any:
        """Where the weights lie."""
        return next(self.network.parameters()).device

    @property
    def parameters_count(self) -> int:
        """Number of weights, tied ones counted once."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def encode_prompt(self, question: str) -> tuple[int, ...]:
        """Return the token ids of the prompt."""
        return self._tokens(self.prompt.render(self.tokenizer, question), special=self.prompt.style != "chat")

    def encode(self, question: str, answer: str) -> Encoded:
        """Return prompt and answer as tokens, closed by EOS where the tokenizer has one.

        ``AuditError`` E206 if the answer gives no token, E207 if the sequence is longer than the context.
        """
        prompt = self.encode_prompt(question)
        tail = self.prompt.separator + answer.strip()
        whole = self._tokens(
            self.prompt.render(self.tokenizer, question) + tail, special=self.prompt.style != "chat"
        )
        if (
            whole[: len(prompt)] != prompt
        ):  # a token straddles the border: keep what the model is given to answer
            whole = prompt + self._tokens(tail, special=False)
        if not answer.strip() or len(whole) == len(prompt):
            raise AuditError("E206", "an answer has no token", "drop probes with empty answers")
        end = self.tokenizer.eos_token_id
        ids = whole if end is None else (*whole, end)
        self._check_length(len(ids))
        return Encoded(ids, len(prompt), end is not None)

    def fits(self, question: str, answer: str) -> bool:
        """Return whether question and answer fit the model's context together."""
        limit = self._context
        if limit is None:
            return True
        tail = self.prompt.separator + answer.strip()
        text = self.prompt.render(self.tokenizer, question) + tail
        return (
            len(self._tokens(text, special=self.prompt.style != "chat")) + 2 <= limit
        )  # a split token, and EOS

    def clone(self) -> LanguageModel:
        """Return an independent copy of the weights; all else is shared."""
        return replace(self, network=copy.deepcopy(self.network))

    def merged(self) -> LanguageModel:
        """Return a copy whose adapter is merged into the base (a clone where there is none)."""
        twin = self.clone()
        if twin.has_adapter:
            twin.network = twin.network.merge_and_unload().eval()
        return twin

    def _tokens(self, text: str, *, special: bool) -> tuple[int, ...]:
        ids = self.tokenizer(text, add_special_tokens=special)["input_ids"]
        end = self.tokenizer.eos_token_id
        # Some tokenizers close every text with EOS; an answer could then never follow its prompt.
        return tuple(ids[:-1] if special and len(ids) > 1 and ids[-1] == end != ids[0] else ids)

    @property
    def _context(self) -> int | None:
        config = getattr(self.network, "config", None)
        return getattr(config, "max_position_embeddings", None)

    def _check_length(self, length: int) -> None:
        limit = self._context
        if limit is not None and length > limit:
            raise AuditError(
                "E207", f"a probe has {length} tokens, the model's context {limit}", "shorten it"
            )


def resolve_device(text: str) -> Any:
    """Return the torch device of ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:1``."""
    if text == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(text)
    except RuntimeError:
        raise AuditError("E210", f"no device is called {text!r}", "use auto, cpu or cuda") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise AuditError("E210", "no CUDA device is available", "use auto or cpu")
    return device


def compute_dtype(device: Any) -> Any:
    """Return the dtype of forward passes: bfloat16 on CUDA, float32 elsewhere; weights are float32 always."""
    return torch.bfloat16 if torch.device(device).type == "cuda" else torch.float32
