"""What every process of a run sees: lock, corpus, pseudonyms, models by digest. Opened from the run directory."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from audit.core.digest import digest_json, keyed
from audit.core.errors import AuditError
from audit.core.seeds import derive
from audit.data.records import Corpus, Probe, Side, Subject
from audit.data.splits import halves
from audit.metrics.inputs import needs_of
from audit.models.load import LanguageModel, load
from audit.models.training import Example
from audit.plan.corpus import corpus_of, laboratory_seed, side_digest, wordings_digest
from audit.plan.lock import Lock, read_lock
from audit.plan.sizes import ResolvedSizes, sizes_of
from audit.runs.job import write_json
from audit.runs.project import pseudonym_key

SIDES: tuple[Side, ...] = ("forget", "retain", "twin")
BASE = "base"  # folder beside a trained adapter: the frozen weights it stands on
_MODELS_KEPT = 2  # the one at work and the original, for diagnostics; one more where metrics need a reference


class World:
    """Lazy access to everything a job needs; one per process."""

    def __init__(self, run: Path, *, device: str = "auto") -> None:
        self.run = run
        self.device = device
        self.lock: Lock = read_lock(run)
        self._models: OrderedDict[str, LanguageModel] = OrderedDict()

    @cached_property
    def key(self) -> bytes:
        """Key of the pseudonyms."""
        plan = self.lock.plan
        return pseudonym_key(self.lock.project, laboratory_seed(plan) if plan.laboratory else None)

    @cached_property
    def raw_corpus(self) -> Corpus:
        """The corpus as locked, with its own subject names; E504 when its digest is another one."""
        corpus = corpus_of(self.lock.plan)
        for side in SIDES:
            if side_digest(corpus.side(side)) != self.lock.content["lists"][side]:
                raise AuditError(
                    "E504",
                    f"the {side} list is not the one that was locked",
                    "restore the data, or lock a new audit",
                )
        if "wordings" in self.lock.content and wordings_digest(corpus) != self.lock.content["wordings"]:
            raise AuditError(
                "E504", "the wordings are not those that were locked", "restore the data, or lock a new audit"
            )
        return corpus

    @cached_property
    def corpus(self) -> Corpus:
        """The corpus with pseudonyms in place of subject names."""
        raw = self.raw_corpus
        return Corpus(*(tuple(map(self._keyed, raw.side(side))) for side in SIDES), lists=raw.lists)

    @cached_property
    def sizes(self) -> ResolvedSizes:
        """Planned subjects per side and split."""
        raw = self.raw_corpus
        return sizes_of(self.lock.plan, forget=len(raw.forget), retain=len(raw.retain), twins=len(raw.twins))

    @cached_property
    def halves(self) -> dict[str, int]:
        """Cross-fitting halves of the forget list."""
        return halves([s.subject for s in self.corpus.forget], self.seed("halves"))

    def seed(self, *names: object) -> int:
        """Return a seed named within this lock."""
        return derive(self.lock.digest, *names)

    def examples(self, side: Side) -> list[Example]:
        """Return the first wordings of a side, for unlearning."""
        return [_example(p) for s in self.corpus.side(side) for p in s.probes]

    def examples_of(self, units: dict[str, list[str]]) -> list[Example]:
        """Return the first wordings of a choice of units (side -> subjects), in corpus order."""
        return [_example(p) for p in self.probes(subject for side in units.values() for subject in side)]

    def probes(self, subjects: Iterable[str]) -> list[Probe]:
        """Return the probes of the named subjects, in corpus order."""
        wanted = set(subjects)
        return [p for side in SIDES for s in self.corpus.side(side) if s.subject in wanted for p in s.probes]

    @cached_property
    def side_of(self) -> dict[str, Side]:
        """Subject -> side."""
        return {s.subject: side for side in SIDES for s in self.corpus.side(side)}

    def store_units(self, units: dict[str, list[str]]) -> str:
        """Write a choice of units (side -> subjects) and return its digest, for job specs."""
        digest = digest_json(units)
        write_json(self.run / "units" / f"{digest}.json", units)
        return digest

    def read_units(self, digest: str) -> dict[str, list[str]]:
        """Read a choice of units back."""
        return json.loads((self.run / "units" / f"{digest}.json").read_text(encoding="utf-8"))

    def store_checkpoint(self, digest: str, folder: Path, *, base: str = "") -> None:
        """Record where the weights with ``digest`` lie; ``base`` is the digest an adapter belongs to.

        A place that is known and still there stays: a candidate with the original's very weights may be dropped.
        """
        path = self.run / "checkpoints" / f"{digest}.json"
        if path.is_file() and (self.run / self._record(digest)["folder"]).is_dir():
            return
        inside = folder.resolve().is_relative_to(self.run.resolve())
        place = str(folder.resolve().relative_to(self.run.resolve())) if inside else str(folder.resolve())
        write_json(path, {"folder": place, "base": base})

    def locate(self, digest: str) -> Path:
        """Return the folder of the weights with ``digest``; E505 when they are gone."""
        folder = self.run / self._record(digest)["folder"]
        if not folder.is_dir():
            raise AuditError(
                "E505", f"the weights {digest[:12]} are not there any more", "run with `keep: all`"
            )
        return folder

    def model(self, digest: str) -> LanguageModel:
        """Load a checkpoint by digest; the last few stay in memory."""
        if digest not in self._models:
            loaded = self._load(digest)
            while len(self._models) >= _MODELS_KEPT + ("reference" in needs_of(self.lock.content["metrics"])):
                self._models.popitem(last=False)
            self._models[digest] = loaded
        self._models.move_to_end(digest)
        return self._models[digest]

    def _load(self, digest: str) -> LanguageModel:
        folder = self.locate(digest)
        is_adapter = (folder / "adapter_config.json").is_file()
        base = self._base(folder, self._record(digest)["base"]) if is_adapter else None
        return load(folder, device=self.device, prompt=self.lock.plan.prompt, base=base)

    def _base(self, folder: Path, digest: str) -> LanguageModel | None:
        """Return what the adapter in ``folder`` stands on; None where only its own configuration says it."""
        if (folder / BASE).is_dir():
            return load(folder / BASE, device=self.device, prompt=self.lock.plan.prompt)
        if not digest:
            return None
        base = self.model(digest)
        return base.merged() if base.has_adapter else base

    def _record(self, digest: str) -> dict[str, str]:
        path = self.run / "checkpoints" / f"{digest}.json"
        if not path.is_file():
            raise AuditError(
                "E505", f"no weights with digest {digest[:12]} belong to this run", "check the digest"
            )
        return json.loads(path.read_text(encoding="utf-8"))

    def _keyed(self, subject: Subject) -> Subject:
        name = keyed(self.key, subject.subject)
        return Subject(name, tuple(replace(probe, subject=name) for probe in subject.probes))


def _example(probe: Probe) -> Example:
    return Example(f"{probe.subject}/{probe.probe}/{probe.form}", probe.question, probe.answer)
