"""How a model writes haplotypes, kept in its configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from dnagpt_hf import DNAGPTConfig, DNAGPTTokenizer
from dnagpt_hf.haplotypes.codec import HaplotypeCodec
from dnagpt_hf.haplotypes.format import HaplotypeFormat
from dnagpt_hf.haplotypes.sites import HaplotypeError


def test_a_checkpoint_keeps_it(
    tiny_config: DNAGPTConfig, tiny_tokenizer: DNAGPTTokenizer, tmp_path: Path
) -> None:
    form = HaplotypeFormat.of_populations(23, ["EUR", "AFR", "EUR"])
    tiny_config.haplotypes = form.as_dict()
    tiny_config.save_pretrained(tmp_path)
    again = HaplotypeFormat.of_model(DNAGPTConfig.from_pretrained(tmp_path))
    assert again == form
    codec = HaplotypeCodec(tiny_tokenizer, again)
    assert codec.texts([[0] * 22 + [1]], ["EUR"]) == [f"<R><1>{'A' * 22}T<!>"]


def test_other_checkpoints(tiny_config: DNAGPTConfig) -> None:
    with pytest.raises(HaplotypeError, match="my-model was not trained on haplotypes"):
        HaplotypeFormat.of_model(tiny_config, "my-model")
    tiny_config.haplotypes = {"num_sites": 3}
    with pytest.raises(HaplotypeError, match="has the keys num_sites; num_sites, letters, "):
        HaplotypeFormat.of_model(tiny_config)


def test_too_many_populations() -> None:
    with pytest.raises(HaplotypeError, match=r"11 populations .* there are tokens for 10"):
        HaplotypeFormat.of_populations(3, [f"P{number}" for number in range(11)])


def test_positions(tiny_tokenizer: DNAGPTTokenizer) -> None:
    codec = HaplotypeCodec(tiny_tokenizer, HaplotypeFormat(10_000))
    codec.check_positions(1669)
    with pytest.raises(HaplotypeError, match=r"10,000 sites are 1,669 tokens of 6 sites, .* 512"):
        codec.check_positions(512)
