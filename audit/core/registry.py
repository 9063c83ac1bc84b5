"""Registries: a folder's files register themselves on first look-up; objects print as their constructor.

One file adds a thing. Whatever is registered is a frozen dataclass; ``npo(beta=0.1)`` builds one and
``canonical`` writes it back with every field, so that a changed default can never change an old lock.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import importlib
import keyword
import pkgutil
import reprlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from audit.core.errors import AuditError

T = TypeVar("T")

_WORDS = {"true": True, "false": False, "none": None}  # as constructor texts spell them


class Registry(Generic[T]):
    """Names to classes of one kind, filled by importing ``packages`` when first asked.

    Parameters
    ----------
    kind: what is registered, singular, for messages ("attack").
    packages: import paths of the folders whose modules register themselves.

    """

    def __init__(self, kind: str, *packages: str) -> None:
        self.kind = kind
        self.packages = packages
        self._entries: dict[str, type[T]] = {}
        self._loaded = False

    def register(self, name: str) -> Callable[[type[T]], type[T]]:
        """Return a class decorator that files the class under ``name`` and sets its ``name`` attribute."""

        def file(cls: type[T]) -> type[T]:
            if name in self._entries:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            cls.name = name  # type: ignore[attr-defined]
            self._entries[name] = cls
            return cls

        return file

    def __getitem__(self, name: str) -> type[T]:
        self._load()
        if name not in self._entries:
            close = difflib.get_close_matches(name, self._entries, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(self.names())}"
            raise AuditError("E110", f"no {self.kind} is called {name!r}", hint)
        return self._entries[name]

    def __contains__(self, name: str) -> bool:
        self._load()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def names(self) -> list[str]:
        """Return all registered names, sorted."""
        self._load()
        return sorted(self._entries)

    def build(self, text: str) -> T:
        """Return the object that a constructor text such as ``npo(beta=0.2)`` describes."""
        call = parse_call(text)
        return construct(self[call.name], call, kind=self.kind)

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        for package in self.packages:
            folder = importlib.import_module(package)
            for module in pkgutil.iter_modules(folder.__path__):
                importlib.import_module(f"{package}.{module.name}")


@dataclasses.dataclass(frozen=True)
class Call:
    """A parsed constructor text."""

    name: str
    positional: tuple[Any, ...]
    keywords: dict[str, Any]


def parse_call(text: str) -> Call:
    """Parse ``name``, ``name(1, key=2.5, other=[1, 2], word, flag=true)``; nothing is evaluated."""
    bad = AuditError(
        "E111", f"{text!r} is not of the form name(value, key=value)", "check brackets and commas"
    )
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # a null byte; brackets without end
        raise bad from None
    if isinstance(node, ast.Name):
        return Call(node.id, (), {})
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise bad
    keys = [item.arg for item in node.keywords]
    if None in keys:
        raise bad
    if len(set(keys)) < len(keys):  # the parser alone would silently keep the last
        doubled = next(key for key in keys if keys.count(key) > 1)
        raise AuditError("E112", f"{node.func.id} got {doubled!r} twice", "give it once")
    positional = tuple(_literal(item, bad) for item in node.args)
    return Call(node.func.id, positional, {str(k.arg): _literal(k.value, bad) for k in node.keywords})


def construct(cls: type[T], call: Call, *, kind: str) -> T:
    """Build a dataclass from a call; unknown and doubled parameters are errors, never silence."""
    fields = [f.name for f in dataclasses.fields(cls) if f.init]  # type: ignore[arg-type]
    if len(call.positional) > len(fields):
        raise AuditError(
            "E112",
            f"{kind} {call.name} takes {len(fields)} values, got {len(call.positional)}",
            _takes(call.name, fields),
        )
    values = dict(zip(fields, call.positional, strict=False))
    for key, value in call.keywords.items():
        if key not in fields:
            close = difflib.get_close_matches(key, fields, n=1)
            hint = f"did you mean {close[0]!r}?" if close else _takes(call.name, fields)
            raise AuditError("E112", f"{kind} {call.name} has no parameter {key!r}", hint)
        if key in values:
            raise AuditError("E112", f"{kind} {call.name} got {key!r} twice", "give it once")
        values[key] = value
    if missing := [name for name, field in _required(cls).items() if name not in values]:
        words = _words_of(_required(cls)[missing[0]])
        known = f"{call.name}({words[0]}); {missing[0]} is one of {', '.join(words)}" if words else ""
        hint = f"write for example {known}" if known else _takes(call.name, fields)
        raise AuditError("E112", f"{kind} {call.name} needs {' and '.join(missing)}", hint)
    try:
        return cls(**values)
    except ValueError as error:
        raise AuditError("E112", f"{kind} {call.name}: {error}", _takes(call.name, fields)) from None
    except (TypeError, AttributeError, OverflowError):  # Python's own words are about Python
        given = ", ".join(f"{name}={reprlib.repr(value)}" for name, value in values.items())
        cause = f"{kind} {call.name}: {given} holds a value of the wrong kind or size"
        raise AuditError("E112", cause, _takes(call.name, fields)) from None


def _required(cls: Any) -> dict[str, Any]:
    """Return name -> annotation of the fields without a default."""
    return {
        f.name: f.type
        for f in dataclasses.fields(cls)
        if f.init and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }


def _words_of(annotation: Any) -> list[str]:
    """Return the words of an annotation such as ``Literal['a', 'b']``, none of any other."""
    text = annotation if isinstance(annotation, str) else ""
    return list(ast.literal_eval(text.removeprefix("Literal"))) if text.startswith("Literal[") else []


def canonical(item: Any) -> str:
    """Return the constructor text of a registered dataclass with every field, in order of definition.

    Fields without a default stand bare, all others as ``name=value``: ``quantize(nf4, group=64, merged=true)``.
    """
    inside = ", ".join(_argument(f, getattr(item, f.name)) for f in dataclasses.fields(item) if f.init)
    return f"{item.name}({inside})" if inside else item.name


def short(item: Any, *, without: str = "") -> str:
    """Return the shortest constructor text that builds ``item``: for tables and axes, never for keys.

    A field whose metadata hold ``said`` is written even at its default: what the name alone would not tell.
    ``without``: a field to leave out, which a table says in another way.
    """
    inside = ", ".join(
        _argument(f, getattr(item, f.name))
        for f in dataclasses.fields(item)
        if f.init
        and f.name != without
        and (f.metadata.get("said") or f.default is dataclasses.MISSING or getattr(item, f.name) != f.default)
    )
    return f"{item.name}({inside})" if inside else item.name


def _argument(field: dataclasses.Field, value: Any) -> str:
    required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    return _text(value) if required else f"{field.name}={_text(value)}"


def _takes(name: str, fields: list[str]) -> str:
    return f"{name} takes {', '.join(fields) if fields else 'no parameters'}"


def _literal(node: ast.expr, bad: AuditError) -> Any:
    if isinstance(node, ast.Name):
        return _WORDS.get(node.id, node.id)
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float | str | bool | None):
        if isinstance(node.value, int | float) and not abs(node.value) <= _most(node.value):
            raise AuditError("E112", "a number is larger than any machine counts", "give a smaller one")
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and _is_number(node.operand):
        return -_literal(node.operand, bad)
    if isinstance(node, ast.List | ast.Tuple):
        return tuple(_literal(item, bad) for item in node.elts)
    raise bad


def _most(value: float) -> float:
    return 2**63 - 1 if isinstance(value, int) else sys.float_info.max


def _is_number(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, int | float)
        and not isinstance(node.value, bool)
    )


def _stands_bare(word: str) -> bool:
    """Whether a string reads back as itself without quotes: no keyword of the parser's, no ``true``."""
    return word.isidentifier() and word.isascii() and not keyword.iskeyword(word) and word not in _WORDS


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_text, value)) + "]"
    if isinstance(value, str):
        return value if _stands_bare(value) else repr(value)
    return repr(value)
