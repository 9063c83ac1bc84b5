"""The command line: one function per verb; parse, call, print. Nothing is computed here.

Run: ``unlearn-audit demo``.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audit.core.errors import EXIT_INTEGRITY, EXIT_PASS, AuditError

if TYPE_CHECKING:
    from audit.core.progress import Progress
    from audit.evidence.certificate import Certificate
    from audit.plan.lock import Lock

# Before torch is imported anywhere: spinning OpenMP barriers cost up to 20 times when a core is shared.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

app = typer.Typer(
    help="Audit an unlearned language model: attack it, bound what can still be got out, refuse to guess.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

RunArgument = Annotated[Path, typer.Argument(help="run directory", metavar="RUN")]
PlanArgument = Annotated[Path, typer.Argument(help="plan file", metavar="audit.yaml")]
JsonOption = Annotated[bool, typer.Option("--json", help="print one JSON object on standard output")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="no progress")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda")]
WorkersOption = Annotated[
    int | None, typer.Option(help="worker processes; default: one per card, else one per core, at most two")
]
OutOption = Annotated[
    Path | None, typer.Option("-o", "--out", help="run directory; default: runs/<plan>-<id> beside the plan")
]
CheckpointOption = Annotated[
    str | None, typer.Option(help="digest (at least 8 hex digits) or directory of the checkpoint")
]


def _coded(command: Callable[..., int | None]) -> Callable[..., None]:
    """Turn an AuditError into its message and exit code; the verdict's exit code is the command's."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            code = command(*args, **kwargs) or EXIT_PASS
        except AuditError as error:
            code = _refuse(error, bool(kwargs.get("json_output")))
        except BrokenPipeError:  # somebody closed the pipe we print into, as `| head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 128 + signal.SIGPIPE
        except OSError as error:  # a path that cannot be read or written
            cause = f"{Path(str(error.filename)).name}: {error.strerror}"
            code = _refuse(AuditError("E119", cause, "check the path"), bool(kwargs.get("json_output")))
        except KeyboardInterrupt:
            print("interrupted; the same command continues", file=sys.stderr)
            code = 130
        raise typer.Exit(code)

    return wrapped


def _refuse(error: AuditError, json_output: bool) -> int:
    if json_output:
        record = {"code": error.code, "cause": error.cause, "remedy": error.remedy}
        _print_json({"error": record, "exit_code": error.exit_code})
    print(f"{error.code}  {error.cause}\n      → {error.remedy}", file=sys.stderr)
    return error.exit_code


@app.command()
@_coded
def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="project folder to write")] = Path(
        "unlearn-audit-demo"
    ),
    release: Annotated[
        str, typer.Option(help="int4: the original lies on the 4-bit grid; full: ordinary weights")
    ] = "int4",
    subject: Annotated[
        str, typer.Option(help="lab, smollm2, or large (about 100M parameters, wants a GPU)")
    ] = "lab",
    seed: Annotated[int, typer.Option(help="seed of persons, models and draws")] = 0,
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    quiet: QuietOption = False,
    json_output: JsonOption = False,
) -> int:
    """Run the whole audit on the built-in laboratory; ends with the verdict and the report's path."""
    from audit.plan.demo import write_demo_plan
    from audit.runs.confirm import break_seal
    from audit.runs.coordinator import Coordinator

    plan_file = write_demo_plan(out, subject=subject, release=release, seed=seed)
    run_folder, lock = _locked(plan_file, out / "run")
    coordinator = Coordinator(run_folder, device=device, workers=workers, progress=_progress(quiet))
    with coordinator.working():
        coordinator.execute()
        certificate = _certify(run_folder)
        if best := _best(certificate):
            break_seal(coordinator, best)
            certificate = _certify(run_folder)
    return _finish(run_folder, lock, certificate, json_output)


@app.command()
@_coded
def init(
    target: Annotated[Path, typer.Argument(help="file to write", metavar="audit.yaml")] = Path("audit.yaml"),
) -> None:
    """Write a commented plan for your own model and data."""
    from audit.plan.template import template

    if target.exists():
        raise AuditError("E140", f"{target.name} exists already", "remove it, or name another file")
    target.write_text(template(), encoding="utf-8")
    print(f"wrote {target}; edit it, then: unlearn-audit plan {target}")


@app.command()
@_coded
def plan(plan_file: PlanArgument, json_output: JsonOption = False) -> None:
    """Show cost, memory, time and what the numbers can prove; starts nothing."""
    from audit.plan.feasibility import assess
    from audit.plan.schema import load_plan

    assessment = assess(load_plan(plan_file))
    _print_json(assessment.to_json()) if json_output else print("\n".join(assessment.lines()))


@app.command()
@_coded
def lock(plan_file: PlanArgument, out: OutOption = None, json_output: JsonOption = False) -> None:
    """Pre-register: hash data, weights, recipes, attacks and budgets before anything is seen."""
    from audit.plan.cost import counted

    run_folder, locked = _locked(plan_file, out)
    if json_output:
        _print_json(
            {
                "run": str(run_folder),
                "audit_id": locked.audit_id,
                "lock_digest": locked.digest,
                "locked_at": locked.locked_at,
            }
        )
    else:
        what = (
            f"{counted(len(locked.configurations), 'candidate')} and {counted(len(locked.attacks), 'attack')}"
        )
        print(f"locked {what} as {locked.audit_id} in {run_folder}")


@app.command()
@_coded
def run(
    target: Annotated[
        Path, typer.Argument(help="plan file or locked run directory", metavar="audit.yaml|RUN")
    ],
    out: OutOption = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    quiet: QuietOption = False,
    json_output: JsonOption = False,
) -> int:
    """Unlearn, attack, score, certify and report; the same command resumes after an interruption."""
    from audit.plan.lock import read_lock

    run_folder, locked = (target, read_lock(target)) if target.is_dir() else _locked(target, out)
    _execute(run_folder, device, workers, quiet)
    return _finish(run_folder, locked, _certify(run_folder), json_output)


@app.command()
@_coded
def status(run_folder: RunArgument, json_output: JsonOption = False) -> None:
    """Look at a running or finished audit."""
    from audit.runs.status import look

    seen = look(run_folder)
    _print_json(seen.to_json()) if json_output else print("\n".join(seen.lines()))


@app.command()
@_coded
def certify(run_folder: RunArgument, json_output: JsonOption = False) -> int:
    """Statistics only, from the measurements table; no torch, seconds."""
    certificate = _certify(run_folder)
    _show(certificate, json_output)
    return certificate.verdict.exit_code


@app.command()
@_coded
def confirm(
    run_folder: RunArgument,
    checkpoint: Annotated[str, typer.Option(help="digest (at least 8 hex digits) of the checkpoint to ship")],
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    quiet: QuietOption = False,
    json_output: JsonOption = False,
) -> int:
    """Break the seal once: measure the sealed subjects for this checkpoint and certify again."""
    from audit.evidence.gate import pick

    chosen = pick(_read(run_folder), checkpoint).checkpoint
    certificate = _confirm(run_folder, chosen, device, workers, quiet)
    _show(certificate, json_output)
    return certificate.verdict.exit_code


@app.command()
@_coded
def gate(
    run_folder: RunArgument,
    checkpoint: CheckpointOption = None,
    junit: Annotated[Path | None, typer.Option(help="JUnit file to write; default: RUN/junit.xml")] = None,
    json_output: JsonOption = False,
) -> int:
    """Exit 0 only if the checkpoint that ships is in the valid set."""
    from audit.evidence.gate import decide
    from audit.report.junit import render

    certificate = _read(run_folder)
    decision = decide(certificate, checkpoint)
    target = junit or run_folder / "junit.xml"
    target.write_text(render(certificate, decision.checkpoint), encoding="utf-8")
    if json_output:
        _print_json(decision.to_json() | {"junit": str(target)})
    else:
        print("\n".join(decision.lines()))
        print(f"JUnit: {target}")
    return decision.verdict.exit_code


@app.command()
@_coded
def report(run_folder: RunArgument) -> int:
    """Write report.html from the certificate; no forgotten text, no JavaScript."""
    certificate = _read(run_folder)
    print(f"report: {_report(run_folder, certificate)}")
    return EXIT_PASS


@app.command("import")
@_coded
def import_logs(
    kind: Annotated[
        str, typer.Argument(help="whose logs: open-unlearning, tofu-legacy, lm-eval, table", metavar="KIND")
    ],
    folder: Annotated[Path, typer.Argument(help="folder that holds the logs", metavar="DIR")],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="folder to write, one audit per base model and forget list")
    ],
    role: Annotated[
        list[str] | None,
        typer.Option(help="original=GLOB or retrained=GLOB; otherwise taken from folder names"),
    ] = None,
    sample: Annotated[
        int | None, typer.Option(help="open only this many subjects per list, drawn by seed")
    ] = None,
    seed: Annotated[int, typer.Option(help="seed of the draw and the order")] = 0,
    loss: Annotated[
        str,
        typer.Option(help="what judges: answered, or above_twins where never-trained subjects are logged"),
    ] = "answered",
    only: Annotated[
        str, typer.Option(help="which audits, by a pattern of their folders' names: '*forget10'")
    ] = "*",
    json_output: JsonOption = False,
) -> None:
    """Turn another tool's evaluation logs into measurements; text is dropped, no torch is needed."""
    from audit.runs.imports import import_audits

    written = import_audits(
        kind, folder, out, roles=role or [], sample=sample, seed=seed, loss=loss, only=only
    )
    _print_json({"audits": [item.to_json() for item in written]}) if json_output else print(
        "\n".join(line for item in written for line in item.lines())
    )


@app.command()
@_coded
def dashboard(
    run_folder: Annotated[Path | None, typer.Argument(help="run directory", metavar="RUN")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="open every page once without a browser, then end")
    ] = False,
    port: Annotated[int, typer.Option(help="port on localhost")] = 8501,
) -> int:
    """Start the risk dashboard on localhost."""
    from audit.dashboard import check as check_pages
    from audit.dashboard import serve

    if check:
        print("pages that open: " + ", ".join(check_pages()))
        return EXIT_PASS
    if run_folder is None:
        raise AuditError("E141", "no run directory was named", "unlearn-audit dashboard RUN")
    _read(run_folder)
    return serve(run_folder, port=port)


@app.command()
@_coded
def methods(
    name: Annotated[str | None, typer.Argument(help="show this one in full", metavar="NAME")] = None,
    json_output: JsonOption = False,
) -> None:
    """List unlearning methods with what they need, cost and reach; one with parameters, budget and source."""
    from audit.methods.table import methods_table, row_of
    from audit.report import methods_text

    rows = [row_of(name)] if name else methods_table()
    if json_output:
        _print_json({"rows": [asdict(row) for row in rows]})
    else:
        print("\n".join(methods_text.described(rows[0])) if name else methods_text.listed(rows))


@app.command()
@_coded
def attacks(json_output: JsonOption = False) -> None:
    """List attacks with tier, doses, cost and never-trained control."""
    from audit.attacks.table import attacks_table

    _print_table(
        attacks_table(),
        json_output,
        (
            "attack",
            "tier",
            "in bound",
            "doses",
            "parameters",
            "cost",
            "1,000 subjects, H200",
            "about",
            "source",
        ),
        note="Time: an estimate for 1,000 subjects with six questions each, at 100M / 1B / 7B weights.",
    )


@app.command()
@_coded
def metrics(
    json_output: JsonOption = False,
    aggregates: Annotated[
        bool, typer.Option("--aggregates", help="the scores that benchmarks print for a whole model")
    ] = False,
) -> None:
    """List metrics with range, direction, version, what they need and cost, and source."""
    from audit.metrics.catalogue import aggregates_table, table

    if aggregates:
        columns = ("aggregate", "range", "better", "status", "about", "source")
        _print_table(aggregates_table(), json_output, columns)
    else:
        columns = (
            "metric",
            "version",
            "range",
            "known_better",
            "needs",
            "cost",
            "standard",
            "about",
            "source",
        )
        _print_table(table(), json_output, columns)


@app.command()
@_coded
def bounds(json_output: JsonOption = False) -> None:
    """List bounds with what they assume and the theorem they implement."""
    from audit.risk.catalogue import table

    _print_table(table(), json_output, ("bound", "designs", "losses", "about", "assumes", "source"))


@app.command()
@_coded
def validate(
    size: Annotated[
        str, typer.Option(help="quick: a minute on two cores; full: 10,000 replications per cell")
    ] = "quick",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="file to write as well: .html or .json")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="print every cell, not only the worst of each procedure")
    ] = False,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
    json_output: JsonOption = False,
) -> int:
    """Prove the statistics on this machine: every promise simulated, every invalid procedure caught."""
    from audit.report import validation as told
    from audit.risk.validation.study import validate as run_study

    if out and out.suffix not in (".html", ".json"):
        raise AuditError("E463", f"{out.name} ends neither in .html nor in .json", "name such a file")
    study = run_study(size, processes=workers or min(2, os.cpu_count() or 1), progress=_progress(quiet))
    trouble = study.trouble()
    if out:
        record = json.dumps({"schema_version": 1, **study.to_json()}, indent=1)
        out.write_text(told.render(study) if out.suffix == ".html" else record, encoding="utf-8")
    if json_output:
        _print_json(study.to_json())
    else:
        rows = (told.promises(study), told.COLUMNS) if everything else (told.worst(study), told.WORST_COLUMNS)
        _print_table(rows[0], False, rows[1])
        print()
        _print_table(told.invalid(study), False, told.INVALID_COLUMNS)
        print("\n" + "\n".join(told.summary(study)))
    if trouble:
        _refuse(trouble, json_output=False)
        return EXIT_INTEGRITY
    return EXIT_PASS


def main() -> None:
    """Entry point of ``unlearn-audit``."""
    app()


# -- what several verbs share ------------------------------------------------------------------------------------


def _locked(plan_file: Path, out: Path | None) -> tuple[Path, Lock]:
    from audit.plan.lock import make_lock, read_lock, write_lock
    from audit.plan.schema import load_plan

    made = make_lock(load_plan(plan_file), plan_file.parent)
    run_folder = out or plan_file.parent / "runs" / f"{plan_file.stem}-{made.audit_id}"
    write_lock(run_folder, made)
    return run_folder, read_lock(run_folder)


def _execute(run_folder: Path, device: str, workers: int | None, quiet: bool) -> None:
    from audit.runs.confirm import break_seal
    from audit.runs.coordinator import Coordinator

    coordinator = Coordinator(run_folder, device=device, workers=workers, progress=_progress(quiet))
    with coordinator.working():
        coordinator.execute()
        if opening := coordinator.ledger.sealed_opening(coordinator.world.lock.digest):
            break_seal(coordinator, opening.checkpoint)  # confirmed before: its jobs are done


def _confirm(run_folder: Path, checkpoint: str, device: str, workers: int | None, quiet: bool) -> Certificate:
    from audit.runs.confirm import open_seal

    open_seal(run_folder, checkpoint, device=device, workers=workers, progress=_progress(quiet))
    return _certify(run_folder)


def _progress(quiet: bool) -> Progress:
    from audit.core.progress import for_terminal

    return for_terminal(quiet)


def _certify(run_folder: Path) -> Certificate:
    from audit.evidence import bundle
    from audit.evidence.certify import certify as make
    from audit.measurements import store

    certificate = make(store.read(run_folder / "measurements"))
    bundle.write(run_folder, certificate)
    return certificate


def _read(run_folder: Path) -> Certificate:
    from audit.evidence import bundle

    return bundle.read(run_folder)


def _best(certificate: Certificate) -> str | None:
    """Return the checkpoint of the valid configuration with the smallest CUR, as ``demo`` confirms it."""
    ranked = sorted(certificate.valid_set, key=lambda c: (c.cur, c.utility_upper))
    return ranked[0].checkpoint if ranked else None


def _report(run_folder: Path, certificate: Certificate) -> Path:
    from audit.report.html import render

    target = run_folder / "report.html"
    target.write_text(render(certificate), encoding="utf-8")
    return target


def _finish(run_folder: Path, locked: Lock, certificate: Certificate, json_output: bool) -> int:
    from audit.evidence.leaks import refuse
    from audit.report import failed
    from audit.runs.finish import drop_refused_weights, forget_list, outputs
    from audit.runs.status import failures

    drop_refused_weights(run_folder, {c.checkpoint for c in certificate.valid_set})
    target = _report(run_folder, certificate)
    refuse(outputs(run_folder), forget_list(run_folder))
    _show(certificate, json_output)
    if not json_output:
        for line in failed.lines(certificate, failures(run_folder), str(run_folder)):
            print(line)
        print(f"\nreport     {target}\ndashboard  unlearn-audit dashboard {run_folder}")
    return certificate.verdict.exit_code


def _show(certificate: Certificate, json_output: bool) -> None:
    from audit.report.text import lines

    _print_json(certificate.to_json()) if json_output else print("\n".join(lines(certificate)))


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps({"schema_version": 1, **value}, indent=1, ensure_ascii=False))


def _print_table(
    rows: list[dict[str, Any]], json_output: bool, columns: tuple[str, ...], note: str = ""
) -> None:
    if json_output:
        _print_json({"rows": rows})
        return
    from audit.report.table_text import table_text

    print(table_text(rows, columns, width=None if sys.stdout.isatty() else 160))
    if note:
        print(note)


if __name__ == "__main__":
    main()
