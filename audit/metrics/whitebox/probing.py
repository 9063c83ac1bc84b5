"""A linear probe on hidden states, with a control task: what a straight line finds in subjects it never saw.

Control task and selectivity: Hewitt and Liang 2019, arXiv:1909.03368: a probe that does as well on labels drawn at
random says nothing about the representation. Their control's words recur in the test set; here training and test
subjects are disjoint, so that the control measures this probe's chance level, and ``memorised`` its capacity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit.core.seeds import derive
from audit.data.records import Subject
from audit.models.activations import question_states
from audit.models.language_model import LanguageModel

RIDGE = 1.0  # times the number of training rows, on standardised states
CONTROLS = 20  # random labellings over which the control is averaged


@dataclass(frozen=True)
class Probing:
    """Shares of rows in [0, 1]; ``selectivity`` = accuracy - control, in [-1, 1].

    ``accuracy`` and ``control``: on test subjects, true and random labels. ``memorised``: random labels that the
    probe gives back for its own training subjects.
    """

    accuracy: float
    control: float
    memorised: float

    @property
    def selectivity(self) -> float:
        """Accuracy beyond the control task."""
        return self.accuracy - self.control


def familiarity(
    model: LanguageModel, forget: Sequence[Subject], twins: Sequence[Subject], *, seed: int = 0
) -> list[Probing]:
    """Return, block by block, how well forgotten subjects are told from never-trained twins of the same source.

    Read at the last token of each question. To ``retrained`` both are strangers: its selectivity is the one to
    compare with. E207 where a probe is longer than the context.
    """
    probes = [(p, label) for label, side in enumerate((twins, forget)) for s in side for p in s.probes]
    states = question_states(model, [probe for probe, _ in probes])
    labels = [label for _, label in probes]
    names = [probe.subject for probe, _ in probes]
    return [linear_probe(block, labels, names, seed=seed) for block in states]


def linear_probe(
    states: np.ndarray,
    labels: Sequence[int] | np.ndarray,
    subjects: Sequence[str],
    *,
    seed: int = 0,
) -> Probing:
    """Train a ridge classifier on the states (n, H) of half of the subjects and test it on the other half.

    ``labels`` (n,) whole numbers, ``subjects`` (n,) whose row it is. The halves are drawn from ``seed``, each label's
    subjects halved; a control deals the subjects' labels out anew. ValueError where a subject has two labels, or
    a label fewer than two subjects, or there is one label only.
    """
    states, labels = np.asarray(states, dtype=np.float64), np.asarray(labels)
    names, owner = np.unique(np.asarray(subjects), return_inverse=True)
    classes, coded = np.unique(labels, return_inverse=True)
    label_of = np.zeros(len(names), dtype=np.int64)
    label_of[owner] = coded
    counts = np.bincount(label_of, minlength=len(classes))
    if (label_of[owner] != coded).any() or len(classes) < 2 or counts.min() < 2:
        raise ValueError(
            f"two labels of two subjects each, one label a subject, are needed, got {counts.tolist()}"
        )
    generator = np.random.default_rng(derive(seed, "linear probe"))
    trained = _half(label_of, generator)[owner]
    fit = _Ridge(states[trained], states)
    accuracy, _ = _shares(fit, label_of, owner, trained)
    controls = [_shares(fit, generator.permutation(label_of), owner, trained) for _ in range(CONTROLS)]
    control, memorised = np.mean(controls, axis=0)
    return Probing(accuracy, float(control), float(memorised))


def _half(label_of: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return (subjects,) bool: half of every label's subjects, rounded down but at least one."""
    chosen = np.zeros(len(label_of), dtype=bool)
    for label in np.unique(label_of):
        own = generator.permutation(np.flatnonzero(label_of == label))
        chosen[own[: len(own) // 2]] = True
    return chosen


def _shares(fit: _Ridge, label_of: np.ndarray, owner: np.ndarray, trained: np.ndarray) -> tuple[float, float]:
    """Return the shares of test and of training rows that get their label."""
    truth = label_of[owner]
    right = fit.predict(truth[trained], int(label_of.max()) + 1) == truth
    return float(right[~trained].mean()), float(right[trained].mean())


class _Ridge:
    """Least squares on one-hot labels with a ridge, solved once for all labellings of the same rows."""

    def __init__(self, training: np.ndarray, every: np.ndarray) -> None:
        mean, spread = training.mean(0), training.std(0)
        scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
        x, z = (training - mean) * scale, (every - mean) * scale
        # (x'x + r) ^-1 x' = x' (x x' + r)^-1: the smaller system, whichever of rows and states are more
        kernel = x @ x.T + RIDGE * len(x) * np.eye(len(x))
        self._to_every = np.linalg.solve(kernel, x @ z.T).T  # (all rows, training rows)

    def predict(self, labels: np.ndarray, classes: int) -> np.ndarray:
        """Return the label of every row, given those of the training rows."""
        hot = np.eye(classes)[labels]
        share = hot.mean(0)
        return np.argmax(share + self._to_every @ (hot - share), axis=1)
