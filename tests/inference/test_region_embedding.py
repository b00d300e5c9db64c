"""Embeddings of regions, compared with single passes of the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from variant_files import bases, write_genome

from dnagpt_hf import open_genome
from dnagpt_hf.genomes.bases import reverse_complement
from dnagpt_hf.genomes.fasta import Genome
from dnagpt_hf.inference.region_embedding import (
    RegionEmbedder,
    RegionSettings,
    regions_to_embed,
)
from dnagpt_hf.presets import preset_config
from dnagpt_hf.tokenization_dnagpt import PROPERTY_TOKENS

SPECIES_ID = PROPERTY_TOKENS.index("<U>")


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    return open_genome(write_genome(tmp_path))


def states(model: Any, tokenizer: Any, dna: str, front: bool = True) -> np.ndarray[Any, Any]:
    """The last hidden states of the whole k-mers of a text, alone in a batch."""
    k = tokenizer.kmer_size
    ids = tokenizer.encode_dna(dna[: len(dna) // k * k]).tolist()
    ids = torch.tensor([[SPECIES_ID] * front + ids])
    with torch.inference_mode():
        return model.model(input_ids=ids).last_hidden_state[0, int(front) :].numpy()


@dataclass
class Joined:
    """The vectors of all parts of a region."""

    start: Any
    end: Any
    vectors: Any


def embed(model: Any, tokenizer: Any, genome: Genome, regions: Any, **options: Any) -> Joined:
    settings = RegionSettings(species="U", **options)
    embedder = RegionEmbedder(model.model, tokenizer, settings, max_tokens=200)
    found = regions_to_embed(genome, regions)
    parts = list(embedder.embed(genome, found))
    count = sum(embedder.num_vectors(region.end - region.start) for region in found)
    arrays = [[getattr(one, name) for one in parts] for name in ("start", "end", "vectors")]
    joined = Joined(*map(np.concatenate, arrays))
    assert joined.vectors.shape == (count, model.config.hidden_size)
    return joined


@pytest.mark.parametrize("pooling", ["mean", "last", "max"])
def test_a_vector_for_each_window(
    tiny_model: Any, tiny_tokenizer: Any, genome: Genome, pooling: str
) -> None:
    k = tiny_tokenizer.kmer_size
    found = embed(
        tiny_model, tiny_tokenizer, genome, [("chr1", 7, 140)],
        pooling=pooling, window=10 * k + 1, stride=5 * k,
    )  # fmt: skip
    starts = list(range(7, 140 - 5 * k, 5 * k))
    assert found.start.tolist() == starts
    assert found.end.tolist() == [min(start + 10 * k, 140) for start in starts]
    for start, end, vector in zip(found.start, found.end, found.vectors, strict=True):
        alone = states(tiny_model, tiny_tokenizer, bases()[start:end])
        expected = alone[-1] if pooling == "last" else getattr(alone, pooling)(axis=0)
        np.testing.assert_allclose(vector, expected, atol=1e-5)


def test_phases_and_strands_of_a_window(
    tiny_model: Any, tiny_tokenizer: Any, genome: Genome
) -> None:
    k = tiny_tokenizer.kmer_size
    found = embed(
        tiny_model, tiny_tokenizer, genome, [("chr1", 0, 10 * k)],
        window=10 * k, phases="all", strand="both",
    )  # fmt: skip
    dna = bases()[: 10 * k]
    strands = (dna, reverse_complement(dna.encode()).decode())
    rows = [
        states(tiny_model, tiny_tokenizer, strand[phase:]).mean(axis=0)
        for strand in strands
        for phase in range(k)
    ]
    np.testing.assert_allclose(found.vectors[0], np.mean(rows, axis=0), atol=1e-5)


def test_tokens_join_to_a_track(tiny_model: Any, tiny_tokenizer: Any, genome: Genome) -> None:
    k = tiny_tokenizer.kmer_size
    found = embed(
        tiny_model, tiny_tokenizer, genome, [("chr1", 0, 100)],
        pooling="token", window=10 * k, stride=5 * k,
    )  # fmt: skip
    assert found.start.tolist() == list(range(0, 100 // k * k, k))
    assert (found.end - found.start == k).all()
    first = states(tiny_model, tiny_tokenizer, bases()[: 10 * k])
    second = states(tiny_model, tiny_tokenizer, bases()[5 * k : 15 * k])
    np.testing.assert_allclose(found.vectors[:10], first, atol=1e-5)
    np.testing.assert_allclose(found.vectors[10:15], second[5:], atol=1e-5)


@pytest.mark.parametrize("strand", ["forward", "both"])
def test_bins_average_the_tokens_of_their_bases(
    tiny_model: Any, tiny_tokenizer: Any, genome: Genome, strand: str
) -> None:
    k, size = tiny_tokenizer.kmer_size, 4
    found = embed(
        tiny_model, tiny_tokenizer, genome, [("chr1", 0, 62)],
        pooling="bin", bin_size=size, phases="all", strand=strand,
    )  # fmt: skip
    assert found.start.tolist() == list(range(0, 62, size))
    assert found.end.tolist() == [*range(size, 62, size), 62]
    dna = bases()[:62]
    sums, counts = np.zeros((62, 32)), np.zeros((62, 1))
    for is_reverse in (False, True)[: 1 + (strand == "both")]:
        text = reverse_complement(dna.encode()).decode() if is_reverse else dna
        for phase in range(k):
            for index, state in enumerate(states(tiny_model, tiny_tokenizer, text[phase:])):
                for base in range(phase + index * k, phase + index * k + k):
                    place = 61 - base if is_reverse else base
                    sums[place] += state
                    counts[place] += 1
    per_base = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    for start, end, vector in zip(found.start, found.end, found.vectors, strict=True):
        np.testing.assert_allclose(vector, np.nanmean(per_base[start:end], axis=0), atol=1e-5)


def test_a_window_without_a_whole_kmer_is_missing(
    tiny_model: Any, tiny_tokenizer: Any, genome: Genome
) -> None:
    found = embed(tiny_model, tiny_tokenizer, genome, [("chr1", 0, 2)], phases="all")
    assert np.isnan(found.vectors).all()


def test_parts_know_their_region(tiny_model: Any, tiny_tokenizer: Any, genome: Genome) -> None:
    contigs = regions_to_embed(genome, None)
    assert [(one.name, one.start, one.end) for one in contigs] == [
        ("chr1", 0, 900),
        ("chrM", 0, 300),
    ]
    embedder = RegionEmbedder(tiny_model.model, tiny_tokenizer, RegionSettings())
    found = list(embedder.embed(genome, regions_to_embed(genome, ["M:6-30", ("1", 0, 9)])))
    assert [(one.number, one.region.name, one.contig) for one in found] == [
        (0, "chrM:6-30", "chrM"),
        (1, "chr1:1-9", "chr1"),
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "sum"}, "unknown pooling 'sum'"),
        ({"pooling": "bin"}, "belong together"),
        ({"pooling": "token", "phases": "all"}, "take bins of 1 base"),
        ({"window": 30, "stride": 60}, "a stride is no longer"),
        ({"window": 6000}, "a window has"),
        ({"species": "ZZ"}, "no species token 'ZZ'"),
        ({"layer": 9}, "layer 9 does not exist"),
    ],
)
def test_settings_that_do_not_fit(
    tiny_model: Any, tiny_tokenizer: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        RegionEmbedder(tiny_model.model, tiny_tokenizer, RegionSettings(**options))


def test_the_layer(tiny_model: Any, tiny_tokenizer: Any, genome: Genome) -> None:
    found = embed(tiny_model, tiny_tokenizer, genome, [("chr1", 0, 30)], pooling="token", layer=0)
    last = embed(tiny_model, tiny_tokenizer, genome, [("chr1", 0, 30)], pooling="token")
    assert preset_config("dnagpt-test").hidden_size == found.vectors.shape[1]
    assert not np.allclose(found.vectors, last.vectors)
