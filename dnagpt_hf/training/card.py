"""Model cards of what was trained here: what it was made from, how, and what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dnagpt_hf.checkpoints.bundled import resolve_checkpoint
from dnagpt_hf.checkpoints.card import render_model_card
from dnagpt_hf.checkpoints.card_metadata import (
    CARD,
    is_noncommercial,
)
from dnagpt_hf.configuration_dnagpt import DNAGPTConfig


def write_card(folder: str | None, config: DNAGPTConfig, **card: Any) -> None:
    path = Path(str(folder))
    text = render_model_card(path.resolve().name, config, **card)
    (path / CARD).write_text(text, encoding="utf-8")


def made_from_released(source: str | None) -> bool | None:
    """Whether weights were made from those of the authors; new ones were not."""
    return False if source is None else is_noncommercial(resolve_checkpoint(source))
