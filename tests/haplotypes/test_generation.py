"""Artificial genomes against `generate` of Transformers with logits processors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers.generation import LogitsProcessor

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.generation.sampling import Sampling, sequence_keys
from dnagpt_hf.haplotypes.codec import HaplotypeCodec
from dnagpt_hf.haplotypes.format import HaplotypeFormat
from dnagpt_hf.haplotypes.generation import REASONS, generate_haplotypes, rejection_reasons
from dnagpt_hf.haplotypes.sites import HaplotypeError
from dnagpt_hf.presets import preset_config, preset_tokenizer

SITES = 20
POPULATIONS = ("AFR", "EUR")
SAMPLINGS: list[dict[str, Any]] = [
    {},
    {"temperature": 1.0, "seed": 3},
    {"top_k": 5},
    {"top_p": 0.7, "seed": -1},
]


@pytest.fixture(scope="module")
def tokenizer() -> DNAGPTTokenizer:
    return preset_tokenizer("dnagpt-test", kmer_size=3)


def make_model(**arguments: Any) -> DNAGPTForMultiTask:
    """A model that prefers some tokens at some places, and is free of its alleles' frequency."""
    form = HaplotypeFormat(SITES, **arguments)
    torch.manual_seed(0)
    config = preset_config("dnagpt-test", kmer_size=3, haplotypes=form.as_dict())
    model = DNAGPTForMultiTask(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.mul_(6)
    return model


@pytest.fixture(scope="module")
def model() -> DNAGPTForMultiTask:
    return make_model()


@pytest.fixture(scope="module")
def likely_model(tokenizer: DNAGPTTokenizer) -> DNAGPTForMultiTask:
    """A model whose sequences are haplotypes in about a third of all cases.

    Its first layers are switched off, so that scores depend on the position alone.
    """
    model = make_model()
    codec = HaplotypeCodec(tokenizer, HaplotypeFormat(SITES))
    hidden = model.config.hidden_size
    with torch.no_grad():
        model.model.embed_tokens.weight.zero_()
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.model.embed_positions.weight.copy_(torch.eye(64, hidden) * 10)
        model.token_head.in_proj.weight.copy_(torch.eye(hidden) * 4)
        weight = model.token_head.out_proj.weight
        weight.zero_()
        for place in range(codec.start, codec.length):
            ids = [codec.stop_id]
            if place < codec.length - 1:
                ids = codec.allele_ids(place - codec.start)
            weight[ids, place - 1] += 0.95 + 0.2 * torch.rand(len(ids))
    return model


class OnlyAlleles(LogitsProcessor):
    """The constraint as it is defined: all other scores are ruled out."""

    def __init__(self, codec: HaplotypeCodec) -> None:
        self.codec = codec

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        kept = torch.full_like(scores, -torch.inf)
        ids = allowed_ids(self.codec, input_ids.shape[1])
        kept[:, ids] = scores[:, ids]
        return kept


class OthersTogether(LogitsProcessor):
    """All tokens that are neither allele nor stop symbol as one, that of the number position."""

    def __init__(self, codec: HaplotypeCodec, number: int) -> None:
        self.codec, self.number = codec, number

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        ids = [*allowed_ids(self.codec, input_ids.shape[1]), self.codec.stop_id]
        is_named = torch.zeros(scores.shape[1], dtype=torch.bool)
        is_named[ids] = True
        kept = scores.masked_fill(~is_named, -torch.inf)
        kept[:, self.number] = scores.masked_fill(is_named, -torch.inf).exp().sum(-1).log()
        return kept


def allowed_ids(codec: HaplotypeCodec, place: int) -> list[int]:
    if place == codec.length - 1:
        return [codec.stop_id]
    return list(codec.allele_ids(place - codec.start))


def generate_plainly(
    model: DNAGPTForMultiTask,
    codec: HaplotypeCodec,
    processors: list[LogitsProcessor],
    number: int,
) -> np.ndarray:
    prompts = torch.tensor(codec.prompt())[None].expand(number, -1)
    with torch.no_grad():
        ids = prompts
        for _ in range(codec.length - codec.start):
            zeros = torch.zeros(ids.shape)
            scores = model(ids, number_values=zeros).logits[:, -1].float()
            for processor in processors:
                scores = processor(ids, scores)
            ids = torch.cat([ids, scores.argmax(-1)[:, None]], 1)
    return ids.numpy()


@pytest.mark.parametrize("arguments", SAMPLINGS, ids=str)
def test_constrained_genomes_are_those_of_generate(
    model: DNAGPTForMultiTask, tokenizer: DNAGPTTokenizer, arguments: dict[str, Any]
) -> None:
    generated = generate_haplotypes(model, tokenizer, 12, constrained=True, **arguments)
    codec = HaplotypeCodec(tokenizer, HaplotypeFormat(SITES))
    sampling = Sampling(**{"temperature": 0.8, **arguments})
    keys = sequence_keys(sampling.seed, torch.arange(12), torch.zeros(12, dtype=torch.long))
    prompts = torch.tensor(codec.prompt())[None].expand(12, -1)
    expected = model.generate(
        prompts,
        attention_mask=torch.ones_like(prompts),
        max_new_tokens=codec.length - codec.start,
        do_sample=False,
        logits_processor=[OnlyAlleles(codec), *sampling.processors(keys, codec.start)],
    )
    assert codec.decode(expected.numpy()).is_valid.all()
    alleles = generated.haplotypes.alleles
    assert alleles.tolist() == codec.decode(expected.numpy()).alleles.tolist()
    assert len(np.unique(alleles, axis=0)) > 3
    assert sum(generated.rejected.values()) == 0


@pytest.mark.parametrize("arguments", SAMPLINGS, ids=str)
def test_free_genomes_are_those_of_any_token(
    likely_model: DNAGPTForMultiTask, tokenizer: DNAGPTTokenizer, arguments: dict[str, Any]
) -> None:
    number = 30
    generated = generate_haplotypes(likely_model, tokenizer, number, **arguments)
    codec = HaplotypeCodec(tokenizer, HaplotypeFormat(SITES))
    sampling = Sampling(**{"temperature": 0.8, **arguments})
    found: dict[int, list[int]] = {}
    rejected = 0
    for attempt in range(100):
        missing = [one for one in range(number) if one not in found]
        keys = sequence_keys(
            sampling.seed, torch.tensor(missing), torch.full((len(missing),), attempt)
        )
        others = OthersTogether(codec, tokenizer.number_token_id)
        processors = sampling.processors(keys, codec.start)
        processors.insert(-1, others)
        decoded = codec.decode(generate_plainly(likely_model, codec, processors, len(missing)))
        valid = decoded.is_valid
        found |= {
            one: row.tolist()
            for one, row, good in zip(missing, decoded.alleles, valid, strict=True)
            if good
        }
        rejected += int((~valid).sum())
        if len(found) == number:
            break
    assert generated.haplotypes.alleles.tolist() == [found[one] for one in range(number)]
    assert sum(generated.rejected.values()) == rejected
    if "temperature" in arguments:
        assert rejected > number / 2


def test_free_and_constrained_alleles_have_one_distribution(
    likely_model: DNAGPTForMultiTask, tokenizer: DNAGPTTokenizer
) -> None:
    free = generate_haplotypes(likely_model, tokenizer, 600, batch_size=600, temperature=1.0)
    bound = generate_haplotypes(
        likely_model, tokenizer, 600, batch_size=600, temperature=1.0, constrained=True, seed=1
    )
    difference = free.haplotypes.alleles.mean(0) - bound.haplotypes.alleles.mean(0)
    # four standard deviations of a difference of two frequencies
    assert np.abs(difference).max() < 4 * (0.5 / 600) ** 0.5
    assert free.rejected["another token"] > 0


@pytest.mark.parametrize("constrained", [False, True], ids=["free", "constrained"])
def test_genomes_do_not_depend_on_the_batch(
    likely_model: DNAGPTForMultiTask, tokenizer: DNAGPTTokenizer, constrained: bool
) -> None:
    results = [
        generate_haplotypes(
            likely_model, tokenizer, 17, constrained=constrained, batch_size=size, seed=5
        )
        for size in (1, 4, 64)
    ]
    for result in results[1:]:
        assert np.array_equal(result.haplotypes.alleles, results[0].haplotypes.alleles)
        assert result.rejected == results[0].rejected
    more = generate_haplotypes(likely_model, tokenizer, 20, constrained=constrained, seed=5)
    assert np.array_equal(more.haplotypes.alleles[:17], results[0].haplotypes.alleles)
    other = generate_haplotypes(likely_model, tokenizer, 17, constrained=constrained, seed=6)
    assert not np.array_equal(other.haplotypes.alleles, results[0].haplotypes.alleles)


def test_reasons_for_rejection(tokenizer: DNAGPTTokenizer) -> None:
    codec = HaplotypeCodec(tokenizer, HaplotypeFormat(SITES))
    good = codec.encode(np.ones((1, SITES), np.uint8))[0]
    pad = tokenizer.pad_token_id
    early, missing, other, both = (good.copy() for _ in range(4))
    early[3], missing[-1], other[4], both[2], both[5] = codec.stop_id, pad, pad, codec.stop_id, pad
    reasons = rejection_reasons(codec, np.stack([early, missing, other, both]))
    assert [REASONS[one] for one in reasons] == [REASONS[0], REASONS[1], REASONS[2], REASONS[0]]


def test_a_model_that_writes_no_genomes(
    model: DNAGPTForMultiTask, tokenizer: DNAGPTTokenizer
) -> None:
    with pytest.raises(HaplotypeError, match=r"was not valid in 2 tries.*rejected \(.*train"):
        generate_haplotypes(model, tokenizer, 3, max_tries=2)


@pytest.mark.parametrize("number_known", [1, 2, 3, 5, 19])
@pytest.mark.parametrize("constrained", [False, True], ids=["free", "constrained"])
def test_known_sites_are_kept(
    likely_model: DNAGPTForMultiTask,
    tokenizer: DNAGPTTokenizer,
    number_known: int,
    constrained: bool,
) -> None:
    known = np.random.default_rng(0).integers(0, 2, (3, number_known))
    generated = generate_haplotypes(
        likely_model, tokenizer, 14, known=known, constrained=constrained, batch_size=5
    )
    alleles = generated.haplotypes.alleles
    assert np.array_equal(alleles[:, :number_known], known[np.arange(14) % 3])
    if number_known < 19:
        assert len(np.unique(alleles[::3], axis=0)) > 1


def test_known_sites_matter_as_if_they_had_been_drawn(
    model: DNAGPTForMultiTask, tokenizer: DNAGPTTokenizer
) -> None:
    first = generate_haplotypes(model, tokenizer, 1, constrained=True, temperature=1e-4)
    again = generate_haplotypes(
        model,
        tokenizer,
        1,
        constrained=True,
        temperature=1e-4,
        known=first.haplotypes.alleles[0, :8],
    )
    assert np.array_equal(again.haplotypes.alleles, first.haplotypes.alleles)


def test_populations(tokenizer: DNAGPTTokenizer) -> None:
    model = make_model(populations={"AFR": "<0>", "EUR": "<1>"})
    arguments: dict[str, Any] = {"constrained": True, "temperature": 1e-4}
    of_one = {
        name: generate_haplotypes(model, tokenizer, 2, population=name, **arguments).haplotypes
        for name in POPULATIONS
    }
    assert not np.array_equal(of_one["AFR"].alleles, of_one["EUR"].alleles)
    mixed = generate_haplotypes(
        model, tokenizer, 3, population=["EUR", "AFR", "EUR"], **arguments
    ).haplotypes
    assert mixed.populations.tolist() == ["EUR", "AFR", "EUR"]
    for row, name in enumerate(mixed.populations):
        assert np.array_equal(mixed.alleles[row], of_one[name].alleles[0])


def test_populations_and_known_sites(tokenizer: DNAGPTTokenizer) -> None:
    model = make_model(populations={"AFR": "<0>", "EUR": "<1>"})
    known = np.asarray([[0, 0, 0, 1], [1, 1, 1, 0]])
    generated = generate_haplotypes(
        model, tokenizer, 4, population=["EUR", "EUR", "AFR", "AFR"], known=known, constrained=True
    ).haplotypes
    assert np.array_equal(generated.alleles[:, :4], known[[0, 1, 0, 1]])
    assert generated.populations.tolist() == ["EUR", "EUR", "AFR", "AFR"]


def test_the_model_draws_populations_that_are_not_stated(tokenizer: DNAGPTTokenizer) -> None:
    model = make_model(populations={"AFR": "<0>", "EUR": "<1>"})
    with torch.no_grad():
        model.token_head.out_proj.weight[:2] *= 0.05
    drawn = generate_haplotypes(model, tokenizer, 40, constrained=True).haplotypes.populations
    assert set(drawn) == set(POPULATIONS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"number": 0}, "number is 0"),
        ({"temperature": 0.0}, "temperature is 0.0: it must be above 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"population": "AFR"}, "model or format has no populations"),
        ({"known": [0, 2]}, "known alleles: haplotype 1 has the allele 2 at site 2"),
        ({"known": [0] * SITES}, r"known alleles of shape \(20,\).*fewer than 20"),
    ],
)
def test_bad_input(
    model: DNAGPTForMultiTask,
    tokenizer: DNAGPTTokenizer,
    arguments: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(HaplotypeError, match=message):
        generate_haplotypes(model, tokenizer, **{"number": 2, **arguments})


def test_bad_populations(tokenizer: DNAGPTTokenizer) -> None:
    model = make_model(populations={"AFR": "<0>", "EUR": "<1>"})
    with pytest.raises(HaplotypeError, match="unknown population 'EAS'; there are AFR, EUR"):
        generate_haplotypes(model, tokenizer, 2, population="EAS")
    with pytest.raises(HaplotypeError, match="2 populations for 3 genomes"):
        generate_haplotypes(model, tokenizer, 3, population=["AFR", "EUR"])
    with pytest.raises(HaplotypeError, match="before the alleles: state it, one of AFR, EUR"):
        generate_haplotypes(model, tokenizer, 2, known=[0, 1])


def test_other_models(tiny_model: DNAGPTForMultiTask, tiny_tokenizer: DNAGPTTokenizer) -> None:
    with pytest.raises(HaplotypeError, match="was not trained on haplotypes"):
        generate_haplotypes(tiny_model, tiny_tokenizer, 2)
    tiny_model.config.haplotypes = HaplotypeFormat(1000).as_dict()
    with pytest.raises(HaplotypeError, match=r"are 169 tokens of 6 sites, which exceeds .* 64"):
        generate_haplotypes(tiny_model, tiny_tokenizer, 2)


def test_sites_of_the_result(model: DNAGPTForMultiTask, tokenizer: DNAGPTTokenizer) -> None:
    from haplotype_sets import make_sites

    generated = generate_haplotypes(
        model, tokenizer, 2, constrained=True, sites=make_sites(SITES)
    ).haplotypes
    assert generated.sites is not None
    assert generated.names.tolist() == ["genome_1", "genome_2"]
    with pytest.raises(HaplotypeError, match="list of sites has 19, but the model writes 20"):
        generate_haplotypes(model, tokenizer, 2, sites=make_sites(19))
