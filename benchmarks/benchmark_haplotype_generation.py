"""Measure the speed of generating artificial genomes, and of two other methods.

    OMP_NUM_THREADS=2 python benchmarks/benchmark_haplotype_generation.py

Genomes of 805 SNPs are 135 tokens of 6 SNPs, and of 10,000 SNPs 1,668, the stop symbol included.
Models have new weights, which cost as much as trained ones, and the vocabulary of 6-mers. In each
round, all methods take turns, so that a change of the machine's speed affects all of them:

- `constrained` and `free`: this package, a whole batch from the first token to the last.
- `recomputed`: the whole prefix is read again for each token, one row at a time, as in the code of
  the authors, with the scores of its last position alone. Whole genomes would take hours: nine
  prefixes of evenly spaced lengths are timed, each as the fastest of four runs, and Simpson's rule
  gives the time of a genome.
- `gpt2`: `GPT2LMHeadModel.generate` of the same sizes with its cache, in the same batch, whole.

Every line is one JSON object; rates are tokens per second, medians over the rounds, and `times_…`
are medians of the ratio in each round, `constrained` against the other. With one thread, times are
processor times.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from scipy.integrate import simpson
from transformers import GPT2Config, GPT2LMHeadModel

from dnagpt_hf import DNAGPTForMultiTask, preset_config, preset_tokenizer
from dnagpt_hf.generation.sampling import Sampling, sequence_keys
from dnagpt_hf.haplotypes.codec import HaplotypeCodec
from dnagpt_hf.haplotypes.format import HaplotypeFormat
from dnagpt_hf.haplotypes.sampling import HaplotypeSampler, Prompts

TEMPERATURE = 0.8


class PatientSampler(HaplotypeSampler):
    """Draw all sequences to their end, since those of an untrained model are no genomes."""

    def _is_hopeless(self, drawn: torch.Tensor) -> bool:
        super()._is_hopeless(drawn)
        return False


def make_models(preset: str, sites: int) -> tuple[DNAGPTForMultiTask, GPT2LMHeadModel]:
    """Make DNAGPT of a preset with the vocabulary of 6-mers, and GPT-2 of its sizes."""
    torch.manual_seed(0)
    form = HaplotypeFormat(sites)
    config = preset_config(
        preset, kmer_size=6, max_position_embeddings=2048, haplotypes=form.as_dict()
    )
    other = GPT2Config(
        vocab_size=config.vocab_size,
        n_positions=config.max_position_embeddings,
        n_embd=config.hidden_size,
        n_layer=config.num_hidden_layers,
        n_head=config.num_attention_heads,
        activation_function=config.hidden_act,
        bos_token_id=None,
        eos_token_id=None,
        tie_word_embeddings=False,
    )
    return DNAGPTForMultiTask(config).eval(), GPT2LMHeadModel(other).eval()


def seconds_of(action: Any) -> float:
    # with one thread, processor time leaves other programs on the machine out
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    action()
    return clock() - start


class Ways:
    """Ways of generating, each timed by a method that returns tokens per second."""

    def __init__(self, preset: str, sites: int, rows: int) -> None:
        self.model, self.gpt2 = make_models(preset, sites)
        self.codec = HaplotypeCodec(preset_tokenizer(preset, kmer_size=6), HaplotypeFormat(sites))
        self.rows, self.new_tokens = rows, self.codec.length - self.codec.start

    def own(self, constrained: bool) -> float:
        sampling = Sampling(TEMPERATURE)
        sampler = PatientSampler(self.model, self.codec, sampling, constrained)
        prompts = Prompts.of_known(self.codec, self.rows, None, None)
        genomes = np.arange(self.rows)
        keys = sequence_keys(0, torch.from_numpy(genomes), torch.zeros(self.rows, dtype=torch.long))
        return (
            self.rows * self.new_tokens / seconds_of(lambda: sampler.draw(prompts, genomes, keys))
        )

    def constrained(self) -> float:
        return self.own(True)

    def free(self) -> float:
        return self.own(False)

    @torch.inference_mode()
    def recomputed(self) -> float:
        lengths = np.linspace(1, self.new_tokens, 9).round().astype(int)
        first = self.codec.allele_ids(0)
        seconds = []
        for length in lengths.tolist():
            ids = torch.from_numpy(np.resize(first, (1, length)))

            def token(ids: torch.Tensor = ids) -> None:
                logits = self.model(input_ids=ids, use_cache=False, logits_to_keep=1).logits
                torch.multinomial((logits[0, -1] / TEMPERATURE).softmax(-1), 1)

            seconds.append(min(seconds_of(token) for _ in range(4)))
        # seconds of all tokens: the integral over the lengths of their prefixes
        whole = simpson(seconds, x=lengths) + seconds[-1]
        return self.new_tokens / whole

    @torch.inference_mode()
    def generated_by_gpt2(self) -> float:
        prompts = torch.tensor(self.codec.prompt())[None].repeat(self.rows, 1)
        call = {
            "attention_mask": torch.ones_like(prompts),
            "max_new_tokens": self.new_tokens,
            "do_sample": True,
            "top_k": 0,
            "temperature": TEMPERATURE,
            "pad_token_id": 0,
        }
        return self.rows * self.new_tokens / seconds_of(lambda: self.gpt2.generate(prompts, **call))


def measure(preset: str, sites: int, rows: int, rounds: int, chosen: list[str]) -> dict[str, Any]:
    ways = Ways(preset, sites, rows)
    timed = {
        "constrained": ways.constrained,
        "free": ways.free,
        "recomputed": ways.recomputed,
        "gpt2": ways.generated_by_gpt2,
    }
    rates: dict[str, list[float]] = {name: [] for name in ("constrained", *chosen)}
    Ways(preset, 60, rows).constrained()
    for number in range(rounds):
        for name in sorted(rates, reverse=number % 2 == 1):
            rates[name].append(timed[name]())
    own = rates["constrained"]
    result: dict[str, Any] = {
        "model": preset,
        "width": ways.model.config.hidden_size,
        "layers": ways.model.config.num_hidden_layers,
        "sites": sites,
        "new_tokens": ways.new_tokens,
        "rows": rows,
        "rounds": rounds,
    }
    for name, values in rates.items():
        result[f"{name}_tokens_per_second"] = round(statistics.median(values), 1)
    for name in chosen:
        ratios = [mine / theirs for mine, theirs in zip(own, rates[name], strict=True)]
        result[f"times_{name}"] = round(statistics.median(ratios), 2)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=["dnagpt-tiny"], help="presets")
    parser.add_argument("--sites", nargs="+", type=int, default=[805, 10_000])
    parser.add_argument("--rows", nargs="+", type=int, default=[64], help="rows of a batch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--beside", nargs="*", default=["free", "recomputed", "gpt2"], help="ways to compare with"
    )
    arguments = parser.parse_args()
    versions = {name: version(name) for name in ("torch", "transformers")}
    for preset in arguments.models:
        for sites in arguments.sites:
            for rows in arguments.rows:
                result = measure(preset, sites, rows, arguments.rounds, arguments.beside)
                threads = {"threads": torch.get_num_threads()}
                print(json.dumps({**result, **threads, **versions}), flush=True)


if __name__ == "__main__":
    main()
