"""The model card of a pre-trained model."""

from __future__ import annotations

from collections.abc import Mapping

from dnagpt_hf.checkpoints.card import describe_settings, write_card
from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
from dnagpt_hf.messages import markdown_table
from dnagpt_hf.pretraining.settings import PretrainingSettings


def write_pretraining_card(
    settings: PretrainingSettings,
    config: DNAGPTConfig,
    steps: int,
    figures: Mapping[str, float],
) -> None:
    """Write the card of a pre-trained model, with the last figures of the evaluation.

    Args:
        settings: of the run.
        config: of the model.
        steps: steps of the training.
        figures: figures of the last evaluation.
    """
    source = settings.model.model
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
    rows = [(name, f"{value:.4f}") for name, value in figures.items()]
    return (
        "On packed sequences of held-out contigs:\n\n"
        f"{markdown_table(['figure', 'value'], rows)}\n\n"
        "Not measured: any downstream task, and generated sequences."
    )
