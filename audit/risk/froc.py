"""FROC's scores, as published over configurations and as one soft margin per unit.

Goh, Zheng, Liu, Hormi, Lam. FROC, arXiv:2512.13337. Published are the scores s and r, the soft margins and
their weighted sum e_R; the target of s, the weights' scale and the normaliser are not public in detail. The
published scores compare a configuration with the best of the others, so that adding a poor configuration
changes everybody's risk. Per unit, the unit's own value under a reference model stands in the place of those
maxima: ``retrained`` for what must be forgotten (``losses.froc``), ``original`` for what must be kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit.risk import losses


@dataclass(frozen=True)
class Weights:
    """How e_R weighs forgetting against utility; non-negative, sum 1, fixed before the losses are seen."""

    forget: float = 0.5
    utility: float = 0.5

    def __post_init__(self) -> None:
        if not (min(self.forget, self.utility) >= 0 and abs(self.forget + self.utility - 1) < 1e-9):
            raise ValueError(
                f"weights must be >= 0 and sum to 1, got forget={self.forget}, utility={self.utility}"
            )


EQUAL = Weights()
"""What holds where the lock names no weights."""


def forgetting_score(loss: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Return (C,) s = log loss + max accuracy - accuracy on the forget set; larger is further forgotten.

    ``loss`` (C,) mean negative log-likelihood in nats, > 0; ``accuracy`` (C,) in [0, 1]; NaN = not measured.
    The maximum is over the configurations given.
    """
    loss, accuracy = _aggregates(loss, accuracy)
    return np.log(loss) + np.nanmax(accuracy, initial=-np.inf) - accuracy


def utility_score(loss: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Return (C,) r = log(loss / min loss) + max accuracy - accuracy on the retain set; at least 0."""
    loss, accuracy = _aggregates(loss, accuracy)
    best = np.nanmin(loss, initial=np.inf)
    return np.log(loss) - np.log(best) + np.nanmax(accuracy, initial=-np.inf) - accuracy


def published_risk(s: np.ndarray, r: np.ndarray, target: float, weights: Weights = EQUAL) -> np.ndarray:
    """Return (C,) e_R = w_f softplus(target - s) + w_u softplus(r); at least w_u ln 2, without an upper end.

    ``target`` is the forgetting score asked for; FROC's own is not public.
    """
    with np.errstate(invalid="ignore"):  # NaN stays NaN: a configuration that was not measured
        short, harmed = np.logaddexp(0.0, target - np.asarray(s)), np.logaddexp(0.0, np.asarray(r))
    return weights.forget * short + weights.utility * harmed


def utility_margin(
    nll: np.ndarray,
    accuracy: np.ndarray,
    reference_nll: np.ndarray,
    reference_accuracy: np.ndarray,
    asked: np.ndarray | None = None,
    *,
    kappa: float = 1.0,
    ceiling: float = 5.0,
) -> np.ndarray:
    """Return (U,) soft margin of utility per retain unit: 0 where it is kept at least as well, 1 far below.

    clip((softplus(kappa (s - s_ref)) - ln 2) / (ceiling - ln 2), 0, 1), s = mean nll - mean accuracy, arrays
    (U, P), ``reference`` the original model. This is ``losses.froc`` with model and reference changing
    places: there a unit may not stay below its reference, here it may not rise above it. The difference of
    nll itself, where FROC takes its logarithm: a kept answer has an nll near 0, and one unit's log is then
    without bound.
    """
    return losses.froc(reference_nll, reference_accuracy, nll, accuracy, asked, kappa=kappa, ceiling=ceiling)


def _aggregates(loss: np.ndarray, accuracy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both as (C,) arrays that are NaN at the same configurations."""
    loss, accuracy = np.asarray(loss, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    if loss.ndim != 1 or loss.shape != accuracy.shape:
        raise ValueError(f"loss and accuracy have shape (C,), got {loss.shape} and {accuracy.shape}")
    absent = np.isnan(loss) | np.isnan(accuracy)
    if bool((loss[~absent] <= 0).any()):
        raise ValueError(f"log loss needs loss > 0, got {np.nanmin(loss):.3g}")
    return np.where(absent, np.nan, loss), np.where(absent, np.nan, accuracy)
