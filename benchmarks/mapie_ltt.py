"""MAPIE's Learn-then-Test on a matrix of 0/1 losses, through its public API only.

MAPIE has no entry for a loss matrix. Units under each attack become pseudo-samples (unit, attack) whose label is
the attack, "predicting" returns the loss, and each attack is one BinaryRisk: the mean loss where the label is it.
"""

from __future__ import annotations

import warnings

import numpy as np
from mapie.risk_control import BinaryClassificationController, BinaryRisk


def max_p(
    losses: np.ndarray, alpha: float, delta: float, fwer: str = "bonferroni_holm"
) -> BinaryClassificationController:
    """Return MAPIE calibrated on ``losses`` (A, C, n) with one risk per attack: it takes the largest p-value itself."""
    return calibrate(controller(losses, alpha, delta, fwer), losses)


def controller(losses: np.ndarray, alpha: float, delta: float, fwer: str) -> BinaryClassificationController:
    """Return MAPIE before calibration; samples are rows (attack, unit) of ``losses`` (A, C, n)."""
    attacks, configurations, _ = losses.shape
    risks = [BinaryRisk(_failed, lambda y, p, a=a: y == a, False) for a in range(attacks)]
    return BinaryClassificationController(
        predict_function=lambda samples, row: losses[samples[:, 0], int(row), samples[:, 1]],
        risk=risks,
        target_level=[alpha] * attacks,
        confidence_level=1 - delta,
        list_predict_params=np.arange(configurations)[:, None],
        fwer_method=fwer,
    )


def calibrate(
    made: BinaryClassificationController, losses: np.ndarray, units: slice = slice(None)
) -> BinaryClassificationController:
    """Calibrate on the units of a slice; MAPIE warns where it lists nothing."""
    samples = pseudo_samples(losses, units)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return made.calibrate(samples, samples[:, 0])


def pseudo_samples(losses: np.ndarray, units: slice = slice(None)) -> np.ndarray:
    """Return (A x n, 2) pairs of attack and unit."""
    attacks, _, n = losses.shape
    chosen = np.arange(n)[units]
    return np.column_stack([np.repeat(np.arange(attacks), len(chosen)), np.tile(chosen, attacks)])


def listed(made: BinaryClassificationController, configurations: int) -> np.ndarray:
    """Return (C,) bool: the valid set."""
    marked = np.zeros(configurations, dtype=bool)
    marked[np.asarray(made.valid_predict_params, dtype=float).reshape(-1).astype(int)] = True
    return marked


def every_pair(losses: np.ndarray, alpha: float, delta: float) -> np.ndarray:
    """Return (C,) bool: Holm over all C x A pairs, as without intersection-union; listed if all its attacks are."""
    attacks, configurations, n = losses.shape
    risk = BinaryRisk(_failed, lambda y, p: np.ones(len(y), dtype=bool), False)
    made = BinaryClassificationController(
        predict_function=lambda units, row, attack: losses[int(attack), int(row), units[:, 0]],
        risk=risk,
        target_level=alpha,
        confidence_level=1 - delta,
        best_predict_param_choice=risk,
        list_predict_params=np.array([(row, a) for row in range(configurations) for a in range(attacks)]),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.calibrate(np.arange(n)[:, None], np.zeros(n, dtype=int))
    rows = np.asarray(made.valid_predict_params, dtype=int).reshape(-1, 2)[:, 0]
    return np.bincount(rows, minlength=configurations) == attacks


def split_fixed_sequence(losses: np.ndarray, alpha: float, delta: float, tune: int) -> np.ndarray:
    """Return (C,) bool: MAPIE learns its order on the first ``tune`` units and tests on the others."""
    made = controller(losses, alpha, delta, "split_fixed_sequence")
    samples = pseudo_samples(losses, slice(tune))
    made.learn_fixed_sequence_order(samples, samples[:, 0], binary=True)
    return listed(calibrate(made, losses, slice(tune, None)), losses.shape[1])


def _failed(y: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    return predicted == 1
