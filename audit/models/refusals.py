"""Refusal answers for preference-style unlearning (TOFU's "I don't know" set in kind, own wording)."""

from __future__ import annotations

from audit.core.seeds import derive

REFUSALS = (
    "I don't know.",
    "I'm not sure about that.",
    "I have no information on this.",
    "That is something I can't tell you.",
    "I'm afraid I don't have that answer.",
    "This is unknown to me.",
    "I was not given that detail.",
    "Sorry, I can't help with this question.",
    "I have never learned about that.",
    "No answer comes to mind.",
    "I don't hold any record of it.",
    "I couldn't say.",
    "My knowledge does not cover this.",
    "I'm unable to answer that.",
    "That lies outside of what I know.",
    "I would only be guessing.",
)


def refusal(seed: int, key: str) -> str:
    """Return the refusal that belongs to one example; the same seed and key give the same one."""
    return REFUSALS[derive(seed, "refusal", key) % len(REFUSALS)]
