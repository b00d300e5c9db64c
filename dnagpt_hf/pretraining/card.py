"""The model card of a pre-trained model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dnagpt_hf.checkpoints.card import describe_settings, write_card
from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
from dnagpt_hf.messages import markdown_table
from dnagpt_hf.pretraining.settings import PretrainingSettings


def write_pretraining_card(
    settings: PretrainingSettings,
    config: DNAGPTConfig,
    steps: int,
    history: Sequence[Mapping[str, Any]],
) -> None:
    """Write the card of a pre-trained model, with the last figures of held-out rows.

    Args:
        settings: of the run.
        config: of the model.
        steps: steps that were made.
        history: what the trainer logged.
    """
    source = settings.model.model
    figures = {
        name: value
        for entry in history
        for name, value in entry.items()
        if name.startswith("eval_") and "runtime" not in name and "per_second" not in name
    }
    facts = {
        "preset": settings.model.preset if source is None else None,
        "model": source,
        "genomes": settings.data.genomes,
        "steps": steps,
    }
    write_card(
        settings.training.output_dir,
        config,
        summary="A DNAGPT model, pre-trained on genomes.",
        origin="Pre-trained with `dnagpt pretrain`.",
        training=describe_settings(facts),
        results=_held_out(figures),
        base_model=source,
    )


def _held_out(figures: Mapping[str, float]) -> str | None:
    if not figures:
        return None
    rows = [(name.removeprefix("eval_"), f"{value:.4f}") for name, value in figures.items()]
    table = markdown_table(["figure", "value"], rows)
    return (
        f"On rows of held-out sequence, which training did not see:\n\n{table}\n\n"
        "Not measured: any downstream task, and generated sequences."
    )
