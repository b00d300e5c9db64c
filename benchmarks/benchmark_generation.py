"""Compare `generate` of DNAGPT with that of Transformers' GPT-2 of the same size.

    python benchmarks/benchmark_generation.py
    python benchmarks/benchmark_generation.py --sizes 12x768 --rounds 3 --profile

Both models have the same layers, heads, width, positions, rows of the vocabulary, activation,
attention and bias (none), and draw the same number of tokens behind equal prompts by sampling. They
take turns, so that a change of the machine's speed affects both; `times_gpt2` is the median over
rounds of the ratio of their times. Times are processor times divided by the number of threads, so
that other processes on the machine do not count.

Every line is one JSON object.
"""

import argparse
import cProfile
import json
import pstats
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from dnagpt_hf import DNAGPTConfig, DNAGPTForMultiTask

PROMPT_LENGTH = 8


def make_models(layers: int, width: int, device: str) -> dict[str, PreTrainedModel]:
    """Make DNAGPT and GPT-2 of one size, with random weights."""
    config = DNAGPTConfig(
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=width // 64,
        attn_implementation="sdpa",
    )
    gpt2 = GPT2Config(
        vocab_size=config.vocab_size,
        n_positions=config.max_position_embeddings,
        n_embd=width,
        n_layer=layers,
        n_head=width // 64,
        activation_function=config.hidden_act,
        bos_token_id=None,
        eos_token_id=None,
        tie_word_embeddings=False,
        attn_implementation="sdpa",
    )
    torch.manual_seed(0)
    models = {"dnagpt": DNAGPTForMultiTask(config), "gpt2": GPT2LMHeadModel(gpt2)}
    return {name: model.to(device).eval() for name, model in models.items()}


def make_run(
    model: PreTrainedModel, batch: int, new_tokens: int, padded: bool
) -> Callable[[], torch.Tensor]:
    """Make a call of `generate` that draws tokens behind prompts of DNA."""
    ids = torch.full((batch, PROMPT_LENGTH), 10010)
    mask = torch.ones_like(ids)
    if padded:
        # the last row has half a prompt
        ids[-1, : PROMPT_LENGTH // 2], mask[-1, : PROMPT_LENGTH // 2] = 20, 0

    def run() -> torch.Tensor:
        torch.manual_seed(0)
        return model.generate(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=new_tokens,
            do_sample=True,
            top_k=0,
            pad_token_id=20,
        )

    return run


def seconds_of(run: Callable[[], Any], device: str, threads: int) -> float:
    """Measure the processor time of a call per thread; on an accelerator the wall time."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    if device != "cpu":
        torch.accelerator.synchronize()
    start = clock()
    run()
    if device != "cpu":
        torch.accelerator.synchronize()
    return (clock() - start) / (threads if device == "cpu" else 1)


def measure(runs: dict[str, Callable[[], Any]], rounds: int, device: str, threads: int) -> Any:
    """Measure seconds of both, and the median ratio over rounds."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for number in range(rounds):
        # alternate the order, since the second one finds caches filled by the first
        for name in sorted(runs, reverse=number % 2 == 1):
            seconds[name].append(seconds_of(runs[name], device, threads))
    ratios = [gpt2 / own for own, gpt2 in zip(seconds["dnagpt"], seconds["gpt2"], strict=True)]
    return {
        "dnagpt_seconds": round(statistics.median(seconds["dnagpt"]), 4),
        "gpt2_seconds": round(statistics.median(seconds["gpt2"]), 4),
        "times_gpt2": round(statistics.median(ratios), 3),
    }


def print_profile(run: Callable[[], Any], name: str) -> None:
    """Print the functions in which most of the time of a call is spent."""
    with cProfile.Profile() as profile:
        run()
    print(name, file=sys.stderr)
    pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(30)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sizes", nargs="+", default=["6x512", "12x768"], help="layers x width")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9, help="calls of each model")
    parser.add_argument("--padded", action="store_true", help="pad one of the prompts")
    parser.add_argument("--profile", action="store_true", help="print where time is spent")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    versions = {name: version(name) for name in ("torch", "transformers")}
    for size in arguments.sizes:
        layers, width = map(int, size.split("x"))
        models = make_models(layers, width, arguments.device)
        for batch in arguments.batches:
            runs = {
                name: make_run(model, batch, arguments.new_tokens, arguments.padded)
                for name, model in models.items()
            }
            setting = {"layers": layers, "width": width, "batch": batch}
            setting |= {"new_tokens": arguments.new_tokens, "padded": arguments.padded}
            setting |= {"device": arguments.device, "threads": arguments.threads}
            result = measure(runs, arguments.rounds, arguments.device, arguments.threads)
            print(json.dumps({**setting, **result, **versions}), flush=True)
            if arguments.profile:
                for name, run in runs.items():
                    print_profile(run, name)


if __name__ == "__main__":
    main()
