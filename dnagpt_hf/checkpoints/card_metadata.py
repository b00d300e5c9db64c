"""The metadata at the head of a model card, as the Hugging Face Hub reads it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData, hf_hub_download
from huggingface_hub.errors import HTTPError
from yaml import YAMLError

from dnagpt_hf.checkpoints.bundled import is_hub_name, resolve_checkpoint
from dnagpt_hf.messages import on_one_line

CARD = "README.md"
_POLYFORM: dict[str, Any] = {
    "license": "other",
    "license_name": "polyform-noncommercial-1.0.0",
    "license_link": "https://polyformproject.org/licenses/noncommercial/1.0.0",
}
_TAGS = ("dna", "genomics", "biology", "dnagpt", "custom_code", "arxiv:2307.05628")


class CardError(ValueError):
    """A model card that the Hub would not accept; the message names the file."""


def card_metadata(
    name: str,
    *,
    released: bool | None,
    classifies: bool = False,
    base_model: str | None = None,
    datasets: Sequence[str] = (),
    results: Sequence[EvalResult] = (),
) -> ModelCardData:
    """Make the metadata of a card.

    Args:
        name: name of the model.
        released: the weights are the authors', or were made from theirs; `None` if unknown.
        classifies: the model has a classification head.
        base_model: model that it was made from; left out unless it is a name on the Hub.
        datasets: training data; those that are no names on the Hub are left out.
        results: measured figures for the `model-index`.

    Example:

        >>> print(card_metadata("mine", released=False, datasets=["ORG/genomes"]).to_yaml())
        datasets:
        - ORG/genomes
        library_name: transformers
        license: apache-2.0
        pipeline_tag: text-generation
        tags:
        - dna
        - genomics
        - biology
        - dnagpt
        - custom_code
        - arxiv:2307.05628
    """
    license: dict[str, Any] = {"license": "unknown" if released is None else "apache-2.0"}
    return ModelCardData(
        library_name="transformers",
        pipeline_tag="text-classification" if classifies else "text-generation",
        base_model=base_model if is_hub_name(base_model) else None,
        datasets=[one for one in datasets if is_hub_name(one)] or None,
        tags=list(_TAGS),
        model_name=name if results else None,
        eval_results=list(results) or None,
        **(_POLYFORM if released else license),
    )


def evaluation_results(
    metrics: Mapping[str, float | None],
    dataset: str,
    *,
    task: str,
    dataset_type: str = "custom",
    config: str | None = None,
    split: str | None = None,
    task_name: str | None = None,
) -> list[EvalResult]:
    """List measured figures as the Hub does; those without a finite value are left out.

    Args:
        metrics: figures by their names.
        dataset: name of the data set on which they were measured.
        task: kind of task, in the Hub's words: `"text-classification"`, or `"other"` for numbers.
        dataset_type: name of the data set on the Hub, if it has one.
        config: name of one data set among several of the same type and split, whose figures the
            Hub would join otherwise.
        split: split of the data set.
        task_name: the task in words.

    Example:

        >>> [one.metric_type for one in evaluation_results(
        ...     {"mcc": 0.5, "auroc": None}, "promoters", task="text-classification")]
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
    return bool(data.get("license_name") == _POLYFORM["license_name"])
