"""Fine-tune one model on every task of a benchmark, beside baselines on the same records.

GUE, as folders with train.csv, dev.csv and test.csv, three seeds each:

    python examples/run_benchmark.py --kind gue --folders GUE/prom/* GUE/EMP/* --species R \
        --model dnagpt-m --seeds "[0, 1, 2]" --output_dir benchmark

The Nucleotide Transformer tasks:

    python examples/run_benchmark.py --kind nucleotide_transformer --model dnagpt-m \
        --folders nt/H3K4me1 nt/enhancers --output_dir benchmark

Each task has a folder in `--output_dir`. A finished task is not run again, so that the same command
resumes an interrupted benchmark. `results.md` has the table: MCC and accuracy of the model, mean
and standard deviation over seeds, of a logistic regression on counts of 4-mers, and of a small
convolutional network. Every argument of `TrainingArguments` works, and every option of `dnagpt
finetune` (`--lora`, `--head`).

Sequences are read in all phases of the k-mers; sites of transcription factors, histone marks and
enhancers on both strands as well (`--views "{phases: first}"` reads them as they stand).
"""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from transformers import HfArgumentParser

from dnagpt_hf import baseline, finetune

METRICS = ("mcc", "accuracy")

# promoters and splice sites follow the strand of a gene, as benchmarks/benchmark_strand.py tells
HAS_NO_STRAND = re.compile(r"\b(tf|mouse)/|\bH\d\w*$|enhancer")


@dataclass
class BenchmarkArguments:
    """The tasks."""

    folders: list[str] = field(metadata={"help": "A folder for each task."})
    output_dir: str = field(metadata={"help": "Folder of the results."})
    kind: str = field(default="gue", metadata={"help": "gue or nucleotide_transformer."})
    species: str = field(default="R", metadata={"help": "Token of the species, R for human."})


def run_task(folder: Path, own: BenchmarkArguments, others: Sequence[str]) -> dict:
    """Measure the model and the baselines on the test split of a task."""
    output = Path(own.output_dir) / folder.name
    kept = output / "benchmark.json"
    if kept.is_file():
        return json.loads(kept.read_text(encoding="utf-8"))
    data = {own.kind: str(folder.resolve())}
    if own.kind == "gue" and not list(folder.glob("train.csv*")):
        data["train_on"] = "validation"
    stated = {
        "name": folder.name,
        "template": f"<{own.species}>{{sequence}}<=><B>{{label}}",
        "data": data,
        "views": views_of(folder),
        "output_dir": str(output),
    }
    tuned = finetune(stated, arguments=others)
    simple = baseline(stated, output=output / "baseline", overwrite=True, arguments=others)
    figures = {"mcc_deviation": tuned.deviations.get("mcc")}
    for name in METRICS:
        figures[name] = tuned.metrics[name]
        for model in ("kmers", "network"):
            figures[f"{model}_{name}"] = simple.metrics(model)[name]
    kept.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return figures


def views_of(folder: Path) -> dict[str, str]:
    """Choose the views of a task by the names of its folder and the one around it."""
    strands = "both" if HAS_NO_STRAND.search("/".join(folder.parts[-2:])) else "forward"
    return {"phases": "all", "strands": strands}


def table(results: dict[str, dict[str, float]]) -> str:
    """Make a table with a row for each task, and the means."""
    names = [f"{model}{name}" for model in ("", "kmers_", "network_") for name in METRICS]
    lines = [
        "| task | MCC | accuracy | 4-mers: MCC | accuracy | network: MCC | accuracy |",
        f"| --- |{' ---: |' * len(names)}",
    ]
    for task, figures in results.items():
        deviation = figures["mcc_deviation"]
        cells = [f"{figures[name]:.3f}" for name in names]
        cells[0] += "" if deviation is None else f" ± {deviation:.3f}"
        lines.append(f"| {task} | {' | '.join(cells)} |")
    means = [sum(one[name] for one in results.values()) / len(results) for name in names]
    lines.append(f"| mean | {' | '.join(f'{mean:.3f}' for mean in means)} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> None:
    parser = HfArgumentParser(BenchmarkArguments, description=__doc__)  # type: ignore[arg-type]
    own, others = parser.parse_args_into_dataclasses(arguments, return_remaining_strings=True)
    results = {}
    for folder in map(Path, own.folders):
        results[folder.name] = run_task(folder, own, others)
        text = table(results)
        (Path(own.output_dir) / "results.md").write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (OSError, ValueError) as error:
        sys.exit(f"run_benchmark.py: error: {error}")
