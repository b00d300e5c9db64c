"""Columns of records under other names, and columns with one value for all records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from dnagpt_hf.messages import did_you_mean
from dnagpt_hf.records.reading import Record


def change_columns(
    records: Iterable[Record],
    columns: Mapping[str, str] | None = None,
    set: Mapping[str, Any] | None = None,
) -> Iterator[Record]:
    """Rename columns of records, and add columns.

    Args:
        records: the records.
        columns: columns to rename, `{NEW: OLD}`.
        set: columns with the same value for all records.

    Raises:
        ValueError: a column gets two names.
        RecordError: a record lacks a column, or has another one of the new name.

    Example:

        >>> record = Record({"Seq": "ACGT"}, "a", "a.csv", 1, 2)
        >>> [record] = change_columns([record], {"sequence": "Seq"}, {"species": "R"})
        >>> record.values
        {'sequence': 'ACGT', 'species': 'R'}
    """
    new_names = {old: new for new, old in (columns or {}).items()}
    if len(new_names) < len(columns or {}):
        raise ValueError("columns gives two names to one column: give it one")
    return (_changed(record, new_names, set or {}) for record in records)


def _changed(record: Record, new_names: Mapping[str, str], set: Mapping[str, Any]) -> Record:
    for old in new_names:
        if old not in record.values:
            raise record.error(
                f"there is no column {old!r}, only {', '.join(record.values)}"
                f"{did_you_mean(old, record.values)}"
            )
    values = {new_names.get(name, name): value for name, value in record.values.items()}
    if len(values) < len(record.values):
        there = new_names.values()
        taken = next(name for name in there if name in record.values and name not in new_names)
        raise record.error(f"columns: there is a column {taken!r} already: rename that one too")
    return replace(record, values={**values, **set})
