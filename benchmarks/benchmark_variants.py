"""Measure the cost of likelihoods: variants against whole haplotypes, sequences against GPT-2.

    python benchmarks/benchmark_variants.py
    python benchmarks/benchmark_variants.py --preset dnagpt-m --variants 24 --phases first

Variants stand 50 bases apart, four of five are single bases, the others insertions and deletions of
up to nine. By brute force both haplotypes of each variant, phase and strand are read whole, in
batches of as many rows. Prints one JSON line for variants (positions of the model and processor
seconds both ways, their ratios, the largest difference between the scores) and one for `score`:
bases in a second, and those of the same computation with GPT-2 of the same size, whose head scores
the whole vocabulary.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from dnagpt_hf import LoadedModel, Variant, load, open_genome, preset_config
from dnagpt_hf.genomes.fasta import Genome
from dnagpt_hf.likelihoods.alleles import Haplotypes
from dnagpt_hf.likelihoods.kmers import KmerModel
from dnagpt_hf.likelihoods.sequences import SequenceScorer
from dnagpt_hf.likelihoods.settings import ScoreSettings, VariantSettings
from dnagpt_hf.likelihoods.strands import Strand
from dnagpt_hf.likelihoods.variants import score_variants
from dnagpt_hf.likelihoods.windows import WindowGrid
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask
from dnagpt_hf.presets import tokenizer_of

SPACING, BEFORE = 50, 3000


def make_variants(sequence: str, count: int, rng: np.random.Generator) -> list[Variant]:
    """Alleles side by side, behind the beginning of the contig."""
    found = []
    for number in range(count):
        position = BEFORE + number * SPACING
        ref = sequence[position]
        alt = "ACGT"[("ACGT".index(ref) + int(rng.integers(1, 4))) % 4]
        if number % 5 == 4:
            length = int(rng.integers(2, 11))
            ref, alt = sequence[position : position + length], ref
            if number % 2:
                ref, alt = alt, alt + "".join(rng.choice(list("ACGT"), length - 1))
        found.append(Variant("c", position, ref, alt))
    return found


def whole_haplotypes(
    loaded: LoadedModel, genome: Genome, variants: list[Variant], settings: VariantSettings
) -> list[float]:
    """Score variants from whole windows of both haplotypes."""
    model = KmerModel(loaded.model, loaded.tokenizer, species=settings.species)
    grid, k = WindowGrid(model, settings), model.kmer_size
    rows: list[Any] = []
    for variant in variants:
        forward = Haplotypes.of(genome.contigs["c"], variant)
        for one in (forward, forward.on_reverse)[: 2 if settings.strand == "both" else 1]:
            for phase, index in enumerate(grid.indices(one).tolist()):
                start = index * grid.stride * k + phase
                end = start + grid.window * k
                place = (one.first_difference - start) // k
                rows.append((place, one.strand[start:end], one.alternative(start, end)))
    ratios = []
    together = grid.together * grid.phases
    for done in range(0, len(rows), together):
        batch = rows[done : done + together]
        sums = []
        for haplotype in (1, 2):
            kmers = np.stack([row[haplotype] for row in batch]).reshape(len(batch), -1, k)
            found = model.kmer_log_probabilities(model.read(kmers)[0], kmers)
            sums.append(
                [
                    one[row[0] : row[0] + 1 + grid.right].sum()
                    for row, one in zip(batch, found, strict=True)
                ]
            )
        ratios += [other - one for one, other in zip(*sums, strict=True)]
    # as many phases on each strand
    return np.reshape(ratios, (len(variants), -1)).mean(1).tolist()


def gpt2_of(model: DNAGPTForMultiTask) -> GPT2LMHeadModel:
    """GPT-2 with as many layers, heads, positions and entries."""
    config = model.config
    sizes = GPT2Config(
        vocab_size=config.vocab_size,
        n_positions=config.max_position_embeddings,
        n_embd=config.hidden_size,
        n_layer=config.num_hidden_layers,
        n_head=config.num_attention_heads,
        bos_token_id=None,
        eos_token_id=None,
    )
    return GPT2LMHeadModel(sizes).eval()


def score_with_gpt2(gpt2: Any, scorer: SequenceScorer, bases: np.ndarray[Any, Any]) -> None:
    """Compute the conditionals of bases on both strands from the logits of GPT-2."""
    kmers, k = scorer.kmers, scorer.kmers.kmer_size
    ids = torch.from_numpy(kmers.tokenizer.encode_dna(all_kmers(k))).long()
    for strand in (Strand(bases), Strand(bases, is_reverse=True)):
        for start in range(0, len(bases), scorer.window * k):
            count = min(scorer.window, -(-(len(bases) - start) // k))
            read = strand.kmers(start, count, k, scorer.phases)
            letters = np.where(read == 0, ord("N"), read).astype(np.uint8)
            tokens = kmers.tokenizer.encode_dna(letters.ravel()).reshape(read.shape[:2])
            front = np.full((len(tokens), 1), kmers.species_ids[0])
            inputs = torch.from_numpy(np.concatenate([front, tokens[:, :-1]], 1)).long()
            with torch.inference_mode():
                logits = gpt2(inputs, use_cache=False).logits[..., ids].float().log_softmax(-1)
            probabilities = logits.exp().view(*inputs.shape, *[4] * k)
            for column in range(k):
                probabilities.sum(dim=tuple(range(2 + column + 1, 2 + k)))


def all_kmers(k: int) -> str:
    digits = np.arange(4**k)[:, None] // 4 ** np.arange(k)[::-1] % 4
    return "".join(np.array(list("ACGT"))[digits].ravel())


@contextmanager
def counted(model: DNAGPTForMultiTask) -> Iterator[list[int]]:
    """Count the positions that the model reads."""
    passed: list[int] = []
    handle = model.model.register_forward_pre_hook(
        lambda _, args, kwargs: passed.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    yield passed
    handle.remove()


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    # processor time, so that other programs on the machine do not count
    started = time.process_time()
    result = function()
    return result, time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--preset", help="a model with random weights; by default dnagpt-tiny")
    parser.add_argument("--variants", type=int, default=60)
    parser.add_argument("--bases", type=int, default=6000, help="bases to score")
    parser.add_argument("--window", type=int, default=400, help="tokens")
    parser.add_argument("--stride", type=int, default=100, help="tokens")
    parser.add_argument("--right", type=int, default=60, help="tokens")
    parser.add_argument("--phases", default="all", choices=("all", "first"))
    parser.add_argument("--strand", default="both", choices=("both", "forward"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    if options.preset:
        config = preset_config(options.preset)
        loaded = LoadedModel(DNAGPTForMultiTask(config).eval(), tokenizer_of(config))
    else:
        loaded = load("dnagpt-tiny", device="cpu")
    k = loaded.tokenizer.kmer_size
    sequence = "".join(rng.choice(list("ACGT"), 2 * BEFORE + options.variants * SPACING))
    variants = make_variants(sequence, options.variants, rng)
    lengths = (count * k for count in (options.window, options.stride, options.right))
    settings = VariantSettings("R", *lengths, phases=options.phases, strand=options.strand)
    with TemporaryDirectory() as folder:
        path = Path(folder, "genome.fa")
        path.write_text(f">c\n{sequence}\n")
        genome = open_genome(path)
        arguments = loaded.model, loaded.tokenizer, genome, variants, settings
        # the first passes of a process are slower
        list(score_variants(*arguments[:3], variants[:1], settings))
        with counted(loaded.model) as passed:
            scores, seconds = timed(lambda: list(score_variants(*arguments)))
        with counted(loaded.model) as plain_passed:
            plain, plain_seconds = timed(
                lambda: whole_haplotypes(loaded, genome, variants, settings)
            )
    found = np.array([score.llr for score in scores], float)
    model = options.preset or "dnagpt-tiny"
    results: dict[str, Any] = {
        "model": model,
        "variants": options.variants,
        "phases": options.phases,
        "strand": options.strand,
        "tokens": sum(passed),
        "tokens_of_whole_haplotypes": sum(plain_passed),
        "times_fewer_tokens": round(sum(plain_passed) / sum(passed), 2),
        "seconds": round(seconds, 1),
        "seconds_of_whole_haplotypes": round(plain_seconds, 1),
        "times_faster": round(plain_seconds / seconds, 2),
        "variants_per_hour": round(options.variants / seconds * 3600),
        "largest_difference": float(np.abs(found - plain).max()),
    }
    print(json.dumps(results))

    bases = np.frombuffer(sequence[: options.bases].encode(), np.uint8)
    window = loaded.config.max_position_embeddings * k
    of_score = ScoreSettings("R", phases=options.phases, window=window, stride=window)
    scorer = SequenceScorer(loaded.model, loaded.tokenizer, of_score)
    gpt2 = gpt2_of(loaded.model)
    list(scorer.blocks(bases[:300]))
    score_with_gpt2(gpt2, scorer, bases[:300])
    with counted(loaded.model) as passed:
        _, seconds = timed(lambda: list(scorer.blocks(bases)))
    _, gpt2_seconds = timed(lambda: score_with_gpt2(gpt2, scorer, bases))
    results = {
        "model": model,
        "bases": len(bases),
        "phases": options.phases,
        "tokens": sum(passed),
        "bases_per_second": round(len(bases) / seconds),
        "bases_per_second_of_gpt2": round(len(bases) / gpt2_seconds),
        "times_faster": round(gpt2_seconds / seconds, 2),
    }
    print(json.dumps(results))


if __name__ == "__main__":
    main()
