"""The entry `data:` of a task."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from annotated_genome import write

from dnagpt_hf.records.files import RecordError
from dnagpt_hf.records.reading import Record, change_columns
from dnagpt_hf.tasks.sources import FORMS, TEXT_KEYS, open_source, read_files, split_files
from dnagpt_hf.yaml_files import parse_yaml


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file or folder of each kind."""
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfseq,label\r\nACGT,1\r\nGG,0\r\n")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"seq,label\nTT,1\n"))
    (tmp_path / "pos.fa").write_text(">p\nAC\n")
    (tmp_path / "neg.fa").write_text(">n\nGT\n>m\nGG\n")
    (tmp_path / "lines.txt").write_text("ACGT\nGG\n")
    write(tmp_path)
    (tmp_path / "counts.csv").write_text("gene_id,x\ng1,1\n")
    for name in ("dev", "test"):
        (tmp_path / "gue").mkdir(exist_ok=True)
        (tmp_path / "gue" / f"{name}.csv").write_text(f"sequence,label\n{name},1\n")
    (tmp_path / "nt").mkdir()
    (tmp_path / "nt" / "train.fna").write_text(">a|1\nAC\n")
    (tmp_path / "signals").mkdir()
    for kind in ("pos", "neg"):
        (tmp_path / "signals" / f"ATG_{kind}.fa").write_text(f">1\n{'A' * 300}ATG{'C' * 300}\n")
    (tmp_path / "human.txt").write_text(
        "ENSID\tEXPRESSION\tUTR5LEN\tCDSLEN\tINTRONLEN\tUTR3LEN\tUTR5GC\tCDSGC\tUTR3GC\t"
        "ORFEXONDENSITY\tPROMOTER\nE1\t1\t1\t1\t1\t1\t1\t1\t1\t1\tACGT\nE2\t1\t1\t1\t1\t1\t1\t1\t1\t1\tA\n"
    )
    (tmp_path / "masked.txt").write_text("E1\n")
    return tmp_path


def read(text: str, folder: Path) -> dict[str, list[dict[str, Any]]]:
    parts = open_source(parse_yaml(text, TEXT_KEYS), folder)
    return {part: [dict(record.values) for record in records] for part, records in parts.items()}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a.csv", {"all": 2}),
        ("{files: a.csv}", {"all": 2}),
        ("{files: [a.csv, b.csv.gz]}", {"all": 3}),
        ("{files: '*.csv*', limit: 1}", {"all": 1}),
        ("{files: ['*.csv.gz', b.csv.gz]}", {"all": 1}),
        ("{files: lines.txt, format: text}", {"all": 2}),
        ("[pos.fa, neg.fa]", {"all": 3}),
        ("{train: a.csv, test: [pos.fa, {files: neg.fa, limit: 1}]}", {"train": 2, "test": 2}),
        ("{validation: {gue: gue}}", ValueError),
        ("{gue: gue}", {"validation": 1, "test": 1}),
        ("{gue: gue, train_on: validation}", {"train": 1, "test": 1}),
        ("[{gue: gue}, {gue: gue}]", {"validation": 2, "test": 2}),
        ("{nucleotide_transformer: nt}", {"train": 1}),
        ("{deepgsr: signals}", {"all": 2}),
        ("{deepgsr: signals, variants: ATG}", {"all": 2}),
        ("{deepgsr: signals, variants: [ATG]}", {"all": 2}),
        ("{xpresso: human.txt}", {"all": 2}),
        ("{xpresso: human.txt, leave_out: masked.txt}", {"all": 1}),
        ("{genes: genes.gff, genome: genome.fa, promoter: [5, 5]}", {"all": 3}),
        ("{genes: genes.gff, genome: genome.fa, promoter: [5, 5], contigs: [chr2]}", {"all": 1}),
        (
            "{genes: genes.gff, genome: genome.fa, promoter: [5, 5], expression: counts.csv, "
            "target: x}",
            {"all": 1},
        ),
        (
            "{regions: genes.gff, genome: genome.fa, anchor: tis, upstream: 5, downstream: 5, "
            "contigs: {chr1: chr1}, negatives: {match: ATG, per_site: 2, seed: 1}}",
            {"all": 6},
        ),
    ],
)
def test_forms(folder: Path, text: str, parts: Any) -> None:
    if parts is ValueError:
        with pytest.raises(ValueError, match="validation is a source with the splits validation"):
            read(text, folder)
    else:
        assert {part: len(rows) for part, rows in read(text, folder).items()} == parts


def test_a_dataset(folder: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    rows = datasets.Dataset.from_dict({"sequence": ["AC"], "y": [1.5]})
    datasets.DatasetDict({"train": rows, "dev": rows}).save_to_disk(str(folder / "saved"))
    text = "{dataset: saved, splits: {train: train, test: dev}, columns: {target: y}}"
    values = {"sequence": "AC", "target": 1.5}
    assert read(text, folder) == {"train": [values], "test": [values]}


def test_fasta_of_positives_and_negatives(folder: Path) -> None:
    text = "[{files: pos.fa, set: {label: signal}}, {files: neg.fa, set: {label: none}}]"
    (rows,) = read(text, folder).values()
    assert [(row["name"], row["label"]) for row in rows] == [
        ("p", "signal"),
        ("n", "none"),
        ("m", "none"),
    ]


def test_columns_constants_and_limit_hold_for_each_part(folder: Path) -> None:
    text = "{gue: gue, columns: {dna: sequence}, set: {species: R}, limit: 1}"
    assert read(text, folder) == {
        "validation": [{"dna": "dev", "label": "1", "species": "R"}],
        "test": [{"dna": "test", "label": "1", "species": "R"}],
    }


def test_labels_that_are_words_of_yaml(folder: Path) -> None:
    for label, read_as in (("no", "no"), ("1", "1"), ("true", "true"), ("0.50", "0.50")):
        rows = read(f"{{files: pos.fa, set: {{label: {label}}}}}", folder)["all"]
        assert rows[0]["label"] == read_as


RECORD = Record({"seqs": "AC", "y": "1"}, "r", "a.csv", 1, 2)


def renamed(columns: dict[str, str], **values: str) -> Record:
    return next(change_columns([RECORD], columns, values))


def test_columns_are_renamed_and_added() -> None:
    changed = renamed({"sequence": "seqs"}, species="R", y="0")
    assert list(changed.values.items()) == [("sequence", "AC"), ("y", "0"), ("species", "R")]
    assert (changed.name, changed.line) == ("r", 2)
    assert renamed({"seqs": "y", "y": "seqs"}).values == {"y": "AC", "seqs": "1"}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"y": "seq"}, r"a.csv, record r \(line 2\): there is no column 'seq', only seqs, y: did"),
        ({"y": "seqs"}, "there is a column 'y' already: rename that one too"),
    ],
)
def test_columns_that_a_record_lacks_or_has(columns: dict[str, str], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        renamed(columns)


def test_the_first_records(folder: Path) -> None:
    (folder / "broken.csv").write_text("x\n1\n2\nbroken,3\n")
    assert read("{files: broken.csv, limit: 2}", folder) == {"all": [{"x": "1"}, {"x": "2"}]}


def test_contigs_that_yaml_reads_as_numbers(folder: Path) -> None:
    for name in ("genes.gff", "genome.fa"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace("chr1", "1").replace("chr2", "2"))
    for contigs in ("[1]", "{1: 1}", "1"):
        text = f"{{genes: genes.gff, genome: genome.fa, promoter: [5, 5], contigs: {contigs}}}"
        assert len(read(text, folder)["all"]) == 2


def test_paths_of_other_folders(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert len(read(f"{{files: {folder}/a.csv}}", elsewhere)["all"]) == 2
    assert len(read(f"{{files: '{folder}/*.csv'}}", elsewhere)["all"]) == 3


def test_a_folder_with_the_signs_of_a_pattern(folder: Path) -> None:
    (folder / "run[1]").mkdir()
    (folder / "run[1]" / "a.csv").write_text("x\n5\n")
    assert read("{files: '*.csv'}", folder / "run[1]") == {"all": [{"x": "5"}]}


def test_a_name_with_the_signs_of_a_pattern(folder: Path) -> None:
    (folder / "a[1].csv").write_text("x\n5\n")
    assert read("{files: 'a[1].csv'}", folder) == {"all": [{"x": "5"}]}


def test_what_tools_write_beside_a_file_fits_no_pattern(folder: Path) -> None:
    (folder / "pos.fa.fai").write_text("p\t2\t3\t2\t3\n")
    assert len(read("{files: 'pos.fa*'}", folder)["all"]) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5", "data is 5: give files, or one of files, deepgsr, xpresso"),
        ("[]", "data is an empty list"),
        ("{}", "data has none of the keys files, deepgsr"),
        ("{file: a.csv}", "none of the keys.*did you mean files"),
        ("{files: a.csv, gue: gue}", "data has files and gue of the keys"),
        (
            "{files: a.csv, colums: {}}",
            "data with files: unknown key 'colums': did you mean columns",
        ),
        ("{files: a.csv, columns: seq}", "columns is 'seq': should be a mapping"),
        ("{files: a.csv, format: cvs}", "format is 'cvs': should be 'fasta', 'csv', 'tsv'"),
        ("{files: none.csv}", "none.csv: no such file"),
        ("{files: '*.xyz'}", "no file fits this pattern"),
        ("{files: gue}", "gue: is a folder: name files in it"),
        ("{files: a.csv, limit: -1}", "limit is -1: should be greater than or equal to 1"),
        ("{files: a.csv, limit: true}", "limit is True: should be a valid integer"),
        ("{files: a.csv, columns: {a: seq, b: seq}}", "gives two names to one column"),
        (
            "{files: a.csv, columns: {sequence: sec}}",
            "a.csv, record 1.*only seq, label: did you mean",
        ),
        ("{train: a.csv, dev: a.csv}", "data by split: unknown key 'dev'"),
        (
            "[a.csv, {gue: gue}]",
            "one source of a list has the splits all, another validation, test",
        ),
        ("{gue: none}", "none: no such file or folder"),
        ("{regions: genes.gff, genome: genome.fa}", "data with regions: anchor is missing"),
        (
            "{regions: genes.gff, genome: genome.fa, anchor: tis, upstream: 5, downstream: 5, "
            "negatives: {motif: ATG}}",
            r"negatives: unknown key 'motif' \(choose from match, per_site",
        ),
        (
            "{regions: genes.gff, genome: genome.fa, anchor: tis, upstream: 5, downstream: 5, "
            "negatives: {seed: 1}}",
            "negatives, match is missing",
        ),
        (
            "{regions: genes.gff, genome: genome.fa, anchor: [tis], upstream: 5, downstream: 5}",
            r"anchor is \['tis'\]: should be a valid string",
        ),
        (
            "{genes: genes.gff, genome: genome.fa, promoter: 7000}",
            "promoter is 7000: should be a list",
        ),
        ("{genes: genes.gff, genome: no.fa, promoter: [5, 5]}", "no.fa: no such file"),
        ("{dataset: gue, splits: train}", "splits is 'train': should be a mapping"),
    ],
)
def test_bad_entries(folder: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read(text, folder)
    assert "\n" not in str(caught.value)


def test_every_form_is_described() -> None:
    assert set(FORMS) == {
        *("files", "deepgsr", "xpresso", "gue", "nucleotide_transformer"),
        *("dataset", "regions", "genes"),
    }


def test_files_are_read_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_text(">a\nAC\n")
    (tmp_path / "b.csv").write_text("id,x\nb,1\n")
    records = read_files([tmp_path / "a.fa", tmp_path / "b.csv"])
    assert [(record.name, record.line) for record in records] == [("a", 1), ("b", 2)]


def test_splits_by_the_names_of_files(tmp_path: Path) -> None:
    for name in ("train.csv.gz", "train.csv", "dev.csv", "valid.tsv", "testing.csv"):
        (tmp_path / name).touch()
    assert split_files(tmp_path, (".csv", ".csv.gz", ".tsv")) == {
        "train": tmp_path / "train.csv",
        "validation": tmp_path / "dev.csv",
    }
    with pytest.raises(ValueError, match=r"has none of the files train\.h5, dev\.h5, test\.h5"):
        split_files(tmp_path, (".h5",))
    with pytest.raises(ValueError, match="no such folder"):
        split_files(tmp_path / "none", (".h5",))
