"""How deep the forgetting goes: the unlearning depth score of every model, unattacked and under each attack.

Lee et al. 2026, arXiv:2605.24614. Which questions have a depth follows from original and retrained alone, so a model
is averaged over all that any model has a depth for, or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audit.evidence.exhibit import Column, Exhibit
from audit.evidence.exhibits.base import EXHIBITS, Case
from audit.plan.naming import attack_label, configuration_label

METRIC = "patching_depth"


@EXHIBITS.register(METRIC)
@dataclass(frozen=True)
class PatchingDepth:
    """Mean depth over the questions of opened forget subjects, per model and attack."""

    name: ClassVar[str]
    place: ClassVar[int] = 91

    def make(self, case: Case) -> Exhibit | None:
        """Return one row per model, references first; None where no depth was measured."""
        cube = case.assembly.cube
        units = cube.rows_of(case.assembly.opened("forget"))
        values = cube.values(METRIC)[:, :, units]  # (C, A, U, P)
        has = np.asarray(np.isfinite(values).any(axis=0))  # (A, U, P)
        cells = [at for at in range(len(cube.cells)) if has[at].any()]
        if not cells:
            return None
        names = [attack_label(*cube.cells[at]) for at in cells]
        return Exhibit(
            name=self.name,
            title="How deep the forgetting goes",
            claim=(
                "The states of each model are put into the original, block by block, and the answer’s likelihood there is"
                " read: 0 if nothing is gone from the states, 1 if as much as from those of the retrained model. Means"
                " over the questions of the opened forget subjects, points without confidence; they decide nothing here."
            ),
            columns=(Column("Model"), *(Column(name, "number") for name in names)),
            rows=tuple(
                (
                    configuration_label(configuration),
                    *(_mean(values[row, at][has[at]]) for at in cells),
                )
                for row, configuration in enumerate(cube.configurations)
            ),
            notes=(
                "Questions with a depth: "
                + ", ".join(f"{has[at].sum()} ({name})" for at, name in zip(cells, names, strict=True))
                + ". The others the original does not know as asked, or no block holds their answer.",
                "Blocks weigh by what the retrained model lacks there, and the last ones weigh most: a change of these"
                " alone is not near 0.",
            ),
            watermark="exploration",
        )


def _mean(values: np.ndarray) -> float | None:
    """Return the mean, None unless every question has a value."""
    return float(values.mean()) if np.isfinite(values).all() else None
