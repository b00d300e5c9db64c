"""Sizes and training recipes of the DNAGPT models, each figure with its source.

`presets.yaml` has the figures. Importing this module is cheap: torch and transformers are loaded
only when a configuration or a tokenizer is asked for.

Example:

    >>> from dnagpt_hf.presets import get_preset
    >>> preset = get_preset("dnagpt-h")
    >>> preset.num_hidden_layers, preset.hidden_size, preset.max_position_embeddings
    (12, 768, 4096)
    >>> preset.pretraining.learning_rate, preset.pretraining.source_of("learning_rate")
    (0.0001, 'Fig. S3')
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import yaml

from dnagpt_hf.messages import count

if TYPE_CHECKING:
    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer


_FILE = Path(__file__).with_suffix(".yaml")


@dataclass(frozen=True)
class Recipe:
    """Settings of a training; `source_of` traces every figure.

    Args:
        epochs: passes over the training data.
        learning_rate: highest learning rate, reached at the end of the warm-up.
        warmup_epochs: length of the warm-up in epochs, or `None` if it is given in steps.
        warmup_steps: length of the warm-up in optimizer steps, or `None`.
        precision: `"float32"`, `"float16"` or `"bfloat16"`, the data type of mixed precision.
        batch_size: records per device and step, or `None` where no source gives it.
        number_loss_weight: λ of `λ·MSE(numbers) + cross-entropy(tokens)`.
        source: source of the figures, except those named in `sources`.
    """

    epochs: int
    learning_rate: float
    source: str
    warmup_epochs: int | None = None
    warmup_steps: int | None = None
    precision: str = "float32"
    batch_size: int | None = None
    gradient_accumulation_steps: int = 1
    scheduler: str = "cosine"
    optimizer: str = "adamw"
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.1
    max_grad_norm: float = 1.0
    number_loss_weight: float = 0.01
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def warmup(self) -> str:
        """Length of the warm-up in words."""
        if self.warmup_epochs is not None:
            return count(self.warmup_epochs, "epoch")
        return count(self.warmup_steps or 0, "step")

    def source_of(self, figure: str) -> str:
        """Name the figure or section of the paper that gives a field of this recipe."""
        return self.sources.get(figure, self.source)


@dataclass(frozen=True)
class Preset:
    """One model: sizes, vocabulary, recipes, and disagreements between their sources.

    Args:
        name: name under which `get_preset` finds it.
        summary: one sentence for lists and model cards.
        dynamic_kmer: `True` for k-mers of 1 to `kmer_size` bases, `False` for one length only.
        data: pre-training data, in words.
        initializer_range: standard deviation of new weights.
        pretraining: recipe of the pre-training.
        finetuning: recipe of the fine-tuning on one task.
        source: source of the sizes, except those named in `sources`.
        released_file: file in which the authors published these weights, if they did.
        notes: disagreements between the sources, in sentences.
    """

    name: str
    summary: str
    num_hidden_layers: int
    num_attention_heads: int
    hidden_size: int
    max_position_embeddings: int
    dynamic_kmer: bool
    data: str
    pretraining: Recipe
    finetuning: Recipe
    source: str
    kmer_size: int = 6
    initializer_range: float = 0.02
    released_file: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def source_of(self, figure: str) -> str:
        """Name the figure or section of the paper that gives a field of this preset."""
        return self.sources.get(figure, self.source)


def _read_presets() -> Mapping[str, Preset]:
    presets = {}
    for name, fields in yaml.safe_load(_FILE.read_text(encoding="utf-8")).items():
        recipes = {kind: Recipe(**fields[kind]) for kind in ("pretraining", "finetuning")}
        presets[name] = Preset(name, **{**fields, **recipes})
    return MappingProxyType(presets)


PRESETS: Mapping[str, Preset] = _read_presets()


def get_preset(name: str) -> Preset:
    """Find a preset by its name.

    Raises:
        ValueError: no preset has this name; the message lists those that exist.

    Example:

        >>> get_preset("dnagpt-m").pretraining.learning_rate
        0.0001
    """
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def presets_of_sizes(config: DNAGPTConfig) -> list[str]:
    """List the names of the presets with the width, depth and vocabulary of a configuration.

    Positions are left out: the sources disagree on those of DNAGPT-M.

    Example:

        >>> presets_of_sizes(preset_config("dnagpt-m"))
        ['dnagpt-m', 'dnagpt-s-512']
    """
    sizes = ("num_hidden_layers", "hidden_size", "kmer_size", "dynamic_kmer")
    return [
        name
        for name, preset in PRESETS.items()
        if all(getattr(preset, size) == getattr(config, size) for size in sizes)
    ]


def preset_config(name: str, **overrides: Any) -> DNAGPTConfig:
    """Make the model configuration of a preset.

    Args:
        name: name of a preset.
        overrides: fields of `DNAGPTConfig` to set otherwise, as `hidden_dropout=0.1`; another
            `kmer_size` brings its vocabulary along.

    Example:

        >>> preset_config("dnagpt-test").hidden_size
        32
    """
    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig

    preset = get_preset(name)
    fields: dict[str, Any] = {
        **vocabulary_fields(overrides.get("kmer_size", preset.kmer_size), preset.dynamic_kmer),
        "hidden_size": preset.hidden_size,
        "num_hidden_layers": preset.num_hidden_layers,
        "num_attention_heads": preset.num_attention_heads,
        "max_position_embeddings": preset.max_position_embeddings,
        "initializer_range": preset.initializer_range,
        "number_loss_weight": preset.pretraining.number_loss_weight,
    }
    return DNAGPTConfig(**{**fields, **overrides})


def preset_tokenizer(name: str, **overrides: Any) -> DNAGPTTokenizer:
    """Make the tokenizer of a preset.

    Args:
        name: name of the preset.
        **overrides: arguments of `DNAGPTTokenizer` to set otherwise.

    Example:

        >>> preset_tokenizer("dnagpt-h").dynamic_kmer
        False
    """
    return tokenizer_of(preset_config(name), **overrides)


def tokenizer_of(config: DNAGPTConfig, **overrides: Any) -> DNAGPTTokenizer:
    """Make the tokenizer that goes with the vocabulary and the positions of a configuration.

    Args:
        config: configuration of the model.
        **overrides: arguments of `DNAGPTTokenizer` to set otherwise.

    Example:

        >>> tokenizer_of(preset_config("dnagpt-test", kmer_size=3)).kmer_size
        3
    """
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

    fields: dict[str, Any] = {
        "kmer_size": config.kmer_size,
        "dynamic_kmer": config.dynamic_kmer,
        "model_max_length": config.max_position_embeddings,
    }
    return DNAGPTTokenizer(**{**fields, **overrides})


def vocabulary_size(kmer_size: int, dynamic_kmer: bool) -> int:
    """Count the entries of the original vocabulary: 34 special tokens, and k-mers over NAGCT.

    Example:

        >>> vocabulary_size(6, dynamic_kmer=True), vocabulary_size(6, dynamic_kmer=False)
        (19564, 15659)
    """
    lengths = range(1, kmer_size + 1) if dynamic_kmer else [kmer_size]
    return 34 + sum(5**length for length in lengths)


def vocabulary_fields(kmer_size: int, dynamic_kmer: bool) -> dict[str, Any]:
    """List the fields of `DNAGPTConfig` that follow from the vocabulary.

    The number position is one entry after the original vocabulary; the rows of the embedding
    matrix are rounded up to a multiple of 64, for which matrix units are fastest.
    """
    number_token_id = vocabulary_size(kmer_size, dynamic_kmer)
    num_tokens = number_token_id + 1
    return {
        "vocab_size": -(-num_tokens // 64) * 64,
        "num_tokens": num_tokens,
        "number_token_id": number_token_id,
        "kmer_size": kmer_size,
    }
