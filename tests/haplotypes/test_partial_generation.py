"""Genomes that are kept from batch to batch, and runs that were stopped."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.haplotypes.format import HaplotypeFormat
from dnagpt_hf.haplotypes.generation import generate_haplotypes
from dnagpt_hf.haplotypes.partial_generation import PartialGeneration, ResumptionError
from dnagpt_hf.haplotypes.sampling import HaplotypeSampler

NUMBER = 11


@pytest.fixture
def model(tiny_model: DNAGPTForMultiTask) -> DNAGPTForMultiTask:
    tiny_model.config.haplotypes = HaplotypeFormat(50).as_dict()
    return tiny_model


def generate(model: DNAGPTForMultiTask, tokenizer: DNAGPTTokenizer, **arguments: Any) -> np.ndarray:
    defaults: dict[str, Any] = {"constrained": True, "batch_size": 3}
    generated = generate_haplotypes(model, tokenizer, NUMBER, **{**defaults, **arguments})
    return generated.haplotypes.alleles


class Stopped(Exception):
    pass


def stop_after(batches: int) -> Any:
    calls: list[int] = []

    def on_batch(done: int) -> None:
        calls.append(done)
        if len(calls) > batches:
            raise Stopped

    return on_batch


@pytest.mark.parametrize("cut_off", [0, 1, 30])
def test_a_run_that_was_stopped_goes_on(
    model: DNAGPTForMultiTask,
    tiny_tokenizer: DNAGPTTokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cut_off: int,
) -> None:
    path = tmp_path / "genomes.partial"
    expected = generate(model, tiny_tokenizer)
    with pytest.raises(Stopped):
        generate(model, tiny_tokenizer, partial=path, on_batch=stop_after(2))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - cut_off])

    drawn: list[int] = []
    draw = HaplotypeSampler.draw

    def counted(sampler: Any, prompts: Any, genomes: np.ndarray, keys: torch.Tensor) -> Any:
        drawn.extend(genomes.tolist())
        return draw(sampler, prompts, genomes, keys)

    monkeypatch.setattr(HaplotypeSampler, "draw", counted)
    done: list[int] = []
    again = generate(model, tiny_tokenizer, partial=path, on_batch=done.append, batch_size=4)
    assert np.array_equal(again, expected)
    first = 5 if cut_off else 6
    assert drawn == list(range(first, NUMBER))
    assert (done[0], done[-1]) == (first, NUMBER)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": 1}, "seed 0, not 1"),
        ({"temperature": 1.2}, "temperature 0.8, not 1.2"),
        ({"known": [0, 1, 1]}, "known None, not"),
    ],
)
def test_another_run_is_not_gone_on_with(
    model: DNAGPTForMultiTask,
    tiny_tokenizer: DNAGPTTokenizer,
    tmp_path: Path,
    arguments: dict[str, Any],
    message: str,
) -> None:
    path = tmp_path / "genomes.partial"
    generate(model, tiny_tokenizer, partial=path)
    with pytest.raises(ResumptionError, match=message):
        generate(model, tiny_tokenizer, partial=path, **arguments)


def test_another_model_is_not_gone_on_with(
    model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer, tmp_path: Path
) -> None:
    path = tmp_path / "genomes.partial"
    generate(model, tiny_tokenizer, partial=path)
    with torch.no_grad():
        model.model.norm.weight[0] += 1e-3
    with pytest.raises(ResumptionError, match=r"model .*, not"):
        generate(model, tiny_tokenizer, partial=path)


def test_other_files_are_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes")
    with pytest.raises(ResumptionError, match="its first line is no description of a run"):
        PartialGeneration(path, {"seed": 0}, 4, 1)
    assert path.read_text() == "my notes"


def test_records_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    kept = PartialGeneration(path, {"seed": 0}, 2, 2)
    kept.append(np.asarray([3, 1]), np.asarray([[0, 1], [2, 0]]), np.asarray([[30, 31], [10, 11]]))
    kept.append(np.asarray([2]), np.zeros((1, 2), np.int64), np.asarray([[20, 21]]))
    for one in (kept, PartialGeneration(path, {"seed": 0}, 2, 2)):
        assert one.records["number"].tolist() == [1, 2, 3]
        assert one.records["ids"].tolist() == [[10, 11], [20, 21], [30, 31]]
        assert one.records["rejected"].tolist() == [[2, 0], [0, 0], [0, 1]]


def test_a_full_disk_names_the_file_and_leaves_one_to_resume_from(tmp_path: Path) -> None:
    path = tmp_path / "a.partial"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    numbers = np.arange(2)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5, hard))
        with pytest.raises(OSError, match="File too large") as error:
            PartialGeneration(path, {"seed": 1}, 4, 1)
        assert error.value.filename == str(path) and not path.exists()
        resource.setrlimit(resource.RLIMIT_FSIZE, (50, hard))
        partial = PartialGeneration(path, {"seed": 1}, 4, 1)
        with pytest.raises(OSError, match="File too large") as error:
            partial.append(numbers, np.zeros((2, 1)), np.ones((2, 4)))
        assert error.value.filename == str(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert PartialGeneration(path, {"seed": 1}, 4, 1).records["number"].tolist() == [0]
