"""The model card of a checkpoint folder, filled in from its configuration and preset."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from huggingface_hub import EvalResult

from dnagpt_hf.checkpoints.card_metadata import POLYFORM, card_metadata
from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
from dnagpt_hf.presets import PRESETS, Preset, Recipe, get_preset, preset_config, vocabulary_size

_TEMPLATE = Path(__file__).with_name("model_card_template.md")
_LANGUAGE_USAGE = """\
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = "$name"
tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)

inputs = tokenizer(["<R>$dna"], return_tensors="pt")
output = model.generate(**inputs, max_new_tokens=8, return_dict_in_generate=True)
text = tokenizer.batch_decode(output.sequences, number_values=output.number_values)
```"""
_CLASSIFIER_USAGE = """\
```python
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder = "$name"
tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True)

scores = model(**tokenizer(["<R>$dna"], return_tensors="pt")).logits
```"""
_AUTHORS = "https://github.com/TencentAILabHealthcare/DNAGPT"
_UNMEASURED = (
    "None were measured with these weights: no accuracy on any task, no loss on held-out sequence, "
    "and nothing about generated sequences."
)


def render_model_card(
    name: str,
    config: DNAGPTConfig,
    *,
    origin: str,
    released: bool | None,
    summary: str | None = None,
    preset: str | None = None,
    training: str | None = None,
    results: str | None = None,
    measured: Sequence[EvalResult] = (),
    classifies: bool = False,
    base_model: str | None = None,
    datasets: Sequence[str] = (),
) -> str:
    """The text of a `README.md` with metadata for the Hugging Face Hub.

    Args:
        name: name of the model, usually that of its folder.
        config: sizes that the card states.
        origin: sentences that say where the weights come from.
        released: whether the weights are the authors', or derived from theirs, and so under the
            PolyForm Noncommercial licence; otherwise the card states Apache-2.0, or, for `None`,
            that the licence is not known.
        summary: a sentence that says what it is, in place of the preset's.
        preset: name of the preset whose data and recipe the card describes, if one fits.
        training: what to say on training in place of the preset's recipe.
        results: measured results; without them the card says that there are none.
        measured: the same as the Hub lists them ([`~card_metadata.evaluation_results`]).
        classifies: whether the model has a classification head in place of both others.
        base_model: the model that it was made from; listed if it is a name on the Hub.
        datasets: what it was trained on; listed are names on the Hub.
    """
    known = get_preset(preset) if preset is not None else None
    if training is None:
        training = describe_training(known) if known else "Not known from the file."
    values = {
        "metadata": card_metadata(
            name,
            released=released,
            classifies=classifies,
            base_model=base_model,
            datasets=datasets,
            results=measured,
        ),
        "name": name,
        "summary": summary or (known.summary if known else "A DNAGPT model."),
        "origin": origin,
        "architecture": _architecture(config),
        "kmers": _kmers(config),
        "remainder": _remainder(config),
        "usage": _usage(name, config, classifies),
        "training": training,
        "results": results or _UNMEASURED,
        "positions": f"{config.max_position_embeddings:,}",
        "bases": f"{config.max_position_embeddings * config.kmer_size:,}",
        "kmer_size": str(config.kmer_size),
        "licence": _licence(released),
    }
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(values)


def render_preset_card(preset: str) -> str:
    """The card of a published model, as it stands in `model_cards/`."""
    known = get_preset(preset)
    if known.released_file is not None:
        origin = (
            f"The authors publish these weights as `{known.released_file}`. They are not part of "
            "`dnagpt_hf`: download the file from the authors and run "
            f"`dnagpt convert {known.released_file} {preset}`."
        )
    else:
        origin = (
            "The authors have not published these weights. "
            f"`dnagpt init {preset} FOLDER` makes a folder of these sizes with untrained ones."
        )
    results = f"{_UNMEASURED} The paper reports results of its own; see its tables S1 to S4."
    if known.released_file is not None:
        results += (
            " What was compared is the code: on the same weights, token ids, logits, predicted "
            "numbers and greedy continuations equal those of the authors'."
        )
    return render_model_card(
        preset,
        preset_config(preset),
        preset=preset,
        origin=origin,
        released=known.released_file is not None,
        results=results,
    )


def write_preset_cards(folder: str | os.PathLike[str]) -> None:
    """Write the cards of the four models of the paper, one file each."""
    for preset in PRESETS.values():
        if preset.source == "Fig. S3":
            path = Path(folder) / f"{preset.name}.md"
            path.write_text(render_preset_card(preset.name), encoding="utf-8")


def count_parameters(config: DNAGPTConfig) -> int:
    """Parameters of a `DNAGPTForMultiTask`, padded rows of the vocabulary included."""
    width, inner = config.hidden_size, config.intermediate_size
    block = 4 * width * width + 2 * width * inner + 2 * width
    heads = (width + width + width**2) + (width**2 + width) + (width**2 + width + width)
    matrices = 1 if config.tie_word_embeddings else 2
    embeddings = (matrices * config.vocab_size + config.max_position_embeddings) * width
    return config.num_hidden_layers * block + width + heads + embeddings


def _usage(name: str, config: DNAGPTConfig, classifies: bool) -> str:
    """How to use it, as blocks of code."""
    blocks = []
    if config.task:
        task = json.dumps(config.task["template"], ensure_ascii=False)
        blocks.append(
            f"It knows its task, {task}, and reads a table or FASTA file with these columns:\n\n"
            f"    dnagpt predict {name} FILE"
        )
    code = _CLASSIFIER_USAGE if classifies else _LANGUAGE_USAGE
    dna = "GTAGCTTTCCAA" if config.kmer_size == 6 else "GTAGCT"[: config.kmer_size]
    blocks.append(Template(code).substitute(name=name, dna=dna))
    return "\n\n".join(blocks)


def _architecture(config: DNAGPTConfig) -> str:
    rows = {
        "layers": config.num_hidden_layers,
        "attention heads": config.num_attention_heads,
        "hidden size": config.hidden_size,
        "positions": config.max_position_embeddings,
        "vocabulary": f"{config.number_token_id:,} tokens, the number position, "
        f"padded to {config.vocab_size:,} rows",
        "parameters": f"{count_parameters(config):,}",
    }
    lines = ["| | |", "| --- | --- |", *(f"| {key} | {value} |" for key, value in rows.items())]
    return "\n".join(lines)


def _is_dynamic(config: DNAGPTConfig) -> bool:
    return config.number_token_id == vocabulary_size(config.kmer_size, dynamic_kmer=True)


def _kmers(config: DNAGPTConfig) -> str:
    if _is_dynamic(config):
        return f"k-mers of 1 to {config.kmer_size} bases"
    return f"k-mers of {config.kmer_size} bases"


def _remainder(config: DNAGPTConfig) -> str:
    if _is_dynamic(config):
        return f"A remainder shorter than {config.kmer_size} bases becomes one shorter k-mer."
    return (
        f"A remainder shorter than {config.kmer_size} bases has no token here: choose with "
        '`remainder=` whether it is an error (the default), dropped (`"drop"`) or padded with N '
        '(`"pad"`).'
    )


def _licence(released: bool | None) -> str:
    code = "The Python files of this folder are under the Apache License 2.0."
    if released is None:
        return (
            f"{code} It is not known under which licence the weights are that these were made "
            "from: find out, and say so here and in the metadata, before you publish them."
        )
    if not released:
        return f"{code} The weights are under the same licence unless their maker says otherwise."
    return (
        f"{code} The weights are the authors', or were made from theirs, under the [PolyForm "
        f"Noncommercial License 1.0.0]({POLYFORM}): they may not be used commercially. They come "
        f"from [the authors' repository]({_AUTHORS}); `dnagpt convert FILE.pth FOLDER` makes a "
        "folder like this one from a file of theirs."
    )


def describe_settings(settings: Mapping[str, object]) -> str:
    """Settings of a training as a list in Markdown; those that are not set are left out.

    Example:

        >>> print(describe_settings({"learning rate": 5e-4, "adapter": None, "parts": {"a": 1}}))
        - learning rate: `0.0005`
        - parts: `{"a": 1}`
    """
    return "\n".join(
        f"- {name}: `{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}`"
        for name, value in settings.items()
        if value is not None and value is not False
    )


def describe_training(preset: Preset) -> str:
    """Data and recipes of a preset in Markdown, with the source of every figure."""
    if preset.released_file is None and not preset.source.startswith("Fig."):
        return "Not trained yet. The recipe that the preset proposes was chosen for this package."
    lines = [
        f"Pre-trained on {preset.data} ({preset.source_of('data')}), to predict the next token, "
        "the GC content of a segment and whether a sequence is reversed. Windows with more than "
        "5 % N were left out (section 9).",
        "",
        "| | pre-training | source | fine-tuning | source |",
        "| --- | --- | --- | --- | --- |",
    ]
    before, after = _figures(preset.pretraining), _figures(preset.finetuning)
    for label, (figure, value) in before.items():
        other_figure, other = after[label]
        lines.append(
            f"| {label} | {value} | {preset.pretraining.source_of(figure)} "
            f"| {other} | {preset.finetuning.source_of(other_figure)} |"
        )
    lines += ["", "The sources disagree in places:", ""]
    lines += [f"- {note}" for note in preset.notes]
    return "\n".join(lines)


def _figures(recipe: Recipe) -> dict[str, tuple[str, str]]:
    if recipe.warmup_epochs is not None:
        warmup = ("warmup_epochs", _plural(recipe.warmup_epochs, "epoch"))
    else:
        warmup = ("warmup_steps", f"{recipe.warmup_steps:,} steps")
    rate = re.sub(r"e-0?", "e-", f"{recipe.learning_rate:.0e}")
    return {
        "epochs": ("epochs", str(recipe.epochs)),
        "warm-up": warmup,
        "learning rate": ("learning_rate", f"{rate}, {recipe.scheduler}"),
        "optimizer": ("optimizer", "AdamW" if recipe.optimizer == "adamw" else recipe.optimizer),
        "betas": ("betas", f"{recipe.betas[0]}, {recipe.betas[1]}"),
        "weight decay": ("weight_decay", str(recipe.weight_decay)),
        "gradient clip": ("max_grad_norm", str(recipe.max_grad_norm)),
        "accumulation": ("gradient_accumulation_steps", str(recipe.gradient_accumulation_steps)),
        "batch size": (
            "batch_size",
            "not stated" if not recipe.batch_size else str(recipe.batch_size),
        ),
        "precision": ("precision", recipe.precision),
        "λ": ("number_loss_weight", str(recipe.number_loss_weight)),
    }


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
