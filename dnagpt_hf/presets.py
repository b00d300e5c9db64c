"""Sizes and training recipes of the DNAGPT models as data, each figure with its source.

The figures are those of the paper (arXiv 2307.05628). Where its figures, its text and the released
code disagree, the preset follows the supplementary figures S3 and S4, which are the only place that
lists all four models, and `Preset.notes` says what the others give. Importing this module is cheap:
torch and transformers are loaded only when a configuration or a tokenizer is asked for.

Example:

    >>> from dnagpt_hf.presets import get_preset
    >>> preset = get_preset("dnagpt-h")
    >>> preset.num_hidden_layers, preset.hidden_size, preset.max_position_embeddings
    (12, 768, 4096)
    >>> preset.pretraining.learning_rate, preset.pretraining.source_of("learning_rate")
    (0.0001, 'Fig. S3')
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dnagpt_hf.messages import count

if TYPE_CHECKING:
    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer


def _frozen(**sources: str) -> Mapping[str, str]:
    return MappingProxyType(sources)


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
    sources: Mapping[str, str] = field(default_factory=_frozen)

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
    sources: Mapping[str, str] = field(default_factory=_frozen)
    notes: tuple[str, ...] = ()

    def source_of(self, figure: str) -> str:
        """Name the figure or section of the paper that gives a field of this preset."""
        return self.sources.get(figure, self.source)


_PRETRAINING_SOURCES = _frozen(
    number_loss_weight="section 3.2",
    batch_size="given by no source",
)
_FINETUNING_SOURCES = _frozen(
    batch_size="section 9, Fine-tuning of DNAGPT",
    number_loss_weight="section 3.2, which states it for pre-training; no source gives another",
)
_VOCABULARY_SOURCES = _frozen(
    dynamic_kmer="released code",
    kmer_size="section 9, Non-overlapping k-mers tokenization; released code",
    data="Fig. 2c; section 3; section 9, Pre-training of DNAGPT",
)
_MOMENTUM = (
    "Fig. S3, Fig. S4 and section 9 list a momentum of 0.937. AdamW has no momentum besides its "
    "betas, so it is left out."
)
_METHODS_PRETRAINING = (
    "Section 9 gives 15 epochs, weight decay 0.01 and betas (0.9, 0.95) for the pre-training of "
    "DNAGPT-H and, by reference, DNAGPT-M; the preset follows Fig. S3."
)
_METHODS_WARMUP = (
    "Section 9 gives 3 epochs of warm-up in fine-tuning; the preset follows Fig. S4, 1 epoch."
)

_LONG_PRETRAINING = Recipe(
    epochs=10,
    warmup_epochs=1,
    learning_rate=1e-4,
    precision="float16",
    gradient_accumulation_steps=5,
    source="Fig. S3",
    sources=_PRETRAINING_SOURCES,
)
_SHORT_PRETRAINING = Recipe(
    epochs=1,
    warmup_steps=10_000,
    learning_rate=6e-5,
    precision="float16",
    gradient_accumulation_steps=5,
    source="Fig. S3",
    sources=_PRETRAINING_SOURCES,
)
_FINETUNING = Recipe(
    epochs=10,
    warmup_epochs=1,
    learning_rate=3e-5,
    batch_size=8,
    source="Fig. S4",
    sources=_FINETUNING_SOURCES,
)

_DNAGPT_H = Preset(
    name="dnagpt-h",
    summary="DNAGPT-H, 0.1 billion parameters, pre-trained on the human genome.",
    num_hidden_layers=12,
    num_attention_heads=12,
    hidden_size=768,
    max_position_embeddings=4096,
    dynamic_kmer=False,
    data="the human reference genome of Ensembl, 3 billion base pairs",
    pretraining=_LONG_PRETRAINING,
    finetuning=_FINETUNING,
    source="Fig. S3",
    released_file="dna_gpt0.1b_h.pth",
    sources=_VOCABULARY_SOURCES,
    notes=(_METHODS_PRETRAINING, _METHODS_WARMUP, _MOMENTUM),
)
_DNAGPT_M = replace(
    _DNAGPT_H,
    name="dnagpt-m",
    summary="DNAGPT-M, 0.1 billion parameters, pre-trained on the genomes of nine species.",
    dynamic_kmer=True,
    data="reference genomes of nine species of Ensembl, 10,159,412,992 base pairs",
    released_file="dna_gpt0.1b_m.pth",
    notes=(
        "The paper (Fig. S3) gives 4096 positions, the model table of the released code 512; the "
        "preset follows the paper, and a converted file has as many as its tensors hold.",
        *_DNAGPT_H.notes,
    ),
)
_DNAGPT_S_512 = replace(
    _DNAGPT_M,
    name="dnagpt-s-512",
    summary="DNAGPT-S-512, 0.1 billion parameters, pre-trained on the genomes of all mammals.",
    max_position_embeddings=512,
    data="reference genomes of all mammals of NCBI GenBank, about 200 billion base pairs",
    pretraining=_SHORT_PRETRAINING,
    finetuning=replace(_FINETUNING, learning_rate=1e-5),
    released_file=None,
    notes=(
        "Section 9 gives 2 epochs of pre-training; the preset follows Fig. S3, 1 epoch.",
        "Section 9 gives 3e-5 as the learning rate of fine-tuning for every 0.1 B model, and the "
        "text above Fig. S4 one third of that of pre-training (2e-5); the preset follows the "
        "figure, 1e-5.",
        _METHODS_WARMUP,
        _MOMENTUM,
    ),
)
_DNAGPT_B_512 = replace(
    _DNAGPT_S_512,
    name="dnagpt-b-512",
    summary="DNAGPT-B-512, 3 billion parameters, pre-trained on the genomes of all mammals.",
    num_hidden_layers=60,
    num_attention_heads=64,
    hidden_size=2048,
    pretraining=replace(_SHORT_PRETRAINING, learning_rate=1e-5, precision="bfloat16"),
    finetuning=replace(_FINETUNING, learning_rate=3e-6),
    released_file="dna_gpt3b_m.pth",
    notes=(_METHODS_WARMUP, _MOMENTUM),
)

# Small enough to train on a processor; the figures are this package's own choice. The weight of the
# number loss is far above the paper's, or GC content would not be learned in so few steps.
_DEMONSTRATION = Recipe(
    epochs=1,
    warmup_steps=100,
    learning_rate=2e-3,
    batch_size=16,
    number_loss_weight=1.0,
    source="chosen for this package",
)
_DNAGPT_TINY = Preset(
    name="dnagpt-tiny",
    summary="A small DNAGPT that comes with this package; no such model was published.",
    num_hidden_layers=4,
    num_attention_heads=4,
    hidden_size=128,
    max_position_embeddings=512,
    dynamic_kmer=True,
    # k-mers of three: the vocabulary of 6-mers alone would be four fifths of the work of a step
    kmer_size=3,
    initializer_range=0.05,
    data="parts of the genomes of six species, 119 million base pairs",
    pretraining=_DEMONSTRATION,
    finetuning=replace(_DEMONSTRATION, learning_rate=3e-4),
    source="chosen for this package",
)
_DNAGPT_TEST = replace(
    _DNAGPT_TINY,
    name="dnagpt-test",
    summary="The smallest DNAGPT, for tests; no such model was published.",
    kmer_size=6,
    initializer_range=0.02,
    data="nothing",
    num_hidden_layers=2,
    hidden_size=32,
    max_position_embeddings=64,
)

_ALL = (_DNAGPT_H, _DNAGPT_M, _DNAGPT_S_512, _DNAGPT_B_512, _DNAGPT_TINY, _DNAGPT_TEST)
PRESETS: Mapping[str, Preset] = MappingProxyType({preset.name: preset for preset in _ALL})


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


def presets_of_sizes(
    num_hidden_layers: int, hidden_size: int, kmer_size: int, dynamic_kmer: bool
) -> list[str]:
    """List the names of the presets with these sizes.

    Positions are left out: the sources disagree on those of DNAGPT-M.
    """
    sizes = (num_hidden_layers, hidden_size, kmer_size, dynamic_kmer)
    return [
        name
        for name, preset in PRESETS.items()
        if sizes
        == (preset.num_hidden_layers, preset.hidden_size, preset.kmer_size, preset.dynamic_kmer)
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
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

    preset = get_preset(name)
    fields: dict[str, Any] = {
        "kmer_size": preset.kmer_size,
        "dynamic_kmer": preset.dynamic_kmer,
        "model_max_length": preset.max_position_embeddings,
    }
    return DNAGPTTokenizer(**{**fields, **overrides})


def tokenizer_of(config: DNAGPTConfig) -> DNAGPTTokenizer:
    """Make the tokenizer that goes with the vocabulary and the positions of a configuration.

    Example:

        >>> tokenizer_of(preset_config("dnagpt-test", kmer_size=3)).kmer_size
        3
    """
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

    return DNAGPTTokenizer(
        kmer_size=config.kmer_size,
        dynamic_kmer=config.dynamic_kmer,
        model_max_length=config.max_position_embeddings,
    )


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
