"""The fields of a plan file, as plain data: YAML without its silent spots, in which a doubled key wins unsaid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from audit.core.errors import AuditError


class _Once(yaml.SafeLoader):
    """A safe loader that refuses a key given twice in one mapping."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return the node as it is written: merge keys come later and may be overridden."""
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key in _scalars(node):
            if (key.tag, key.value) in seen:
                line = key.start_mark.line + 1
                cause = f"the plan names {key.value!r} a second time, at line {line}"
                raise AuditError("E103", cause, "keep one of them: the other would be dropped")
            seen.add((key.tag, key.value))
        return node


def _scalars(node: yaml.MappingNode) -> Iterator[yaml.ScalarNode]:
    return (key for key, _ in node.value if isinstance(key, yaml.ScalarNode))


def fields_of(path: Path) -> dict[str, Any]:
    """Return the fields of a plan file; E100 where there is none, E103 where it is no YAML mapping."""
    if not path.is_file():
        raise AuditError(
            "E100", f"there is no plan file {path.name!r}", "write one with `unlearn-audit init`"
        )
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_Once)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date or number that is none
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise AuditError("E103", f"{path.name} is not YAML{where}", "mend the file") from None
    if not isinstance(data, dict):
        raise AuditError("E103", f"{path.name} holds no fields", "write one with `unlearn-audit init`")
    return data
