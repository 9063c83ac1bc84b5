"""The waist on disk: ``rows/*.parquet``, named by content; units, probes and header beside them.

A shard's name is the digest of its sorted rows, not of the Parquet bytes, so another version of the writer
cannot change a name, and writing the same rows twice is one file. Every file is written beside its place and
renamed; ``header.json`` comes last and lists the shards that belong to it, so a folder with a header is
complete, and a shard that is lost or left over from an interrupted write is noticed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audit.core.digest import canonical_json
from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.measurements.table import KEY_COLUMNS, PROBE_COLUMNS, ROW_COLUMNS, UNIT_COLUMNS, Measurements

pd = lazy("pandas")
pa = lazy("pyarrow")
pq = lazy("pyarrow.parquet")

_NUMBERS = {"seed": "int64", "dose": "float64", "fold": "int64", "draw": "int64", "value": "float64"}
_SHARDS = "shards"  # key of the header on disk; not part of the header in memory
_FORMAT = "rows-1"  # enters every shard's name; changes when the meaning of the digest does


def write(folder: Path, measurements: Measurements) -> None:
    """Write all four parts; what the folder held before is replaced."""
    shard = write_shard(folder, measurements.rows)
    write_tables(folder, measurements.units, measurements.probes, measurements.header, shards=[shard])
    for path in _shards(folder):
        if path != shard:
            path.unlink()


def write_tables(
    folder: Path, units: Any, probes: Any, header: dict[str, Any], *, shards: Sequence[Path] | None = None
) -> None:
    """Write units, probes and, last, the header, for the given shards (None: all that are there)."""
    _write_frame(
        folder / "units.parquet", units[list(UNIT_COLUMNS)].sort_values("subject", ignore_index=True)
    )
    _write_frame(
        folder / "probes.parquet",
        probes[list(PROBE_COLUMNS)]
        .astype({"entropy_bits": "float64", "answer_tokens": "Int64"})
        .sort_values(["subject", "probe"], ignore_index=True),
    )
    names = sorted(path.stem for path in (_shards(folder) if shards is None else shards))
    text = canonical_json({**header, _SHARDS: names})
    _replace(folder / "header.json", lambda path: path.write_text(text, encoding="utf-8"))


def write_shard(folder: Path, rows: Any) -> Path:
    """Write ``rows`` to ``folder/rows/<digest of the sorted rows>.parquet`` and return that path."""
    ordered = sort_rows(rows)
    path = folder / "rows" / f"{_digest(ordered)}.parquet"
    if not path.exists():
        _write_frame(path, ordered)
    return path


def read(folder: Path, *, check: bool = True) -> Measurements:
    """Read and validate a folder; with ``check`` every shard's content must equal its name.

    Text columns of ``rows`` are categorical. Raises E121 (missing part), E122 (unreadable part),
    E523 (altered shard), E120 (parts that do not fit each other).
    """
    header = _read_header(folder)
    names = header.pop(_SHARDS, None)
    shards = _shards(folder) if names is None else [folder / "rows" / f"{name}.parquet" for name in names]
    if not shards:
        raise _missing("rows/*.parquet", folder)
    tables = [_read_table(shard) for shard in shards]
    if check:
        altered = sum(
            _digest(sort_rows(t.to_pandas())) != s.stem for t, s in zip(tables, shards, strict=True)
        )
        if altered:
            raise AuditError(
                "E523", f"{altered} of {len(shards)} shards differ from their name", "measure these again"
            )
    rows = pa.concat_tables(tables).unify_dictionaries().combine_chunks().to_pandas()
    units, probes = (_read_table(folder / f"{name}.parquet").to_pandas() for name in ("units", "probes"))
    return Measurements(rows, units, probes, header)


def same(first: Measurements, second: Measurements) -> bool:
    """Return whether both hold the same rows, byte for byte, in whatever order they stand."""
    return rows_digest(first.rows) == rows_digest(second.rows)


def rows_digest(rows: Any) -> str:
    """Return the SHA-256 of the rows sorted by KEY_COLUMNS; row order, encoding and Parquet do not matter."""
    return _digest(sort_rows(rows))


def sort_rows(rows: Any) -> Any:
    """Return ``rows`` in canonical types, sorted by KEY_COLUMNS; text becomes categorical."""
    columns = {name: _column(rows[name], name) for name in ROW_COLUMNS}
    keys = [columns[name].codes if name not in _NUMBERS else columns[name] for name in KEY_COLUMNS]
    order = np.lexsort(keys[::-1])
    return pd.DataFrame({name: column[order] for name, column in columns.items()}, copy=False)


def _column(series: Any, name: str) -> Any:
    if name in _NUMBERS:
        numbers = series.to_numpy(dtype=_NUMBERS[name])
        return numbers + 0.0 if numbers.dtype == np.float64 else numbers  # -0.0 and 0.0 are one value
    column = pd.Categorical(series).remove_unused_categories()
    if (column.codes < 0).any():
        raise ValueError(f"{int((column.codes < 0).sum())} rows have no {name}")
    return column.reorder_categories(sorted(column.categories)).astype("category")


def _digest(ordered: Any) -> str:
    """Hash column by column: dictionary and codes of text, raw little-endian bytes of numbers."""
    hasher = hashlib.sha256(canonical_json([_FORMAT, len(ordered), list(ROW_COLUMNS)]).encode())
    for name in ROW_COLUMNS:
        if name in _NUMBERS:
            kind = "<f8" if _NUMBERS[name] == "float64" else "<i8"
            hasher.update(np.ascontiguousarray(ordered[name].to_numpy(), dtype=kind).tobytes())
        else:
            hasher.update(canonical_json(list(map(str, ordered[name].cat.categories))).encode())
            hasher.update(ordered[name].cat.codes.to_numpy().astype("<u4").tobytes())
    return hasher.hexdigest()


def _write_frame(path: Path, frame: Any) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    _replace(path, lambda to: pq.write_table(table, to, compression="zstd"))


def _replace(path: Path, fill: Callable[[Path], object]) -> None:
    """Fill a temporary file in the same folder, then rename: a reader sees all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    os.close(handle)
    try:
        fill(Path(name))
        os.chmod(name, 0o644)  # mkstemp's 0600 would keep other readers of a shared run directory out
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _read_header(folder: Path) -> dict[str, Any]:
    path = folder / "header.json"
    if not path.is_file():
        raise _missing("header.json", folder)
    try:
        header = json.loads(path.read_bytes())
    except ValueError as error:
        raise _unreadable(path, error) from None
    if not isinstance(header, dict):
        raise AuditError(
            "E122", f"header.json holds a {type(header).__name__}, not an object", "measure or import again"
        )
    return header


def _read_table(path: Path) -> Any:
    if not path.is_file():
        raise _missing(path.name, path.parent)
    try:
        text = [name for name in ROW_COLUMNS if name not in _NUMBERS] if path.parent.name == "rows" else None
        return pq.ParquetFile(path, read_dictionary=text).read()
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None


def _shards(folder: Path) -> list[Path]:
    return sorted((folder / "rows").glob("*.parquet"))


def _missing(part: str, folder: Path) -> AuditError:
    return AuditError(
        "E121", f"{folder} has no {part}", "name a folder that a run or an import has completed"
    )


def _unreadable(path: Path, error: Exception) -> AuditError:
    # The reader's own message may quote the file's content; its type says enough.
    return AuditError(
        "E122", f"{path.name} cannot be read ({type(error).__name__})", "measure or import again"
    )
