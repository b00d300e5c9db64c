"""Tables in memory as sources: kept as files, which reports and resumed runs can name."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dnagpt_hf.atomic_files import new_file
from dnagpt_hf.records.reading import to_records
from dnagpt_hf.tasks.sources import FORMS, SPLITS


def as_source(data: Any, folder: Path) -> Any:
    """Convert data of a Python call to the entry `data:` of a YAML file.

    Args:
        data: an entry as [`open_source`] takes it; the path of a file; a table in memory, as
            [`to_records`] reads it; or a mapping of splits to these.
        folder: folder for the files of tables, whose names change with their content.

    Example:

        >>> import tempfile
        >>> as_source({"train": "a.csv"}, Path())
        {'train': 'a.csv'}
        >>> source = as_source([{"sequence": "ACGT", "label": "1"}], Path(tempfile.mkdtemp()))
        >>> Path(source["files"]).read_text()
        '{"sequence": "ACGT", "label": "1"}\\n'
    """
    if isinstance(data, os.PathLike):
        return os.fspath(data)
    if isinstance(data, Mapping) and data.keys() & {*SPLITS}:
        return {split: as_source(one, folder) for split, one in data.items()}
    if data is None or isinstance(data, str | Mapping) or _is_list_of_sources(data):
        return data
    # values that JSON does not have, such as numbers of NumPy, are read again from their text
    rows = [
        json.dumps(record.values, ensure_ascii=False, default=str) for record in to_records(data)
    ]
    content = "".join(f"{row}\n" for row in rows).encode()
    digest = hashlib.blake2b(content, digest_size=4).hexdigest()
    path = folder.resolve() / f"records-{digest}.jsonl"
    if not path.exists():
        with new_file(path, overwrite=True, shared=True) as partial:
            partial.write_bytes(content)
    return {"files": str(path)}


def _is_list_of_sources(data: Any) -> bool:
    """Tell a list of sources from a list of rows, which have no key of a form."""
    return isinstance(data, list) and all(
        isinstance(one, str) or (isinstance(one, Mapping) and len(one.keys() & FORMS.keys()) == 1)
        for one in data
    )
