"""The coordinator: stages of jobs in the order that keeps the audit honest (DECISIONS §3).

references → who can be audited → all candidates → split from lock and digests → scores under every attack.
Starting it again on the same run directory continues where it was.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from audit.core.digest import digest_json
from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.core.progress import NullProgress, Progress
from audit.measurements import store
from audit.measurements.table import Measurements
from audit.runs import eligibility, futility, split
from audit.runs.backends.local import LocalBackend, default_workers
from audit.runs.candidates import Workshop
from audit.runs.collect import Configured, collect
from audit.runs.job import Job, Jobs, write_json
from audit.runs.lease import COORDINATOR, Leases
from audit.runs.project import Ledger
from audit.runs.references import accept_laboratory, reference_jobs
from audit.runs.specs import measure_job, numerics
from audit.runs.world import SIDES, World

pd = lazy("pandas")

MEASUREMENTS = "measurements"
MAX_DEATHS = 3  # of one job's workers, before the job counts as failed
MAX_DEATHS_IN_VAIN = 12  # of any workers between two jobs' ends, before the run stops


@dataclass
class Coordinator:
    """Runs all stages of one run directory.

    ``workers`` = None takes one per card or core (at most two cores); ``device`` is auto, cpu or cuda.
    """

    run: Path
    device: str = "auto"
    workers: int | None = None
    progress: Progress = field(default_factory=NullProgress)

    def __post_init__(self) -> None:
        self.world = World(self.run, device=self.device)
        self.jobs = Jobs(self.run)
        self.leases = Leases(self.run)
        self.ledger = Ledger(self.world.lock.project)
        self._is_working = False

    def execute(self) -> None:
        """Run every stage and write RUN/measurements."""
        with self.working():
            references = self._references()
            eligible = self._eligibility(references)
            candidates = self._candidates(references["original"])
            units = self._split(eligible, candidates)
            planned = self._planned(references, candidates, units)

            def collected(configured: list[Configured]) -> Measurements:
                return collect(self.world, configured, units, self.jobs, known=eligible.known)

            configured = self._measure(planned, collected)
        store.write(self.run / MEASUREMENTS, collected(configured))

    def perform(self, name: str, jobs: list[Job]) -> None:
        """Do one stage of jobs."""
        with self.working():
            self._stage(name, jobs)

    # -- stages ------------------------------------------------------------------------------------------------

    def _references(self) -> dict[str, str]:
        """Return role -> digest of original and, where there is one, retrained."""
        weights, plan = self.world.lock.content["weights"], self.world.lock.plan
        places = {"model": plan.model, "original": plan.original or plan.model, "retrained": plan.retrained}
        places["base"] = plan.training.base if plan.training else None
        for role, folder in places.items():
            if folder is not None:
                self.world.store_checkpoint(weights[role], folder)
        named = {role: digest for role, digest in weights.items() if role not in ("model", "base")}
        trained = reference_jobs(self.world, numerics(self.device))
        self._stage("train references", list(trained.values()))
        digests = {role: self._checkpoint_of(job) for role, job in trained.items()}
        self._second_wordings = (
            self.jobs.result(trained["original"].key)["second_wordings"] if trained else [0, 0]
        )
        return named | digests

    def _eligibility(self, references: dict[str, str]) -> eligibility.Eligibility:
        """Score the references on everybody and decide who can be audited."""
        everybody = {side: [s.subject for s in self.world.corpus.side(side)] for side in SIDES}
        found = {
            role: self._measure_job(role, digest, references, "none", everybody)
            for role, digest in references.items()
        }
        self._reference_scores = found
        self._stage("score references", list(found.values()))
        self._demand(found.values())
        frames = {
            role: pd.read_parquet(self.jobs.path(job.key) / "rows.parquet") for role, job in found.items()
        }
        accept_laboratory(self.world, frames, self._second_wordings)
        return eligibility.decide(self.world, frames["original"], frames.get("retrained"))

    def _candidates(self, original: str) -> list[Configured]:
        """Make every candidate; the measuring jobs follow when the split is drawn."""
        return Workshop(self.world, self.jobs, numerics(self.device), self._stage).make(original)

    def _split(self, eligible: eligibility.Eligibility, candidates: list[Configured]) -> list[split.Unit]:
        lists, digest = self.world.lock.content["lists"], self.world.lock.digest
        opened = {side: self.ledger.opened_before(lists[side], digest) for side in ("forget", "retain")}
        units = self._drawn_before() or split.draw(
            self.world, eligible, [c.checkpoint for c in candidates], opened
        )
        family = digest_json(sorted(c.checkpoint for c in candidates))
        for side in ("forget", "retain"):
            names = [u.subject for u in units if u.side == side and u.split == "calibrate"]
            self.ledger.record(
                list_digest=lists[side],
                side=side,
                lock_digest=digest,
                split="calibrate",
                checkpoint="",
                family_digest=family,
                units=names,
            )
        write_json(
            self.run / "split.json", {"family_digest": family, "units": [asdict(unit) for unit in units]}
        )
        return units

    def _drawn_before(self) -> list[split.Unit]:
        """Return this run's split if it is drawn: a candidate made later (it had failed) must not redraw it."""
        path = self.run / "split.json"
        record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"units": []}
        return [split.Unit(**unit) for unit in record["units"]]

    def _measure(
        self, planned: list[Configured], collected: Callable[[list[Configured]], Measurements]
    ) -> list[Configured]:
        """Score every configuration under every attack, or until a candidate is shown to exceed a budget."""
        if self.world.lock.futility:
            return futility.measure(planned, self._stage, collected, self._looked)
        self._stage("attack and score", [job for c in planned if not c.failure for job in c.measures])
        return planned

    def _planned(
        self, references: dict[str, str], candidates: list[Configured], units: list[split.Unit]
    ) -> list[Configured]:
        scored = [u for u in units if u.is_scored(tune=self.world.lock.score_tune)]
        opened = {
            "forget": [u.subject for u in scored if u.side == "forget"],
            "retain": [u.subject for u in scored if u.side == "retain" and u.auditable],
            "twin": [u.subject for u in units if u.side == "twin" and u.split == "threshold"],
        }
        configured = [
            Configured(role, role, digest, tuple(self._attack_jobs(role, digest, references, opened)))
            for role, digest in references.items()
        ]
        parts = futility.parts(opened, units) if self.world.lock.looks else []
        self._looked = [part.looked for part in parts]
        for item in candidates:
            measures = tuple(self._parts_jobs(item, references, opened, parts))
            configured.append(
                Configured(item.configuration, "candidate", item.checkpoint, measures, item.failure)
            )
        return configured

    def _attack_jobs(
        self, name: str, digest: str, references: dict[str, str], opened: dict[str, list[str]]
    ) -> Iterator[Job]:
        for attack in self.world.lock.attacks:
            if attack == "none" and name in self._reference_scores:
                yield self._reference_scores[name]
            else:
                yield self._measure_job(name, digest, references, attack, opened)

    def _parts_jobs(
        self,
        item: Configured,
        references: dict[str, str],
        opened: dict[str, list[str]],
        parts: list[futility.Part],
    ) -> Iterator[Job]:
        """Yield a candidate's jobs: one for each attack, or one for each part where a look is taken between."""
        for attack in self.world.lock.attacks:
            divided = parts and futility.is_divisible(attack)
            cut = [part.units for part in parts] if divided else [opened]
            for number, units in enumerate(cut, start=1):
                job = self._measure_job(item.configuration, item.checkpoint, references, attack, units)
                part = f", part {number} of {len(cut)}" if len(cut) > 1 else ""
                yield replace(job, label=job.label + part)

    # -- jobs --------------------------------------------------------------------------------------------------

    def _measure_job(
        self, name: str, digest: str, references: dict[str, str], attack: str, units: dict[str, list[str]]
    ) -> Job:
        return measure_job(self.world, name, digest, references, attack, units, numerics(self.device))

    def _checkpoint_of(self, job: Job) -> str:
        self._demand([job])
        digest = self.jobs.result(job.key)["checkpoint"]
        self.world.store_checkpoint(
            digest, self.jobs.path(job.key) / "weights", base=job.spec.get("start", "")
        )
        return digest

    def _demand(self, jobs: Any) -> None:
        """Raise the failure of a job that everything else rests on."""
        for job in jobs:
            failure = self.jobs.failure(job.key)
            if failure:
                raise AuditError(failure["code"], f"{job.label}: {failure['cause']}", failure["remedy"])

    # -- waiting -----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the run directory: two coordinators would take each other's queue and folders away."""
        if not self.leases.take(COORDINATOR):
            raise AuditError(
                "E303", f"{self.run.name} is being run by another process", "wait for it, or stop it first"
            )
        stop = self.leases.keep_alive(COORDINATOR)
        try:
            yield
        finally:
            stop.set()
            self.leases.release(COORDINATOR)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Hold the run directory with workers started; inside an outer ``working`` its workers go on."""
        if self._is_working:
            yield
            return
        with self._alone():
            self.jobs.clear_leftovers(self.leases.is_held)
            self._is_working = True
            try:
                with self._started():
                    yield
            finally:
                self._is_working = False

    @contextlib.contextmanager
    def _started(self) -> Iterator[None]:
        self._publish([], closed=False)
        (self.run / "logs").mkdir(exist_ok=True)
        self._backend = LocalBackend(self.run, self.workers or default_workers(self.device), self.device)
        self._backend.start_workers()
        try:
            yield
        except BaseException:
            self._publish([], closed=True)
            self._backend.kill()
            raise
        self._publish([], closed=True)
        self._backend.stop()

    def _stage(self, name: str, jobs: list[Job]) -> None:
        """Put jobs into the queue, dearest first, and wait until each is done or failed."""
        jobs = list({job.key: job for job in jobs}.values())  # equal weights are measured once
        if not jobs:
            return
        self.progress.start(name, len(jobs))
        open_jobs = dict.fromkeys(job.key for job in jobs)
        labels = {job.key: job.label for job in jobs}
        self._publish(sorted(jobs, key=lambda job: -job.cost), closed=False, stage=name)
        deaths: dict[str, int] = {}
        in_vain = 0  # workers that died since the last job ended
        while open_jobs:
            for key in [k for k in open_jobs if self.jobs.is_done(k) or self.jobs.failure(k)]:
                del open_jobs[key]
                in_vain = 0
                self.progress.advance(name, 1, labels[key])
            if died := self._backend.poll():
                in_vain += died
                self._count_deaths(open_jobs, jobs, deaths)
            if in_vain > MAX_DEATHS_IN_VAIN:
                cause = f"workers died {in_vain} times without ending a job"
                raise AuditError("E304", cause, "their last words stand in RUN/logs")
            time.sleep(0.05)
        self.progress.finish(name)

    def _count_deaths(self, open_jobs: dict[str, None], jobs: list[Job], deaths: dict[str, int]) -> None:
        """A job whose worker dies again and again is the cause: let it fail, so that the run goes on."""
        for job in jobs:
            if job.key in open_jobs and self.leases.is_abandoned(job.key):
                deaths[job.key] = deaths.get(job.key, 0) + 1
                if deaths[job.key] >= MAX_DEATHS:
                    cause = f"its worker died {MAX_DEATHS} times (out of memory?)"
                    self.jobs.fail(
                        job, {"code": "E302", "cause": cause, "remedy": "give it more memory, run again"}
                    )

    def _publish(self, jobs: list[Job], *, closed: bool, stage: str = "") -> None:
        write_json(
            self.run / "queue.json", {"closed": closed, "stage": stage, "jobs": [asdict(job) for job in jobs]}
        )
