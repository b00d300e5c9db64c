"""The model card of a model of haplotypes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dnagpt_hf.checkpoints.card import describe_settings, write_card
from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
from dnagpt_hf.haplotypes.settings import HaplotypeSettings
from dnagpt_hf.messages import markdown_table


def write_haplotype_card(
    settings: HaplotypeSettings, config: DNAGPTConfig, results: Mapping[str, Any]
) -> None:
    """Write the card of a model that was trained on haplotypes.

    Args:
        settings: settings of the run.
        config: configuration of the model.
        results: figures of each split.
    """
    training: Any = settings.training
    source = None if settings.model.from_scratch else settings.model.model
    facts = {
        "haplotypes": config.haplotypes,
        "model": settings.model.model,
        "from scratch": settings.model.from_scratch,
        "epochs": training.num_train_epochs,
        "learning rate": training.learning_rate,
        "batch size": training.train_batch_size,
        "seed": training.seed,
    }
    write_card(
        training.output_dir,
        config,
        summary="A DNAGPT model that writes haplotypes of one set of sites.",
        origin="Trained on haplotypes with `dnagpt haplotypes train`, from "
        f"{'' if source else 'new weights of the sizes of '}`{settings.model.model}`.",
        training=describe_settings(facts),
        results=f"{_splits_table(results)}\n\nNot measured: other populations and other sites.",
        base_model=source,
    )


def _splits_table(results: Mapping[str, Mapping[str, Any]]) -> str:
    names = list(dict.fromkeys(name for one in results.values() for name in one))
    rows = [[split, *(_cell(one.get(name)) for name in names)] for split, one in results.items()]
    return markdown_table(["split", *(name.replace("_", " ") for name in names)], rows)


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
