"""Write the dnagpt-tiny of the package from a finished run: weights, card and figure.

    dnagpt pretrain examples/configs/pretrain-dnagpt-tiny.yaml
    python benchmarks/benchmark_held_out.py pretrained/dnagpt-tiny genomes/dnagpt-tiny.yaml \
        --cache-folder cache > held_out.jsonl
    python model_cards/dnagpt_tiny.py pretrained/dnagpt-tiny held_out.jsonl

The results are stored in `dnagpt-tiny.json`; without arguments, the program writes the card alone
from them. The folder in the package has no code of its own, since the package is its code.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult

from dnagpt_hf import DNAGPTConfig, DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.checkpoints.card import evaluation_results, render_model_card

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "dnagpt_hf" / "weights" / "dnagpt-tiny"
FIGURE = ROOT / "model_cards" / "dnagpt-tiny.png"
FACTS = ROOT / "model_cards" / "dnagpt-tiny.json"
MEASURED = ("bits_per_base", "gc_correlation", "gc_error", "order_accuracy")

TRAINING = """\
Pre-trained with the three objectives of the paper on 119 million bases of six species. The files
and their sources are in `examples/manifests/dnagpt-tiny.yaml`: 72 Mb of human chromosomes X,
20 and 22, Arabidopsis chromosome 1, the genomes of yeast and of E. coli K-12, 2.7 Mb of the fruit
fly and 1 Mb of the worm. Held out, never trained on: 1 Mb of human chromosome 20, 2 Mb of
Arabidopsis chromosome 1, yeast chromosomes I and VIII, 0.5 Mb of E. coli, a piece of chromosome arm
3L of the fruit fly and one of chromosome IV of the worm.

The command was `dnagpt pretrain examples/configs/pretrain-dnagpt-tiny.yaml`: {steps:,} steps of 16
rows of 512 tokens ({megabases:.0f} million bases, {hours:.1f} hours on one core of an AMD EPYC,
bfloat16), AdamW with betas (0.9, 0.98), learning rate 2e-3 with 100 steps of warm-up and a cosine,
weight decay 0.1, λ = 1. Two thirds of the records are plain sequence, 2 in 15 have the question of
GC content, and a fifth that of sequence order. `model_cards/dnagpt-tiny.png` in the repository
shows the curves."""

RESULTS = """\
On held-out windows of {window:,} bp without N (`benchmarks/benchmark_held_out.py`), each read on
its forward strand. The Markov model of order 5 was fitted to both strands of the training regions
of the same species.

| species | windows | bits per base | Markov, order 5 | GC content: r, mean error (of the training \
mean) | sequence order: accuracy |
| --- | ---: | ---: | ---: | --- | ---: |
{rows}

Not measured: any downstream task, other strains and species, and generated sequences."""


def write_folder(run: Path, folder: Path) -> DNAGPTForMultiTask:
    """Write weights, configuration and tokenizer, without the files of a folder with code."""
    model = DNAGPTForMultiTask.from_pretrained(run)
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    DNAGPTTokenizer.from_pretrained(run).save_pretrained(folder)
    for belonging in [*folder.glob("*.py"), folder / "tokenizer.json"]:
        belonging.unlink()
    for name in ("config.json", "tokenizer_config.json"):
        content = json.loads((folder / name).read_text(encoding="utf-8"))
        for key in ("auto_map", "is_local", "local_files_only"):
            content.pop(key, None)
        text = json.dumps(content, indent=2, sort_keys=True) + "\n"
        (folder / name).write_text(text, encoding="utf-8")
    for path in folder.iterdir():
        path.chmod(0o644)
    return model


def table(results: list[dict[str, Any]]) -> str:
    return "\n".join(
        "| {species} | {windows} | {bits_per_base:.3f} | {markov_5:.3f} | {gc_correlation:.3f}, "
        "{gc_error:.3f} ({gc_error_of_training_mean:.3f}) | {order_accuracy:.3f} |".format(**one)
        for one in results
    )


def plot(history: list[dict[str, Any]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(14, 4.2), dpi=110)
    species = sorted(
        {
            key.removeprefix("eval_").removesuffix("_bits_per_base")
            for entry in history
            for key in entry
            if key.startswith("eval_") and key.endswith("_bits_per_base")
        }
    )
    for axis, name, title in zip(
        axes,
        ("bits_per_base", "gc_error", "order_accuracy"),
        ("Sequence tokens, bits per base", "GC content, mean error", "Sequence order, accuracy"),
        strict=True,
    ):
        points = [(entry["step"], entry[name]) for entry in history if name in entry]
        axis.plot(*zip(*points, strict=True), color="#bbbbbb", linewidth=0.8, label="training")
        for one in species:
            key = f"eval_{one}_{name}"
            points = [(entry["step"], entry[key]) for entry in history if key in entry]
            axis.plot(*zip(*points, strict=True), marker=".", label=one.replace("_", " "))
        axis.set(xlabel="step", title=title)
    axes[0].set_ylim(1.85, 2.05)
    axes[1].set_ylim(0, 0.15)
    axes[0].legend(fontsize=7)
    figure.suptitle("dnagpt-tiny: training rows, and rows of held-out sequence")
    figure.tight_layout()
    figure.savefig(FIGURE)


def card(facts: dict[str, Any]) -> str:
    """Write the card from the contents of `FACTS`."""
    return pretraining_card(
        "dnagpt-tiny",
        facts,
        summary="DNAGPT with under a million parameters, pre-trained on parts of six genomes.",
        use="It is small enough for first experiments on any machine",
        training=TRAINING,
    )


def pretraining_card(
    name: str, facts: dict[str, Any], *, summary: str, use: str, training: str
) -> str:
    """Write the card of a pre-trained model of the package.

    Args:
        name: the model.
        facts: `steps`, `hours`, and the `results` on each species.
        summary: first sentence.
        use: beginning of the sentence on its use.
        training: text on data and recipe, with gaps for steps, megabases and hours.
    """
    config = DNAGPTConfig.from_pretrained(FOLDER.with_name(name))
    positions, kmer_size = config.max_position_embeddings, config.kmer_size
    return render_model_card(
        name,
        config,
        summary=summary,
        origin="Trained for the package `dnagpt_hf`, with which it comes: "
        f'`AutoModelForCausalLM.from_pretrained(dnagpt_hf.bundled("{name}"))`. {use}, and no '
        "substitute for the models of the paper: its k-mers have three bases instead of six.",
        released=False,
        training=training.format(
            steps=facts["steps"],
            megabases=facts["steps"] * 16 * positions * kmer_size / 1e6,
            hours=facts["hours"],
        ),
        results=RESULTS.format(window=(positions - 4) * kmer_size, rows=table(facts["results"])),
        measured=measured(facts["results"]),
    )


def measured(results: list[dict[str, Any]]) -> list[EvalResult]:
    return [
        result
        for one in results
        for result in evaluation_results(
            {name: one[name] for name in MEASURED},
            f"{one['species']}, {one['windows']} held-out windows",
            task="text-generation",
            task_name="next token, GC content, and order of a sequence",
            config=one["species"],
            split="held out",
        )
    ]


def write_card(text: str, name: str) -> None:
    """Write a card into the package and into `model_cards/`."""
    for place in (FOLDER.with_name(name) / "README.md", ROOT / "model_cards" / f"{name}.md"):
        place.write_text(text, encoding="utf-8")


def write_facts(path: Path, facts: dict[str, Any]) -> None:
    path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def main(run: Path, results_file: Path) -> None:
    results = [json.loads(line) for line in results_file.read_text().splitlines() if line]
    state = json.loads((run / "trainer_state.json").read_text(encoding="utf-8"))
    write_folder(run, FOLDER)
    runtime = next(e["train_runtime"] for e in state["log_history"] if "train_runtime" in e)
    facts = {"steps": state["global_step"], "hours": runtime / 3600, "results": results}
    write_facts(FACTS, facts)
    plot(state["log_history"])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    write_card(card(json.loads(FACTS.read_text(encoding="utf-8"))), "dnagpt-tiny")
