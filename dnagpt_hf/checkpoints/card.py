"""The model card of a checkpoint: its text, its metadata on the Hub, and the license of weights."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData, hf_hub_download
from huggingface_hub.errors import HTTPError
from yaml import YAMLError

from dnagpt_hf.atomic_files import write_text
from dnagpt_hf.checkpoints.bundled import is_hub_name, resolve_checkpoint
from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
from dnagpt_hf.messages import on_one_line
from dnagpt_hf.presets import get_preset
from dnagpt_hf.records.templates import Template

if TYPE_CHECKING:
    from transformers import TrainerState

CARD = "README.md"
UNMEASURED = (
    "None were measured with these weights: no accuracy on any task, no loss on held-out sequence, "
    "and nothing about generated sequences."
)
_TEMPLATE = Path(__file__).with_name("model_card_template.md")
_TAGS = ["dna", "genomics", "biology", "dnagpt", "custom_code", "arxiv:2307.05628"]
# by whether the weights are the authors', or derived from theirs
_LICENSES: dict[bool | None, dict[str, Any]] = {
    True: {
        "license": "other",
        "license_name": "polyform-noncommercial-1.0.0",
        "license_link": "https://polyformproject.org/licenses/noncommercial/1.0.0",
    },
    False: {"license": "apache-2.0"},
    None: {"license": "unknown"},
}


class CardError(ValueError):
    """A model card that the Hub would not accept; the message names the file."""


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
    """Write the text of a `README.md` with metadata for the Hugging Face Hub.

    Args:
        name: name of the model, usually that of its folder.
        config: sizes that the card states, and the task whose use it shows.
        origin: sentences on the origin of the weights.
        released: the weights are the authors', or derived from theirs, and so under the PolyForm
            Noncommercial license; otherwise the card states Apache-2.0, or, for `None`, that the
            license is not known.
        summary: one sentence on the model, in place of the preset's.
        preset: name of the preset whose data and recipe the card describes, if one fits.
        training: description of the training in place of the preset's recipe.
        results: measured results in Markdown; without them the card says that there are none.
        measured: the same as the Hub lists them ([`evaluation_results`]).
        classifies: the model has a classification head in place of both others.
        base_model: the model that it was made from; listed if it is a name on the Hub.
        datasets: training data; listed are names on the Hub.
    """
    metadata = ModelCardData(
        library_name="transformers",
        pipeline_tag="text-classification" if classifies else "text-generation",
        base_model=base_model if is_hub_name(base_model) else None,
        datasets=[one for one in datasets if is_hub_name(one)] or None,
        tags=_TAGS,
        model_name=name if measured else None,
        eval_results=list(measured) or None,
        **_LICENSES[released],
    )
    head = "SequenceClassification" if classifies else "CausalLM"
    architecture = "DNAGPTForSequenceClassification" if classifies else "DNAGPTForMultiTask"
    template = config.task["template"] if config.task else ""
    card = ModelCard.from_template(
        metadata,
        template_path=str(_TEMPLATE),
        name=name,
        config=config,
        parameters=count_parameters(config, architecture),
        summary=summary,
        origin=origin,
        released=released,
        classifies=classifies,
        auto_class=f"AutoModelFor{head}",
        template=template,
        columns=Template(template.rpartition("<=>")[0] or template).columns,
        dna="GTAGCTTTCCAA" if config.kmer_size == 6 else "GTAGCT"[: config.kmer_size],
        preset=get_preset(preset) if preset else None,
        training=training,
        results=results or UNMEASURED,
    )
    return f"{card}\n"


def write_card(
    folder: str | os.PathLike[str], config: DNAGPTConfig, *, base_model: str | None, **card: Any
) -> None:
    """Write the card of a model that was trained here.

    Args:
        folder: checkpoint folder, whose name is that of the model.
        config: configuration of the model.
        base_model: model from which the training started, whose license the weights inherit;
            `None` for new weights.
        card: further arguments of [`render_model_card`].
    """
    path = Path(folder)
    released = False if base_model is None else is_noncommercial(base_model)
    text = render_model_card(
        path.resolve().name, config, base_model=base_model, released=released, **card
    )
    write_text(path / CARD, text)


def public_name(source: str | os.PathLike[str]) -> str:
    """Name a model or a file without the folders of this machine; a name on the Hub stays whole.

    Example:

        >>> public_name("/models/mine"), public_name("ORG/dnagpt-m")
        ('mine', 'ORG/dnagpt-m')
    """
    text = os.fspath(source)
    return text if is_hub_name(text) else PurePath(text).name or text


def steps_taken(state: TrainerState) -> dict[str, float]:
    """Give the epochs and steps that a training has taken, for [`describe_settings`]."""
    return {"epochs": round(state.epoch or 0, 2), "steps": state.global_step}


def describe_settings(settings: Mapping[str, object]) -> str:
    """List settings of a training in Markdown; those that are not set are left out.

    Example:

        >>> print(describe_settings({"learning rate": 5e-4, "adapter": None, "splits": {"a": 1}}))
        - learning rate: `0.0005`
        - splits: `{"a": 1}`
    """
    return "\n".join(
        f"- {name}: `{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}`"
        for name, value in settings.items()
        if value is not None and value is not False
    )


def count_parameters(config: DNAGPTConfig, architecture: str = "DNAGPTForMultiTask") -> int:
    """Count the parameters of a model, padded rows of the vocabulary included.

    Args:
        config: sizes of the model.
        architecture: name of its class.

    Example:

        >>> from dnagpt_hf.presets import preset_config
        >>> f"{count_parameters(preset_config('dnagpt-m')):,}"
        '119,953,920'
    """
    import torch

    from dnagpt_hf import modeling_dnagpt

    # without storage, so that a model of any size is built at once
    with torch.device("meta"):
        model = getattr(modeling_dnagpt, architecture)(config)
    return int(model.num_parameters())


def evaluation_results(
    metrics: Mapping[str, float | None],
    dataset: str,
    *,
    task: str,
    task_name: str,
    dataset_type: str = "custom",
    config: str | None = None,
    split: str | None = None,
) -> list[EvalResult]:
    """List measured figures as the Hub does; those without a finite value are left out.

    Args:
        metrics: figures by their names.
        dataset: name of the data set on which they were measured.
        task: kind of task, in the Hub's words: `"text-classification"`, or `"other"` for numbers.
        task_name: the task in words.
        dataset_type: name of the data set on the Hub, if it has one.
        config: name of one data set among several of the same type and split, whose figures the
            Hub would join otherwise.
        split: split of the data set.

    Example:

        >>> results = evaluation_results({"mcc": 0.5, "auroc": None}, "promoters",
        ...     task="text-classification", task_name="promoters and other sequences")
        >>> [one.metric_type for one in results]
        ['mcc']
    """
    return [
        EvalResult(
            task_type=task,
            task_name=task_name,
            dataset_type=dataset_type,
            dataset_name=dataset,
            dataset_config=config,
            dataset_split=split,
            metric_type=name,
            metric_value=round(float(value), 6),
        )
        for name, value in metrics.items()
        if value is not None and math.isfinite(value)
    ]


def read_card(path: Path) -> ModelCard:
    """Read a card, and check that its metadata has all that the Hub needs.

    Raises:
        CardError: there is no card, or its metadata is damaged or incomplete.
    """
    try:
        card = ModelCard(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CardError(
            f"{path} cannot be read: {error.strerror}: a model card is needed"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError, YAMLError) as error:
        raise CardError(f"{path}: its metadata is damaged: {on_one_line(error)}") from error
    for field in ("license", "library_name", "pipeline_tag"):
        if not card.data.get(field):
            raise CardError(f"{path}: its metadata has no {field}: write {field}: at its head")
    if card.data.get("license") == "other" and not card.data.get("license_name"):
        raise CardError(f"{path}: its metadata has license: other, but no license_name")
    for result in card.data.get("eval_results", ()):
        value = result.metric_value
        # a bool is an int in Python
        if type(value) not in (int, float) or not math.isfinite(value):
            raise CardError(
                f"{path}: its model-index gives {value!r} for {result.metric_type}: state what "
                "was measured, as a number"
            )
    return card


def is_noncommercial(source: str | os.PathLike[str]) -> bool | None:
    """Read from a card that weights are the authors', or were made from theirs.

    Args:
        source: a folder, a bundled model, or a name on the Hub, of which the card alone is
            downloaded.

    Returns:
        `None` if there is no card, or if it does not say.
    """
    try:
        if is_hub_name(source):
            path = Path(hf_hub_download(str(source), CARD))
        else:
            path = Path(resolve_checkpoint(os.fspath(source))) / CARD
        data = read_card(path).data
    except (CardError, OSError, HTTPError):
        return None
    if data.get("license") == "unknown":
        return None
    return bool(data.get("license_name") == _LICENSES[True]["license_name"])
