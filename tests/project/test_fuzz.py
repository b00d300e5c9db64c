"""Random and slightly wrong input: records, or an error of the documented kind, in bounded time.

A short run belongs to the fast tests and always tries the same. A long one tries new input:

    DNAGPT_FUZZ=5000 python -m pytest tests/project/test_fuzz.py
"""

from __future__ import annotations

import io
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dnagpt_hf import DNAGPTTokenizer
from dnagpt_hf.annotation.gene_assembly import read_genes
from dnagpt_hf.annotation.sites import read_sites
from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.checkpoints.original import original_shapes, read_sizes, read_state_dict
from dnagpt_hf.checkpoints.saving import init_checkpoint
from dnagpt_hf.checkpoints.validation import CheckpointFolderError
from dnagpt_hf.genomes.fasta import open_genome
from dnagpt_hf.genomes.manifest import load_manifest
from dnagpt_hf.haplotypes.files.formats import read_haplotypes
from dnagpt_hf.presets import preset_config
from dnagpt_hf.records.reading import RecordReader
from dnagpt_hf.records.templates import Template
from dnagpt_hf.tasks.task import Task
from dnagpt_hf.yaml_files import read_yaml

EXAMPLES = int(os.environ.get("DNAGPT_FUZZ", "0"))
FUZZ = settings(
    max_examples=EXAMPLES or 25,
    derandomize=not EXAMPLES,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    # a file of some hundred bytes that takes a second is one that never ends
    deadline=None if EXAMPLES else 5000,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
TOKENIZERS = [DNAGPTTokenizer(), DNAGPTTokenizer(kmer_size=3, dynamic_kmer=False)]
LANGUAGE = st.text(alphabet="<>ACGTNacgtu RMB=+-.0123eE{}\n", max_size=60)


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=["dynamic", "fixed"])
@FUZZ
@given(text=st.text(max_size=40) | LANGUAGE)
def test_text(tokenizer: DNAGPTTokenizer, text: str) -> None:
    try:
        encoding = tokenizer(text)
    except ValueError as error:
        assert str(error) and "\n" not in str(error)
        return
    ids, numbers = encoding["input_ids"], encoding["number_values"]
    assert ids.count(0) == text.count("<0>")
    # what is written of it reads as the same, and is written as the same again
    written = tokenizer.decode(ids, number_values=numbers)
    again = tokenizer(written)
    assert (again["input_ids"], again["number_values"]) == (ids, numbers)
    assert tokenizer.decode(ids, number_values=numbers) == written


@st.composite
def mutations(draw: st.DrawFn, whole: bytes) -> bytes:
    """A file of which some bytes were changed, taken out, doubled, or cut off at the end."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(content)))
        length = draw(st.integers(0, 12))
        kind = draw(st.integers(0, 4))
        if kind == 0:
            content[place : place + length] = draw(st.binary(max_size=12))
        elif kind == 1:
            del content[place : place + length]
        elif kind == 2:
            content[place:place] = content[place : place + length]
        elif kind == 3:
            signs = [b"\t", b"\n", b"\r", b'"', b",", b">", b"\0", b"\xff", b"-1", b"9" * 30, b"{"]
            content[place:place] = draw(st.sampled_from(signs))
        else:
            del content[place:]
    return bytes(content)


def accepts(read: Callable[[Path], object], name: str, content: bytes) -> None:
    """Read a file in full; an error must be a ValueError on one line that names the file."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    path = folder / name
    path.write_bytes(content)
    try:
        found = read(path)
        if isinstance(found, Iterator):
            # a reader that makes more of a small file than it holds does not end
            assert len(list(itertools.islice(found, 100_000))) < 100_000
    except ValueError as error:
        assert name.partition(".")[0] in str(error), str(error)
        assert "\n" not in str(error), str(error)
    finally:
        shutil.rmtree(folder)


def records(path: Path) -> Iterator[object]:
    with RecordReader(path) as reader:
        yield from reader


def bases(path: Path) -> list[str]:
    return [str(contig[:50]) for contig in open_genome(path).contigs.values()]


def task(path: Path) -> Task | None:
    content = read_yaml(path)
    try:
        return Task.from_dict(content)
    except ValueError as error:
        # it does not know where its content stood
        assert str(error) and "\n" not in str(error)
        return None


GFF = (
    b"##gff-version 3\n1\t.\tgene\t1\t90\t.\t+\t.\tID=gene:a;Name=x\n"
    b"1\t.\tmRNA\t1\t90\t.\t+\t.\tID=transcript:b;Parent=gene:a\n"
    b"1\t.\texon\t1\t90\t.\t+\t.\tParent=transcript:b\n"
    b"1\t.\tCDS\t7\t60\t.\t+\t0\tParent=transcript:b\n"
)
GTF = (
    b'1\t.\texon\t1\t90\t.\t-\t.\tgene_id "a"; transcript_id "b";\n'
    b'1\t.\tCDS\t7\t60\t.\t-\t0\tgene_id "a"; transcript_id "b";\n'
)
VCF = (
    b"##fileformat=VCFv4.3\n##contig=<ID=1>\n"
    b'##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\tS2\n"
    b"1\t10\trs1\tA\tT\t.\tPASS\t.\tGT\t0|1\t1|1\n1\t20\trs2\tC\tG\t.\tPASS\t.\tGT\t0|0\t0|1\n"
)
READERS: dict[str, tuple[Callable[[Path], object], bytes]] = {
    "file.fa": (records, b">a one\nACGT\nNNac\n>b\nGGT\n"),
    "file.csv": (records, b'sequence,label,x\nACGT,yes,0.5\n"AC,G",no,1e3\n'),
    "file.tsv": (records, b"sequence\tlabel\nACGT\tyes\nGGT\tno\n"),
    "file.jsonl": (records, b'{"sequence": "ACGT", "y": 1}\n{"sequence": "G", "y": [2]}\n'),
    "file.txt": (records, b"ACGT\nGGTA\n"),
    "file.parquet": (records, b"PAR1\x15\x04\x15\x10\x15\x14PAR1"),
    "genome.fa": (bases, b">1 dna\nACGTACGT\nNNNN\n>2\nGGT\n"),
    "file.bed": (
        lambda path: read_sites(path, "start"),
        b"1\t10\t20\ta\t0\t+\n2\t5\t9\tb\t.\t-\n",
    ),
    "file.gff3": (read_genes, GFF),
    "file.gtf": (read_genes, GTF),
    "file.hapt": (read_haplotypes, b"Real a_A 0 1 1\nReal a_B 1 0 0\n"),
    "file.vcf": (read_haplotypes, VCF),
    "file.npy": (
        read_haplotypes,
        b"\x93NUMPY\x01\x00v\x00{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }"
        + b" " * 56
        + b"\n\x00\x01\x01\x01\x00\x00",
    ),
    "manifest.yaml": (
        load_manifest,
        b"species:\n  - token: <U>\n    name: yeast\n    files: [yeast.fa]\n    weight: 1.5\n",
    ),
    "task.yaml": (
        task,
        b"template: <R>{sequence}<=><B>{label}\nanswers: {N: none, A: [yes, 1]}\nmetric: mcc\n",
    ),
}


@pytest.mark.parametrize("name", READERS)
@FUZZ
@given(data=st.data())
def test_files(name: str, data: st.DataObject) -> None:
    if name == "file.vcf":
        pytest.importorskip("cyvcf2")
    read, whole = READERS[name]
    content = data.draw(st.binary(max_size=200) | mutations(whole))
    accepts(read, name, content)


@FUZZ
@given(content=mutations(b"a_1 10 A T\na_2 20 C G\n"), legend=st.booleans())
def test_legends(content: bytes, legend: bool) -> None:
    def read(path: Path) -> object:
        beside = path.with_suffix(".legend")
        beside.write_bytes(b"id position a0 a1\n" + (content if legend else b"x 1 A C\ny 2 A G\n"))
        return read_haplotypes(path)

    accepts(read, "file.hapt", b"Real a_A 0 1\nReal a_B 1 0\n" if legend else content)


@FUZZ
@given(text=st.text(max_size=40) | LANGUAGE)
def test_templates(text: str) -> None:
    try:
        Template(text)
    except ValueError as error:
        assert str(error) and "\n" not in str(error)


SHAPES = original_shapes(
    preset_config("dnagpt-test", kmer_size=3, hidden_size=4, num_hidden_layers=1)
)


def original(legacy: bool) -> bytes:
    stream = io.BytesIO()
    state_dict = {name: torch.zeros(shape) for name, shape in SHAPES.items()}
    torch.save(state_dict, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


@pytest.mark.parametrize("legacy", [False, True])
@FUZZ
@given(data=st.data())
def test_original_weights(legacy: bool, data: st.DataObject) -> None:
    content = data.draw(mutations(original(legacy)))
    accepts(lambda path: read_sizes(read_state_dict(path), path), "weights.pth", content)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sizes = {"kmer_size": 1, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    folder = tmp_path_factory.mktemp("fuzz") / "m"
    return init_checkpoint("dnagpt-test", folder, max_position_embeddings=4, **sizes)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "model.safetensors"])
@FUZZ
@given(data=st.data())
def test_checkpoint_folders(checkpoint: Path, name: str, data: st.DataObject) -> None:
    whole = (checkpoint / name).read_bytes()
    content = data.draw(mutations(whole[:4000]).map(lambda start: start + whole[4000:]))
    path = checkpoint / name
    try:
        path.write_bytes(content)
        open_checkpoint(checkpoint).check()
    except CheckpointFolderError as error:
        assert str(checkpoint) in str(error) and "\n" not in str(error)
    finally:
        path.write_bytes(whole)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


@FUZZ
@given(data=st.data())
def test_values_of_a_configuration(checkpoint: Path, data: st.DataObject) -> None:
    path = checkpoint / "config.json"
    whole = path.read_text()
    fields = json.loads(whole)
    fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(JSON)
    try:
        path.write_text(json.dumps(fields))
        open_checkpoint(checkpoint).check()
    except CheckpointFolderError as error:
        assert str(checkpoint) in str(error) and "\n" not in str(error)
    finally:
        path.write_text(whole)
