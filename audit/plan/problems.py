"""What the schema refuses, in the words of a plan: which field, what stands there, which form it has."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from audit.core.errors import AuditError
from audit.methods.base import METHODS

_CANDIDATE = "write a recipe such as npo(lr=1e-4), {given: PATH}, or {sweep: npo, lr: [1e-5, 1e-4]}"
_LISTS = {
    "candidates": "[npo, ga]",
    "attacks": "[none, quantize(int4)]",
    "metrics": "[truth_ratio_geometric]",
    "primary": "[recovered]",
    "vetoes": "[over_forgotten]",
    "sweep": "[npo, ga]",
}
_LIMITS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "string": "text",
    "bool": "true or false",
    "path": "a path",
}


def first_problem(error: ValidationError, plan: type[BaseModel]) -> AuditError:
    """Return the first problem as E104; ``plan``: the model whose fields an unknown one is compared with."""
    problems = error.errors()
    problem = problems[0]
    named, *inner = problem["loc"]
    if named == "candidates" and inner:
        return _candidate(int(inner[0]), problems)
    if problem["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str([named, *inner][-1]), list(_names(plan)), n=1)
        hint = f"did you mean {close[0]!r}?" if close else "see `unlearn-audit init` for the fields"
        return AuditError("E104", f"the plan has no field {'.'.join(map(str, problem['loc']))!r}", hint)
    where, record = _place(plan, problem["loc"])
    told = [_told(p, where[-1], record) for p in problems if _place(plan, p["loc"])[0] == where]
    cause, remedy = told[0][0], " or ".join(dict.fromkeys(form for _, form in told))
    return AuditError("E104", f"plan field {'.'.join(where)} {cause}", remedy)


def _told(problem: Mapping[str, Any], field: str, record: type[BaseModel] | None) -> tuple[str, str]:
    """Return what is wrong with a field, and the form it has."""
    kind, value, limits = problem["type"], problem.get("input"), problem.get("ctx", {})
    example = _LISTS.get(field.partition("[")[0], "[…]")
    if kind == "missing":
        return "is missing", f"add `{field}: …`"
    if kind == "tuple_type":
        return f"is {_seen(value)}, not a list", f"write a list: {field}: {example}"
    if kind == "too_short":
        return "is an empty list", f"name at least one: {field}: {example}"
    if kind == "model_type":
        names = ", ".join(f"{name}: …" for name in (record.model_fields if record else ()))
        return f"is {_seen(value)}, it has fields of its own", f"write {field}: {{{names}}}"
    if kind == "literal_error":
        return f"is {_seen(value)}, none of what it can be", f"write {limits['expected']}"
    if kind in _LIMITS:
        name, word = _LIMITS[kind]
        return f"is {_seen(value)}", f"give a number {word} {limits[name]:g}"
    wanted = next((word for start, word in _KINDS.items() if kind.startswith(start)), None)
    if wanted and "[" in field and wanted == "text":
        return f"is {_seen(value)}, not text", f"write {example}"
    if wanted:
        return f"is {_seen(value)}, not {wanted}", f"give {wanted}"
    return f"cannot be read: {problem['msg'].lower()}", "see `unlearn-audit init` for what it takes"


def _candidate(number: int, problems: list[Any]) -> AuditError:
    """Return why one candidate is neither text nor a given checkpoint; a sweep was taken out before."""
    own = [problem for problem in problems if problem["loc"][1] == number]
    value = next(problem["input"] for problem in own if problem["loc"][2:] == ("str",))
    cause = f"candidate {number + 1} of the plan is {_seen(value)}, none of the forms a candidate has"
    if not isinstance(value, Mapping) or not value:
        return AuditError("E104", cause, _CANDIDATE)
    first, inside = next(iter(value.items()))
    if "given" in value:
        beside = ", ".join(sorted(str(key) for key in value if key != "given"))
        found = f"holds {beside} beside `given`" if beside else "names no directory under `given`"
        return AuditError(
            "E104", f"candidate {number + 1} of the plan {found}", "write {given: PATH} and nothing else"
        )
    if first in METHODS and isinstance(inside, Mapping):
        written = ", ".join(f"{key}={item}" for key, item in inside.items())
        return AuditError("E104", cause, f'write it in brackets: "{first}({written})"')
    close = difflib.get_close_matches(str(first), ("sweep", "given"), n=1)
    return AuditError("E104", cause, f"did you mean {close[0]!r}? {_CANDIDATE}" if close else _CANDIDATE)


def _seen(value: Any) -> str:
    """Say what stands in a field; a number as it is, text only as text."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return reprlib.repr(value)
    if isinstance(value, Mapping):
        return (
            f"a mapping with the keys {', '.join(map(reprlib.repr, value))}" if value else "an empty mapping"
        )
    return (
        "text"
        if isinstance(value, str)
        else "a list"
        if isinstance(value, list | tuple)
        else "of another kind"
    )


def _place(plan: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[list[str], type[BaseModel] | None]:
    """Return the way to a field as the plan spells it, ``attacks[2]`` the second, and the model that it holds."""
    where: list[str] = []
    found: type[BaseModel] | None = plan
    for part in loc:
        if isinstance(part, int) and where:
            where[-1] += f"[{part + 1}]"
        elif found and str(part) in found.model_fields:
            where.append(str(part))
            found = next(_models(found.model_fields[str(part)].annotation), None)
        elif not where:
            where.append(str(part))
    return where, found  # what is left is a branch of a union, the schema's own affair


def _names(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        for inner in _models(field.annotation):
            yield from _names(inner)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    for part in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(part, type) and issubclass(part, BaseModel):
            yield part
