"""Folders of published benchmarks."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path
from typing import Any

import pytest

from dnagpt_hf.records.files import RecordError
from dnagpt_hf.tasks.sources import open_source


def opened(**spec: Any) -> Any:
    """The source of the form whose folder is given first."""
    (form, folder), *others = spec.items()
    return open_source({form: str(folder), **dict(others)}, Path())


def signals(folder: Path, variants: Any = "all") -> Any:
    return opened(deepgsr=folder, variants=variants)["all"]


def window(motif: str, side: str = "ACGTN" * 60) -> str:
    return side + motif + side


@pytest.fixture
def deepgsr(tmp_path: Path) -> Path:
    """Files as published: an empty first line, headers that repeat, lower case, gzip."""
    text = f"\r\n>1\r\n{window('aataaa')}\r\n>1\r\n{window('AATAAA')}\r\n"
    (tmp_path / "hs_AATAAA_polyA.fa").write_text(text)
    (tmp_path / "hs_negAATAAA_polyA.fa").write_text(f">1\n{window('AATAAA')}\n")
    for name in ("hs_ATTAAA_polyA.fa.gz", "hs_negATTAAA_polyA.fa.gz"):
        (tmp_path / name).write_bytes(gzip.compress(f">c1:5-9(+)\n{window('ATTAAA')}\n".encode()))
    (tmp_path / "README.md").touch()
    return tmp_path


def test_deepgsr(deepgsr: Path) -> None:
    records = list(signals(deepgsr))
    assert [(r.values["variant"], r.values["label"], r.line) for r in records] == [
        ("AATAAA", "signal", 2),
        ("AATAAA", "signal", 4),
        ("AATAAA", "none", 1),
        ("ATTAAA", "signal", 1),
        ("ATTAAA", "none", 1),
    ]
    assert records[0].values == {
        "name": "1",
        "sequence": window("AATAAA"),
        "label": "signal",
        "variant": "AATAAA",
        "species": "R",
        "motif_start": 300,
    }
    assert records[3].name == "c1:5-9(+)"


def test_variants_of_deepgsr(deepgsr: Path) -> None:
    records = list(signals(deepgsr, ["ATTAAA", "AATAAA"]))
    assert [r.values["variant"] for r in records] == ["ATTAAA"] * 2 + ["AATAAA"] * 3
    assert len(list(signals(deepgsr, "ATTAAA"))) == 2
    with pytest.raises(ValueError, match="has no variant 'AAGAAA', only AATAAA, ATTAAA"):
        signals(deepgsr, ["AAGAAA"])
    (deepgsr / "hs_negATTAAA_polyA.fa.gz").unlink()
    with pytest.raises(ValueError, match=r"variant ATTAAA has only hs_ATTAAA.*of the class none"):
        signals(deepgsr, ["ATTAAA"])
    with pytest.raises(ValueError, match=r"has no files as hs_AATAAA_polyA\.fa"):
        signals(deepgsr.parent)


@pytest.mark.parametrize(("prefix", "token"), [("hs", "R"), ("mm", "S"), ("bt", "V"), ("dm", "O")])
def test_species_of_deepgsr(tmp_path: Path, prefix: str, token: str) -> None:
    for kind in ("", "neg"):
        (tmp_path / f"{prefix}_{kind}ATG_TIS.fa").write_text(f">1\n{window('ATG')}\n")
    records = list(signals(tmp_path))
    assert [(r.values["species"], r.values["variant"]) for r in records] == [(token, "ATG")] * 2


def test_hybpas(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "AAAAAG_pos.fa").write_text(f">1\n{window('AATGAA')}\n")
    (tmp_path / "AAAAAG_neg.fa").write_text(f">2\n{window('AAAAAG')}\n")
    with caplog.at_level(logging.WARNING):
        first, second = signals(tmp_path)
    assert [first.values[key] for key in ("variant", "label", "species")] == [
        "AATGAA",
        "signal",
        "",
    ]
    assert [second.values[key] for key in ("variant", "label")] == ["AAAAAG", "none"]
    assert "AAAAAG_pos.fa: 1 sequences have another motif than its name" in caplog.text
    assert "AAAAAG_neg.fa" not in caplog.text


def test_a_sequence_that_ends_before_its_motif(deepgsr: Path) -> None:
    (deepgsr / "hs_AATAAA_polyA.fa").write_text(">short\n" + "A" * 305 + "\n")
    message = r"hs_AATAAA_polyA.fa, record short \(line 1\): its 305 bp end before the motif at 300"
    with pytest.raises(RecordError, match=message):
        list(signals(deepgsr))


def test_gue(tmp_path: Path) -> None:
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.csv").write_text(f"sequence,label\n{name},1\n")
    parts = opened(gue=tmp_path)
    assert {part: [r.values["sequence"] for r in stream] for part, stream in parts.items()} == {
        "train": ["train"],
        "validation": ["dev"],
        "test": ["test"],
    }


def test_gue_without_a_training_part(tmp_path: Path) -> None:
    for name in ("dev", "test"):
        (tmp_path / f"{name}.csv.gz").write_bytes(gzip.compress(b"sequence,label\nAC,1\n"))
    assert list(opened(gue=tmp_path)) == ["validation", "test"]
    parts = opened(gue=tmp_path, train_on="validation")
    assert list(parts) == ["train", "test"]
    assert [record.source for record in parts["train"]] == [str(tmp_path / "dev.csv.gz")]
    with pytest.raises(ValueError, match="train_on is 'test': should be 'validation'"):
        opened(gue=tmp_path, train_on="test")
    (tmp_path / "train.csv").write_text("sequence,label\nAC,1\n")
    with pytest.raises(ValueError, match="but this one has train and validation and test"):
        opened(gue=tmp_path, train_on="validation")


def test_nucleotide_transformer(tmp_path: Path) -> None:
    (tmp_path / "train.fna").write_text(">chr1 5 9|x|1\nAC\nGT\n>|0\nGG\n")
    (tmp_path / "test.csv").write_text("sequence,name,label\nAC,a,2\n")
    # the FASTA file is the published one, the table made from it
    (tmp_path / "train.csv").write_text("sequence,label\nTT,9\n")
    parts = opened(nucleotide_transformer=tmp_path)
    first, second = parts["train"]
    assert first.values == {"name": "chr1 5 9|x", "sequence": "ACGT", "label": "1"}
    assert (second.values["label"], second.line) == ("0", 4)
    assert [record.values["label"] for record in parts["test"]] == ["2"]
    (tmp_path / "train.fna").write_text(">a|1\nAC\n>b\nGG\n")
    with pytest.raises(RecordError, match=r"record b \(line 3\): its header has no label behind"):
        list(opened(nucleotide_transformer=tmp_path)["train"])


def test_nucleotide_transformer_as_parquet(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"sequence": ["AC"], "label": [1]}), tmp_path / "train.parquet")
    parts = opened(nucleotide_transformer=tmp_path)
    assert [r.values for r in parts["train"]] == [{"sequence": "AC", "label": 1}]
