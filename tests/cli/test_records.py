"""`dnagpt predict`, `embed` and `generate`."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from typer.testing import CliRunner

import dnagpt_hf
from dnagpt_hf import DNAGPTForMultiTask, DNAGPTForSequenceClassification, DNAGPTTokenizer
from dnagpt_hf.checkpoints.saving import init_checkpoint
from dnagpt_hf.cli import app
from dnagpt_hf.presets import preset_config, vocabulary_fields
from dnagpt_hf.records.reading import to_records

CLASS = ("--template", "<R>{sequence}<=><B>", "--answers", "A=false,N=true")
NUMBER = ("--template", "<R>{sequence}<+><M>{x}<=><M>")
FASTA = ">one first\nACGTACGTAC\nGT\n>two\nggn\n>three\nACGTACGTACGTACGTACGTACGT\n"
TABLE = "name,sequence,x\none,ACGTACGTACGT,0.5\ntwo,GG,-1e-3\nthree,ACGTT,2\n"


def run(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    return result.output


def refused(*arguments: object) -> str:
    """The one line on standard error of a command that ends with status 1."""
    output = run(*arguments, status=1)
    assert output.startswith("dnagpt: error: ")
    assert output.count("\n") == 1
    return output


def table(text: str, delimiter: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return init_checkpoint("dnagpt-test", tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoints") / "classifier"
    config = preset_config("dnagpt-test", id2label={0: "exon", 1: "intron"})
    DNAGPTForSequenceClassification(config).save_pretrained(path)
    DNAGPTTokenizer().save_pretrained(path)
    return path


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with inputs in it."""
    monkeypatch.chdir(tmp_path)
    Path("a.fa").write_text(FASTA)
    Path("a.csv").write_text(TABLE)
    return tmp_path


# -- predict ---------------------------------------------------------------------------------------


def test_predict_classes_of_fasta(work: Path, folder: Path) -> None:
    rows = table(run("predict", folder, "a.fa", *CLASS))
    assert [row["name"] for row in rows] == ["one", "two", "three"]
    for row in rows:
        probabilities = {label: float(row[f"probability_{label}"]) for label in ("false", "true")}
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-6)
        assert row["predicted"] == max(probabilities, key=lambda label: probabilities[label])


def test_predict_numbers_of_a_table(work: Path, folder: Path) -> None:
    run("predict", folder, "a.csv", *NUMBER, "--keep", "x", "-o", "out.jsonl")
    rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [(row["name"], row["x"]) for row in rows] == [
        ("one", "0.5"),
        ("two", "-1e-3"),
        ("three", "2"),
    ]
    assert all(isinstance(row["predicted"], float) for row in rows)
    one = table(run("predict", folder, "a.csv", *NUMBER, "--batch-size", 1))
    assert [float(row["predicted"]) for row in one] == pytest.approx(
        [row["predicted"] for row in rows], abs=1e-5
    )


def test_predict_with_a_classification_head(work: Path, classifier: Path) -> None:
    rows = table(run("predict", classifier, "a.fa", "--output-format", "tsv"), "\t")
    assert {row["predicted"] for row in rows} <= {"exon", "intron"}
    assert list(rows[0]) == ["name", "predicted", "probability_exon", "probability_intron"]


def test_every_input_gives_the_same_output(work: Path, folder: Path) -> None:
    lines = [{"name": row["name"], "sequence": row["sequence"]} for row in table(TABLE)]
    inputs = {
        "b.fa": "".join(f">{line['name']}\r\n{line['sequence']}\r\n" for line in lines),
        "b.tsv": TABLE.replace(",", "\t"),
        "excel.csv": "\ufeff" + TABLE.replace(",", ";").replace("\n", "\r\n"),
        "b.jsonl": "\n".join(json.dumps(line) for line in lines),
        "b.txt.gz": "",
    }
    for name, content in inputs.items():
        Path(name).write_bytes(content.encode())
    Path("b.txt.gz").write_bytes(gzip.compress(TABLE.encode()))
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(
        pyarrow.Table.from_pylist(lines), "b.parquet"
    )
    expected = run("predict", folder, "a.csv", *CLASS)
    for name in (*inputs, "b.parquet"):
        assert run("predict", folder, name, *CLASS) == expected, name
    assert run("predict", folder, "a.csv", *CLASS, "--dtype", "float32", "--threads", 1) == expected


def test_truncation_is_asked_for(work: Path, folder: Path) -> None:
    Path("long.fa").write_text(">short\nACGT\n>long\n" + "ACGTCA" * 100)
    assert "long.fa, record long (line 3): 103 tokens (up to 618 bp) exceed" in refused(
        "predict", folder, "long.fa", *CLASS
    )
    assert len(table(run("predict", folder, "long.fa", *CLASS, "--truncate", "left"))) == 2


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("e.fa", "", CLASS, "e.fa is empty"),
        ("e.fa", ">a\nAC\n>b\n>c\nGG\n", CLASS, "e.fa, record b (line 3): its sequence is empty"),
        ("e.fa", ">a\nAC\n>b\nACGT\nAXG\n", CLASS, "record b (line 3): sequence: character 'X'"),
        ("e.fa", ">a\nAC0.5\n", CLASS, "record a (line 1): sequence: character '0'"),
        ("e.fa", ">a\nAC\n<R>AC\n", CLASS, "e.fa, line 3: '<' is not DNA"),
        ("e.csv", "sequence\n<H>AC\n", CLASS, "2): sequence: unknown token '<H>' at position 1"),
        ("e.csv", "sequence,x\nAC,1\nAC,nan\n", NUMBER, "2 (line 3): column 'x' holds 'nan'"),
        ("e.csv", "sequence,x\nAC,1\nAC,NA\n", NUMBER, "2 (line 3): column 'x' holds 'NA', a miss"),
        ("e.csv", "sequence,x\nAC,1\nAC,\n", NUMBER, "record 2 (line 3): column 'x' is empty"),
        ("e.csv", "sequence,x\nAC,1e39\n", NUMBER, "1 (line 2): column 'x' holds '1e39', not a"),
        ("e.csv", "id,seq\n7,AC\n", CLASS, "there is no column 'sequence', only id, seq"),
        ("e.csv", "id,sequence\n7,AC\n8\n", CLASS, "e.csv, line 3: 1 fields"),
        ("e.fa", ">a\nAC\n", (*CLASS, "--keep", "x"), "there is no column 'x'"),
        ("e.csv", "sequence,predicted\nAC,1\n", (*CLASS, "--keep", "predicted"), "cannot be kept"),
        ("e.fa", ">a\nAC\n", ("--template", "<H>{sequence}<=><M>"), "unknown token '<H>'"),
        ("e.fa", ">a\nAC\n", ("--template", "{sequence"), "a brace has no partner"),
        ("e.fa", ">a\nAC\n", (*CLASS[:2], "--answers", "A"), "not of the form TOKEN=LABEL"),
        ("e.fa", ">a\nAC\n", CLASS[:2], "does not name the tokens that are answers"),
        ("e.fa", ">a\nAC\n", (), "state a template"),
        ("e.fa", ">a\nAC\n", (*CLASS, "--device", "tpu"), "unknown device 'tpu'"),
        ("e.fa", ">a\nAC\n", (*CLASS, "--device", "cuda:99"), "device 'cuda:99' does not exist"),
    ],
)
def test_bad_input_is_one_line_and_no_output(
    work: Path, folder: Path, name: str, content: str, options: tuple[str, ...], message: str
) -> None:
    Path(name).write_text(content)
    before = sorted(work.iterdir())
    assert message in refused("predict", folder, name, *options, "-o", "out.csv")
    assert sorted(work.iterdir()) == before


def test_errors_come_before_work(work: Path, folder: Path, classifier: Path) -> None:
    Path("out.csv").write_text("old")
    assert "none.fa: No such file" in refused("predict", folder, "none.fa", *CLASS)
    assert "exists" in refused("predict", folder, "a.fa", *CLASS, "-o", "out.csv")
    assert "out.txt.npy" in refused("embed", folder, "a.fa", "-o", "out.txt.npy")
    assert "no such checkpoint folder" in refused("predict", "none", "a.fa", *CLASS)
    assert "cannot generate" in refused("generate", classifier, "-p", "<R>", "--bases", 9)
    assert Path("out.csv").read_text() == "old"
    run("predict", folder, "a.fa", *CLASS, "-o", "out.csv", "--overwrite")
    assert len(table(Path("out.csv").read_text())) == 3


def test_views_are_chosen_for_predictions_and_embeddings(work: Path, folder: Path) -> None:
    model = dnagpt_hf.load(folder)
    rows = list(to_records("a.csv"))
    question = {"template": NUMBER[1]}
    for chosen, views in (
        ((), None),
        (("--views", "first"), "first"),
        (("--phases", "all"), {"phases": "all"}),
        (("--phases", "all", "--strand", "both"), {"phases": "all", "strands": "both"}),
    ):
        found = table(run("predict", folder, "a.csv", *NUMBER, *chosen))
        wanted = model.predict(rows, views=views, **question)
        assert [float(row["predicted"]) for row in found] == pytest.approx(
            [one.numbers["number"] for one in wanted], abs=1e-6
        )
        run("embed", folder, "a.csv", "-o", "vectors.npz", "--overwrite", *chosen)
        with np.load("vectors.npz") as arrays:
            np.testing.assert_allclose(
                arrays["embeddings"], model.embed(rows, views=views), atol=1e-6
            )
    both = ("--views", "first", "--phases", "all")
    assert "stands for" in run("predict", folder, "a.csv", *NUMBER, *both, status=2)
    of_records = ("--window", "12", "--set", "species=R", "-o", "windows.npz")
    # in the box of an error, lines break anywhere
    assert "--species" in run("embed", folder, "a.fa", *of_records, status=2)
    # the same words for windows of a genome
    arguments = ("--window", "12", "--phases", "all", "--strand", "both", "-o", "windows.npz")
    run("embed", folder, "a.fa", *arguments)
    found = model.embed_regions("a.fa", window=12, phases="all", strand="both")
    wanted = np.concatenate([one.vectors for one in found])
    with np.load("windows.npz") as arrays:
        np.testing.assert_allclose(arrays["embeddings"], wanted, atol=1e-6)


def test_damaged_checkpoints(work: Path, folder: Path) -> None:
    broken = work / "broken"
    broken.mkdir()
    for path in folder.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    content = (broken / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(content[:-100])
    output = refused("predict", broken, "a.fa", *CLASS)
    assert f"{broken / 'model.safetensors'} is cut off or damaged" in output
    (broken / "model.safetensors").unlink()
    assert f"{broken} has no weights" in refused("predict", broken, "a.fa", *CLASS)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", {"num_attention_heads": 0}, "num_attention_heads is 0"),
        ("config.json", {"hidden_size": "x"}, "hidden_size is 'x'"),
        ("config.json", {"hidden_act": "foo"}, "foo"),
        ("tokenizer_config.json", [], "tokenizer_config.json holds a list"),
        ("tokenizer_config.json", {"dynamic_kmer": False}, "it belongs to another checkpoint"),
    ],
)
def test_files_of_a_checkpoint_that_do_not_fit(
    work: Path, folder: Path, name: str, content: Any, message: str
) -> None:
    shutil.copytree(folder, "broken")
    if isinstance(content, dict):
        content = json.loads((folder / name).read_text()) | content
    Path("broken", name).write_text(json.dumps(content))
    assert message in refused("embed", "broken", "a.fa", "-o", "a.npz")


def test_remainder_of_a_fixed_vocabulary(work: Path) -> None:
    config = preset_config("dnagpt-test", **vocabulary_fields(6, dynamic_kmer=False))
    DNAGPTForMultiTask(config).save_pretrained("fixed")
    DNAGPTTokenizer(dynamic_kmer=False).save_pretrained("fixed")
    Path("seven.fa").write_text(">a\nACGTACG\n")
    number = ("--template", "<R>{sequence}<=><M>")
    assert "the last 1 bases" in refused("predict", "fixed", "seven.fa", *number)
    Path("six.fa").write_text(">a\nACGTAC\n")
    Path("padded.fa").write_text(">a\nACGTACGNNNNN\n")
    for remainder, same in (("drop", "six.fa"), ("pad", "padded.fa")):
        output = run("predict", "fixed", "seven.fa", *number, "--remainder", remainder)
        assert output == run("predict", "fixed", same, *number)


def test_weights_that_are_missing(work: Path, folder: Path) -> None:
    model = DNAGPTForMultiTask.from_pretrained(folder)
    kept = {name: value for name, value in model.state_dict().items() if "token_head" not in name}
    model.save_pretrained("headless", state_dict=kept)
    DNAGPTTokenizer().save_pretrained("headless")
    assert "headless lacks weight token_head" in refused("predict", "headless", "a.fa", *CLASS)
    run("embed", "headless", "a.fa", "-o", "a.npz")


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, 130), (MemoryError, 1)])
def test_nothing_is_left_after_an_interruption(
    work: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
    status: int,
) -> None:
    def fail(*arguments: Any) -> None:
        raise error

    monkeypatch.setattr("dnagpt_hf.inference.prediction_heads.padded_views", fail)
    monkeypatch.setattr("dnagpt_hf.inference.embedding.padded_views", fail)
    before = sorted(work.iterdir())
    for command in (("predict", folder, "a.fa", *CLASS), ("embed", folder, "a.fa")):
        output = run(*command, "-o", "out.npz" if "embed" in command else "out.csv", status=status)
        assert output.count("\n") == 1
        assert sorted(work.iterdir()) == before


# -- embed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["mean", "last", "token"])
def test_embed_writes_the_same_to_all_formats(work: Path, folder: Path, pooling: str) -> None:
    options = ("--pooling", pooling, "--template", "<R>{sequence}")
    for name in ("a.npz", "a.safetensors"):
        run("embed", folder, "a.fa", "-o", name, *options)
    with np.load("a.npz") as archive:
        arrays = dict(archive)
    assert arrays["names"].tolist() == ["one", "two", "three"]
    assert arrays["embeddings"].shape == ((10, 32) if pooling == "token" else (3, 32))
    if pooling == "token":
        assert arrays["offsets"].tolist() == [0, 3, 5, 10]
    with safe_open("a.safetensors", framework="np") as tensors:
        assert json.loads(tensors.metadata()["names"]) == ["one", "two", "three"]
        np.testing.assert_array_equal(tensors.get_tensor("embeddings"), arrays["embeddings"])
    parquet = pytest.importorskip("pyarrow.parquet")
    run("embed", folder, "a.fa", "-o", "a.parquet", *options)
    columns = parquet.read_table("a.parquet").to_pydict()
    found = np.asarray(columns["embedding"], np.float32)
    np.testing.assert_array_equal(found, arrays["embeddings"])
    if pooling == "token":
        assert columns["name"] == ["one"] * 3 + ["two"] * 2 + ["three"] * 5


def test_embed_rows_are_those_of_records_alone(work: Path, folder: Path) -> None:
    run("embed", folder, "a.fa", "-o", "together.npz")
    for number, record in enumerate(FASTA.split(">")[1:]):
        Path("one.fa").write_text(f">{record}")
        run("embed", folder, "one.fa", "-o", "alone.npz", "--overwrite")
        with np.load("together.npz") as together, np.load("alone.npz") as alone:
            np.testing.assert_allclose(
                together["embeddings"][number], alone["embeddings"][0], atol=1e-5, rtol=0
            )


def test_embed_refuses(work: Path, folder: Path) -> None:
    before = sorted(work.iterdir())
    Path("a.npz").write_text("old")
    assert "exists" in refused("embed", folder, "a.fa", "-o", "a.npz")
    assert Path("a.npz").read_text() == "old"
    Path("a.npz").unlink()
    assert "layer 9 does not exist" in refused("embed", folder, "a.fa", "-o", "b.npz", "--layer", 9)
    Path("bad.fa").write_text(">a\nAC\n>b\nAC!\n")
    assert "bad.fa, record b (line 3)" in refused("embed", folder, "bad.fa", "-o", "b.safetensors")
    Path("bad.fa").unlink()
    assert "--output" in run("embed", folder, "a.fa", status=2)
    assert sorted(work.iterdir()) == before


# -- generate --------------------------------------------------------------------------------------


def test_generate_bases_exactly(folder: Path) -> None:
    output = run(
        "generate", folder, "-p", "<R>ACG", "-p", "<S>", "--bases", 25, "--number", 2, "--top-k", 50
    )
    lines = output.splitlines()
    assert lines[::2] == [">prompt1_1", ">prompt1_2", ">prompt2_1", ">prompt2_2"]
    assert all(len(line) == 25 and set(line) <= set("ACGT") for line in lines[1::2])
    same = run("generate", folder, "-p", "<R>ACG", "--bases", 25, "--top-k", 50)
    assert same.splitlines()[1] == lines[1]
    other = run("generate", folder, "-p", "<R>ACG", "--bases", 25, "--top-k", 50, "--seed", 1)
    assert other != same


def test_generate_from_files(work: Path, folder: Path) -> None:
    Path("prompts.txt").write_text("<R>ACGT\n\n<S>GG\n")
    greedy = ("--bases", 7, "--greedy")
    text = run("generate", folder, "-i", "prompts.txt", *greedy, "--output-format", "text")
    first, second = text.splitlines()
    assert first.startswith("<R>ACGT") and len(first) == len("<R>ACGT") + 7
    assert second.startswith("<S>GG")
    run("generate", folder, "-i", "a.fa", "--template", "<R>{sequence}", *greedy, "-o", "b.fa.gz")
    with gzip.open("b.fa.gz", "rt") as stream:
        assert [line.strip() for line in stream][::2] == [">one", ">two", ">three"]
    run("generate", folder, "-i", "a.csv", *greedy, "--template", "<S>{sequence}", "-o", "b.jsonl")
    rows = [json.loads(line) for line in Path("b.jsonl").read_text().splitlines()]
    assert [row["name"] for row in rows] == ["one", "two", "three"]
    assert rows[0]["prompt"] == "<S>ACGTACGTACGT"
    assert all(len(row["generated"]) == 7 for row in rows)


def test_generate_tokens_and_numbers(folder: Path) -> None:
    output = run("generate", folder, "-p", "<R>ACGTAC<=><M>", "--max-new-tokens", 1)
    prompt, _, number = output.strip().rpartition("<M>")
    assert prompt == "<R>ACGTAC<=>"
    assert np.isfinite(float(number))


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("-p", "<R>"), 2, "--bases"),
        (("-p", "<R>", "--bases", 5, "--max-new-tokens", 5), 2, "--bases"),
        (("--bases", 5), 2, "--prompt"),
        (("-p", "<R>", "-i", "a.fa", "--bases", 5), 2, "--prompt"),
        (("-p", "<R>", "--bases", 5, "--temperature", 0), 2, "--greedy"),
        (("-p", "<R>", "--bases", 5, "--stop", "<=>"), 2, "--stop"),
        (("-p", "<R>", "--bases", 0), 2, "--bases"),
        (("-p", "<H>", "--bases", 5), 1, "unknown token '<H>'"),
        (("-p", "", "--bases", 5), 1, "prompt"),
        (("-p", "<R>", "--bases", 5000), 1, "64 positions"),
        (("-i", "none.txt", "--bases", 5), 1, "none.txt: No such file"),
        (("-i", "bad.txt", "--bases", 5), 1, "bad.txt, record 2 (line 3): "),
        (("-p", "<R>", "--max-new-tokens", 5, "-o", "a.fa"), 1, "FASTA holds DNA alone"),
        (("-p", "<R>", "--bases", 5, "-o", "out.csv"), 1, "not written as csv"),
        (("-p", "<R>", "--bases", 5, "-o", "out.parquet"), 1, "not written as parquet"),
        (("-p", "<R>", "--bases", 5, "-o", "out.bed"), 1, "names no format"),
        (("-p", "<R>", "--bases", 5, "-o", "a.fa"), 1, "exists"),
        (("-p", "<R>", "--bases", 5, "--greedy", "--number", 2), 1, "equal"),
    ],
)
def test_generate_refuses(
    work: Path, folder: Path, options: tuple[object, ...], status: int, message: str
) -> None:
    Path("bad.txt").write_text("<R>AC\n\n<R>A!\n")
    before = sorted(work.iterdir())
    assert message in run("generate", folder, *options, status=status)
    assert sorted(work.iterdir()) == before


# -- as a process ----------------------------------------------------------------------------------


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "dnagpt_hf", *map(str, arguments)]


def test_standard_streams_of_a_process(work: Path, folder: Path) -> None:
    result = subprocess.run(
        command("predict", folder, "-", *CLASS),
        input=gzip.compress(FASTA.encode()),
        capture_output=True,
    )
    assert (result.returncode, result.stderr) == (0, b"")
    assert table(result.stdout.decode()) == table(run("predict", folder, "a.fa", *CLASS))


def test_errors_of_a_process(work: Path) -> None:
    result = subprocess.run(command("predict", "none", "a.fa", *CLASS), capture_output=True)
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.startswith(b"dnagpt: error: none: no such checkpoint folder")
    assert result.stderr.count(b"\n") == 1


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A job in the background may ignore Ctrl-C, and so would the processes that it starts."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("end", "status"),
    [
        # where a signal comes is left to chance; the fast tests interrupt within one process
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
        (None, 1),
    ],
)
def test_a_process_that_is_ended_leaves_nothing(
    work: Path, folder: Path, end: signal.Signals | None, status: int
) -> None:
    """By Ctrl-C, by a batch system, or because nobody reads what it writes."""
    before = sorted(work.iterdir())
    output = ("-o", "out.csv") if end else ()
    with subprocess.Popen(
        command("predict", folder, "-", *CLASS, *output),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        # more than are read ahead, so that the first rows are written
        process.stdin.write(b">a\nACGT\n" * 3000)
        process.stdin.flush()
        if end is None:
            process.stdout.readline()
            process.stdout.close()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(b">a\nACGT\n" * 30_000)
        else:
            while sorted(work.iterdir()) == before and process.poll() is None:
                time.sleep(0.05)
            process.send_signal(end)
        # where it came in the middle of an exec, Python ends by the signal, 130 as well in a shell
        ended = process.wait(60)
        errors = process.stderr.read().decode()
        assert ended in ((status, -signal.SIGINT) if status == 130 else (status,)), errors
        assert "Traceback" not in errors
        # what the process did not read stays in the pipe
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    assert sorted(work.iterdir()) == before


@pytest.mark.parametrize("name", ["a.parquet", "a.npz"])
def test_embed_windows_of_a_genome(work: Path, folder: Path, name: str) -> None:
    Path("genome.fa").write_text(f">chr1\n{'ACGTTGCA' * 10}\n>chr2\n{'GATTACA' * 10}\n")
    Path("a.bed").write_text("2\t10\t50\texon\n")
    run("embed", folder, "genome.fa", "-o", name, "--bed", "a.bed", "--bin", 12, "--species", "U")
    if name.endswith("npz"):
        arrays = np.load(name)
        assert arrays["start"].tolist() == [10, 22, 34, 46]
        assert arrays["end"].tolist() == [22, 34, 46, 50]
        for lists, expected in (("contigs", "chr2"), ("names", "exon")):
            assert arrays[lists][arrays["region"]].tolist() == [expected] * 4
        assert arrays["embeddings"].shape == (4, 32)
    else:
        table = pytest.importorskip("pyarrow.parquet").read_table(name).to_pydict()
        assert table["contig"] == ["chr2"] * 4 and table["name"] == ["exon"] * 4


def test_embed_refuses_windows_that_are_not_clear(work: Path, folder: Path) -> None:
    Path("genome.fa").write_text(f">chr1\n{'ACGTTGCA' * 10}\n")
    run("embed", folder, "genome.fa", "-o", "a.npz", "--bin", 12, status=2)
    more = ("--window", 12, "--template", "<R>{sequence}")
    run("embed", folder, "genome.fa", "-o", "a.npz", *more, status=2)


def test_embed_the_maximum_of_tokens(work: Path, folder: Path) -> None:
    run("embed", folder, "a.fa", "-o", "max.npz", "--pooling", "max")
    run("embed", folder, "a.fa", "-o", "token.npz", "--pooling", "token")
    tokens = np.load("token.npz")
    ends = tokens["offsets"]
    expected = [tokens["embeddings"][a:b].max(0) for a, b in pairwise(ends)]
    np.testing.assert_allclose(np.load("max.npz")["embeddings"], expected, atol=1e-6)
