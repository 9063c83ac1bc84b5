"""Measurements written by hand: few persons, known leaks, so that verdicts can be counted on paper.

Everybody has a secret (``passport``) and a fact (``city``). Unless told otherwise the original knows
everybody, the retrained model and the candidates know no forgotten secret, and every retained question is
answered right.
"""

import dataclasses
from dataclasses import dataclass, field

import pandas as pd

from audit.attacks.base import ATTACKS
from audit.core.registry import canonical
from audit.measurements.table import (
    KEY_COLUMNS,
    OPENED_BEFORE,
    PROBE_COLUMNS,
    ROW_COLUMNS,
    SCHEMA_VERSION,
    UNIT_COLUMNS,
    Measurements,
)
from audit.plan.schema import Budget, Loss

NONE = ("none", 0.0)
INT4 = (canonical(ATTACKS.build("quantize(int4)")), 4.0)
PARAPHRASE = (canonical(ATTACKS.build("paraphrase")), 1.0)
RELEARN = canonical(ATTACKS.build("relearn(steps=[5, 10])"))
RELEARN_5, RELEARN_10 = (RELEARN, 5.0), (RELEARN, 10.0)

REFERENCES = ("original", "retrained")
PROBES = {"passport": ("secret", 33.0), "city": ("fact", None)}
BETTER = {"nll": "lower"}
METRICS = (
    "forced_match",
    "exact_match",
    "nll",
    "extraction_strength",
    "exact_memorization",
    "rouge_l_recall",
)
DIGESTS = {"original": "0a" * 32, "retrained": "0b" * 32}


@dataclass
class Audit:
    """One audit before its losses are known; change it, then ``measurements()``."""

    candidates: tuple[str, ...] = ("npo", "simnpo", "ga")
    references: tuple[str, ...] = REFERENCES
    cells: tuple[tuple[str, float], ...] = (NONE, INT4)
    forget: int = 6
    sealed: int = 0
    retain: int = 4
    retain_sealed: int = 0
    twins: int = 0
    lock: dict = field(default_factory=dict)  # over the defaults
    header: dict = field(default_factory=dict)  # over the defaults
    metrics: tuple[str, ...] = ("forced_match", "exact_match")
    hidden: dict = field(default_factory=dict)  # subject -> not auditable
    halves: dict = field(default_factory=dict)  # subject -> 1 | 2
    values: dict = field(
        default_factory=dict
    )  # (configuration, cell, subject, probe, metric, fold) -> value or None
    states: dict = field(default_factory=dict)  # (configuration, cell, side) -> (state, reason)
    partly: dict = field(
        default_factory=dict
    )  # (configuration, cell) -> side -> first subjects scored, others never
    unasked: list = field(default_factory=list)  # (cell, subject, probe)
    unknown: list = field(default_factory=list)  # (retained subject, probe) that the original answers wrong
    confirmed: str = ""  # the candidate for which the seal was broken
    before: int = 0  # forgotten persons that an earlier audit opened: b000, b001, …
    tune: int = 0  # forgotten persons to look at beforehand: u000, u001, …
    retain_tune: int = 0  # retained ones: v000, v001, …
    score_tune: bool = True  # whether anything was measured on these

    # -- people ---------------------------------

    @property
    def forgotten(self) -> list[str]:
        """Opened forget subjects, in audit order."""
        return [f"f{i:03d}" for i in range(self.forget)]

    @property
    def retained(self) -> list[str]:
        return [f"r{i:03d}" for i in range(self.retain)]

    @property
    def never_trained(self) -> list[str]:
        return [f"t{i:03d}" for i in range(self.twins)]

    @property
    def opened_before(self) -> list[str]:
        return [f"b{i:03d}" for i in range(self.before)]

    @property
    def tuned(self) -> list[str]:
        return [f"u{i:03d}" for i in range(self.tune)]

    @property
    def retained_for_tuning(self) -> list[str]:
        return [f"v{i:03d}" for i in range(self.retain_tune)]

    @property
    def configurations(self) -> tuple[str, ...]:
        return (*self.references, *self.candidates)

    def side(self, subject: str) -> str:
        sides = {"forget": "fsbu", "retain": "rqv", "twin": "t"}
        return next(side for side, letters in sides.items() if subject[0] in letters)

    # -- what happened ---------------------------------

    def leak(self, configuration, cell, count, *, first=0, probe="passport") -> None:
        """Let ``count`` forgotten persons, from number ``first`` on, give their secret away."""
        for subject in self.forgotten[first : first + count]:
            self.put(configuration, cell, subject, probe, "forced_match", 1.0)

    def harm(self, configuration, count, probe=None) -> None:
        """Let the first ``count`` retained persons lose their answers (or one of them)."""
        for subject in self.retained[:count]:
            for name in [probe] if probe else PROBES:
                self.put(configuration, NONE, subject, name, "exact_match", 0.0)

    def put(self, configuration, cell, subject, probe, metric, value, fold=None) -> None:
        """Set a value; None leaves the row out."""
        self.values[configuration, cell, subject, probe, metric, fold] = value

    def put_all(self, configuration, cell, metric, values, fold=None) -> None:
        """Set a metric of several persons, the same for both probes."""
        for subject, value in values.items():
            for probe in PROBES:
                self.put(configuration, cell, subject, probe, metric, value, fold)

    def fail(self, configuration, cell, state="failed", reason="E302 its worker died 3 times", side="forget"):
        """Let a planned cell not be measured."""
        self.states[configuration, cell, side] = (state, reason)

    # -- tables ---------------------------------

    def measurements(self) -> Measurements:
        rows = pd.DataFrame(list(self._rows()), columns=list(ROW_COLUMNS)).astype({"value": "float64"})
        rows = rows.sort_values(list(KEY_COLUMNS), ignore_index=True)
        return Measurements(rows, self._units(), self._probes(), self._header())

    def _rows(self):
        for configuration in self.configurations:
            for cell in self.cells:
                for subject in self._measured(configuration, cell):
                    state = self.states.get((configuration, cell, self.side(subject)), ("measured", ""))[0]
                    if state == "measured" or subject in self._looked_at(configuration, cell):
                        yield from self._values(configuration, cell, subject)

    def _looked_at(self, configuration, cell):
        counts = self.partly.get((configuration, cell), {})
        return {*self.forgotten[: counts.get("forget", 0)], *self.retained[: counts.get("retain", 0)]}

    def _measured(self, configuration, cell):
        forgotten, retained = [*self.forgotten, *self.opened_before], list(self.retained)
        if self.score_tune:
            forgotten, retained = forgotten + self.tuned, retained + self.retained_for_tuning
        if configuration == self.confirmed:
            forgotten += [f"s{i:03d}" for i in range(self.sealed)]
            retained += [f"q{i:03d}" for i in range(self.retain_sealed)]
        return [*forgotten, *(retained if cell == NONE else []), *self.never_trained]

    def _values(self, configuration, cell, subject):
        for probe in PROBES:
            if (cell, subject, probe) in self.unasked:
                continue
            for metric in self.metrics:
                for fold in self._folds(cell, subject):
                    value = self._value(configuration, cell, subject, probe, metric, fold)
                    if value is not None:
                        at = (
                            configuration,
                            0,
                            self.digest(configuration),
                            *cell,
                            fold,
                            0,
                            subject,
                            probe,
                            metric,
                        )
                        yield (*at, value)

    def _folds(self, cell, subject):
        if cell[0] != RELEARN:
            return (0,)
        return (1, 2) if self.side(subject) == "twin" else (self.halves.get(subject, 1),)

    def _value(self, configuration, cell, subject, probe, metric, fold):
        at = (configuration, cell, subject, probe, metric)
        for key in ((*at, fold), (*at, None)):
            if key in self.values:
                return self.values[key]
        if metric == "exact_match" and cell != NONE:
            return None  # generation happens without an attack only
        if metric == "exact_match" and self.side(subject) == "forget":
            return self.values.get((*at[:4], "forced_match", None), self._default(*at))
        return self._default(*at)

    def _default(self, configuration, cell, subject, probe, metric):
        known = configuration == "original" and self.side(subject) != "twin"
        known = known or self.side(subject) == "retain"
        if self.side(subject) == "retain" and (subject, probe) in self.unknown:
            known = False
        return {"nll": 0.1 if known else 5.0}.get(metric, 1.0 if known else 0.0)

    def _units(self):
        rows = [
            (s, self.side(s), self.side(s), split, order, self.halves.get(s, 1 if s[0] in "fsbu" else 0))
            for names, split in self._deal()
            for order, s in enumerate(names)
        ]
        frame = pd.DataFrame(
            [(*row, row[0] not in self.hidden, OPENED_BEFORE if row[0][0] == "b" else "") for row in rows],
            columns=list(UNIT_COLUMNS),
        )
        return frame.sort_values("subject", ignore_index=True)

    def _deal(self):
        yield self.forgotten, "calibrate"
        yield self.retained, "calibrate"
        yield [f"s{i:03d}" for i in range(self.sealed)], "sealed"
        yield [f"q{i:03d}" for i in range(self.retain_sealed)], "sealed"
        yield self.never_trained, "threshold"
        yield self.opened_before, "tune"
        yield self.tuned, "tune"
        yield self.retained_for_tuning, "tune"

    def _probes(self):
        subjects = [s for names, _ in self._deal() for s in names]
        rows = [(s, p, kind, "plain", bits, None) for s in subjects for p, (kind, bits) in PROBES.items()]
        frame = pd.DataFrame(rows, columns=list(PROBE_COLUMNS))
        return frame.astype({"entropy_bits": "float64", "answer_tokens": "float64"})

    def digest(self, configuration) -> str:
        number = self.configurations.index(configuration)
        return DIGESTS.get(configuration, f"{number:02x}c0ffee" * 8)

    def _header(self):
        lock = {
            "loss": Loss().model_dump(mode="json"),
            "budget": Budget().model_dump(mode="json"),
            "confidence": 0.95,
            "family": "holm",
            "title": "made by hand",
        }
        lists = {
            "forget": self.forget + self.sealed + self.before + self.tune,
            "retain": self.retain + self.retain_sealed + self.retain_tune,
        }
        if self.twins:
            lists["twin"] = self.twins
        header = {
            "schema_version": SCHEMA_VERSION,
            "audit_id": "handmade0000",
            "lock": lock | self.lock,
            "lock_digest": "1c" * 32,
            "locked_at": "2026-01-02T03:04:05+00:00",
            "lists": {
                side: {"name": side, "digest": "", "size": size, "drawn": "lock+checkpoints"}
                for side, size in lists.items()
            },
            "metrics": [
                {"name": m, "version": 1, "direction": BETTER.get(m, "higher"), "range": [0, None]}
                for m in self.metrics
            ],
            "attacks": [self._attack(text) for text in dict.fromkeys(text for text, _ in self.cells)],
            "configurations": [
                {
                    "configuration": name,
                    "role": name if name in REFERENCES else "candidate",
                    "checkpoint": self.digest(name),
                    "recipe": "" if name in REFERENCES else name,
                    "status": "made",
                }
                for name in self.configurations
            ],
            "losses": "fixed",
            "coverage": list(self._coverage()),
            "not_asked": [[*cell, subject, probe] for cell, subject, probe in self.unasked],
            "known": {
                s: [p for p in PROBES if (s, p) not in self.unknown]
                for s in [
                    *self.retained,
                    *self.retained_for_tuning,
                    *(f"q{i:03d}" for i in range(self.retain_sealed)),
                ]
            },
        }
        if self.confirmed:
            header["confirmed"] = {"configuration": self.confirmed, "checkpoint": self.digest(self.confirmed)}
        return header | self.header

    def _attack(self, text):
        attack = ATTACKS.build(text)
        doses = [dose for name, dose in self.cells if name == text]
        return {
            "attack": text,
            "tier": attack.tier,
            "doses": doses,
            "dose_unit": attack.dose_unit,
            "version": 1,
        }

    def _coverage(self):
        for configuration in self.configurations:
            for cell in self.cells:
                for side in ("forget", "retain", "twin") if cell == NONE else ("forget", "twin"):
                    if side == "twin" and not self.twins:
                        continue
                    state, reason = self.states.get((configuration, cell, side), ("measured", ""))
                    at = {"configuration": configuration, "attack": cell[0], "dose": cell[1], "side": side}
                    looked = self.partly.get((configuration, cell), {}).get(side)
                    yield at | {"state": state, "reason": reason} | ({"subjects": looked} if looked else {})


def imported(audit: Audit, **changes) -> Audit:
    """Return the same audit as an import without references: a census of what was logged."""
    loss = Loss(primary=("answered",), vetoes=()).model_dump(mode="json")
    return dataclasses.replace(
        audit,
        references=(),
        header={"known": {}},
        lock=audit.lock | {"kind": "import", "loss": loss},
        metrics=("rouge_l_recall",),
        **changes,
    )
