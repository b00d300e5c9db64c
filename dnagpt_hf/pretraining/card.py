"""The model card of a pre-trained model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dnagpt_hf.checkpoints.card import describe_settings
from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
from dnagpt_hf.pretraining.settings import PretrainingSettings
from dnagpt_hf.training.card import made_from_released, write_card


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
        released=made_from_released(source),
        training=describe_settings(facts),
        results=_held_out(figures),
        base_model=source,
    )


def _held_out(figures: Mapping[str, float]) -> str | None:
    if not figures:
        return None
    rows = [f"| {name.removeprefix('eval_')} | {value:.4f} |" for name, value in figures.items()]
    return "\n".join(
        [
            "On rows of held-out sequence, which training did not see:",
            "",
            "| figure | value |",
            "| --- | ---: |",
            *rows,
            "",
            "Not measured: any downstream task, and generated sequences.",
        ]
    )
