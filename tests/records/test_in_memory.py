from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pytest

from dnagpt_hf.records.files import RecordError
from dnagpt_hf.records.reading import Record, to_records


def rows(data: object) -> list[tuple[str, dict[str, object]]]:
    return [(record.name, dict(record.values)) for record in to_records(data)]


def test_a_path_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.fa"
    path.write_text(">first\nACGT\n")
    found = rows(path)
    assert found == rows(str(path))
    assert found[0][0] == "first" and found[0][1]["sequence"] == "ACGT"


def test_sequences_mappings_and_records_may_be_mixed() -> None:
    own = Record({"sequence": "C"}, "own", "a.fa", 7, 9)
    data = ["A", {"ID": "b", "sequence": "T"}, own]
    assert rows(data) == [
        ("1", {"sequence": "A"}),
        ("b", {"ID": "b", "sequence": "T"}),
        ("own", {"sequence": "C"}),
    ]


def test_missing_values_of_a_table_are_empty() -> None:
    table = pd.DataFrame({"name": ["a", None], "sequence": ["ACGT", "GG"], "x": [0.5, np.nan]})
    assert rows(table) == [
        ("a", {"name": "a", "sequence": "ACGT", "x": 0.5}),
        ("2", {"name": "", "sequence": "GG", "x": ""}),
    ]


def test_classes_of_a_dataset_are_names() -> None:
    features = datasets.Features(
        {"sequence": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    dataset = datasets.Dataset.from_dict({"sequence": ["A", "C"], "label": [1, -1]}, features)
    assert [values["label"] for _, values in rows(dataset)] == ["yes", ""]


def test_anything_else_is_refused() -> None:
    with pytest.raises(TypeError, match="records cannot be read from a int: give a path"):
        rows(3)
    with pytest.raises(ValueError, match="the DataFrame: there are two columns 'x': rename one"):
        rows(pd.DataFrame([["ACGT", 1, 2]], columns=["sequence", "x", "x"]))
    with pytest.raises(TypeError, match="the list, record 2 is of type float"):
        rows(["ACGT", 0.5])


def test_a_sequence_is_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecordError, match=r"no file acgtN.*…, which looks like .*: give a list of"):
        rows("acgtN" * 1000)
    monkeypatch.chdir(tmp_path)
    Path("cat").write_text(">a\nACGT\n")
    assert [values["sequence"] for _, values in rows("cat")] == ["ACGT"]
