"""Units and probes of a plain table, and which units were asked completely.

As for every import: a unit whose probes are not all there under some metric has no value of that metric, because
a maximum or a mean over half its questions would flatter the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.core.seeds import generator
from audit.measurements.importers.base import Request
from audit.measurements.importers.sides import is_sampled
from audit.measurements.table import SIDES

pd = lazy("pandas")

_CELL = ["configuration", "seed", "attack", "dose", "draw", "metric"]


def units_of(frame: Any, request: Request, digests: Sequence[str]) -> Any:
    """Return the units table; a sample opens some units of each list, its order and draw from seed and files."""
    if "forget" not in set(frame["side"]):
        raise AuditError("E132", "the tables have no forget rows", "give what should be forgotten as well")
    return pd.concat([_side(frame, side, request, digests) for side in SIDES], ignore_index=True)


def _side(frame: Any, side: str, request: Request, digests: Sequence[str]) -> Any:
    names = sorted(frame.loc[frame["side"] == side, "subject"].unique())
    shuffled = generator(request.seed, "import", "table", side, *digests).permutation(len(names))
    opened = shuffled[: request.sample] if is_sampled(side, len(names), request) else shuffled
    return pd.DataFrame(
        {
            "subject": [names[i] for i in opened],
            "side": side,
            "list": side,
            "split": "threshold" if side == "twin" else "calibrate",
            "order": np.arange(len(opened)),
            "half": 0,
            "auditable": True,
            "group": "",
        }
    )


def probes_of(frame: Any, units: Any) -> Any:
    """Return the probes table of the opened units."""
    pairs = frame.loc[frame["subject"].isin(units["subject"]), ["subject", "probe"]].drop_duplicates()
    return pairs.assign(
        kind="fact",
        form="plain",
        entropy_bits=np.nan,
        answer_tokens=pd.array([None] * len(pairs), dtype="Int64"),
    ).reset_index(drop=True)


def complete(frame: Any, units: Any) -> Any:
    """Return the rows of opened units with all their probes under a metric."""
    opened = frame[frame["subject"].isin(units["subject"])]
    all_probes = opened.groupby("subject")["probe"].nunique()
    seen = opened.groupby([*_CELL, "subject"])["probe"].transform("nunique")
    return opened[seen == opened["subject"].map(all_probes)]
