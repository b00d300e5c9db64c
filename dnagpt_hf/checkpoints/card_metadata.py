"""The metadata at the head of a model card, as the Hugging Face Hub reads it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData, hf_hub_download
from huggingface_hub.errors import HTTPError
from huggingface_hub.utils import HFValidationError, validate_repo_id
from yaml import YAMLError

CARD = "README.md"
POLYFORM = "https://polyformproject.org/licenses/noncommercial/1.0.0"
_POLYFORM_NAME = "polyform-noncommercial-1.0.0"
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
) -> str:
    """The metadata as YAML.

    Args:
        name: name of the model.
        released: whether the weights are the authors', or were made from theirs; `None` if that is
            not known.
        classifies: whether the model has a classification head.
        base_model: the model that it was made from; what is no name on the Hub is left out.
        datasets: datasets that it was trained on; what is no name on the Hub is left out.
        results: what was measured, for the `model-index`.

    Example:

        >>> print(card_metadata("mine", released=False, datasets=["ORG/genomes"]))
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
    licence: dict[str, Any] = {"license": "unknown" if released is None else "apache-2.0"}
    if released:
        licence = {"license": "other", "license_name": _POLYFORM_NAME, "license_link": POLYFORM}
    named = [dataset for dataset in datasets if is_hub_name(dataset)]
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag="text-classification" if classifies else "text-generation",
        **licence,
        base_model=base_model if is_hub_name(base_model) else None,
        datasets=named or None,
        tags=list(_TAGS),
        model_name=name if results else None,
        eval_results=list(results) or None,
    )
    return data.to_yaml().strip()


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
    """Measured figures as the Hub lists them; those without a value are left out.

    Args:
        metrics: figures by their names.
        dataset: name of what they were measured on.
        task: kind of task, in the Hub's words: `"text-classification"`, or `"other"` for numbers.
        dataset_type: name on the Hub of what they were measured on, if it has one.
        config: which of several data sets of this type and split; figures of those that differ in
            nothing else would be joined.
        split: which part of it.
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


def is_hub_name(name: str | os.PathLike[str] | None) -> bool:
    """Whether a name has the form ORG/NAME of the Hub, and no such folder is here.

    Example:

        >>> is_hub_name("ORG/dnagpt-m"), is_hub_name("dnagpt-m"), is_hub_name("/models/dnagpt-m")
        (True, False, False)
    """
    text = "" if name is None else os.fspath(name)
    try:
        validate_repo_id(text)
    except HFValidationError:
        return False
    return text.count("/") == 1 and not Path(text).exists()


def read_card(path: Path) -> ModelCard:
    """The card of a checkpoint, whose metadata has what the Hub needs to know.

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
        problem = " ".join(str(error).split())
        raise CardError(f"{path}: its metadata is damaged: {problem}") from error
    for field in ("license", "library_name", "pipeline_tag"):
        if not card.data.get(field):
            raise CardError(f"{path}: its metadata has no {field}: write {field}: at its head")
    if card.data.get("license") == "other" and not card.data.get("license_name"):
        raise CardError(f"{path}: its metadata has license: other, but no license_name")
    _check_results(path, card.data.get("eval_results", ()))
    return card


def is_noncommercial(source: str | os.PathLike[str]) -> bool | None:
    """Whether weights are the authors', or were made from theirs, as their card says.

    Args:
        source: a folder, or a name on the Hub, of which the card alone is fetched.

    Returns:
        `None` if there is no card, or if it does not say.
    """
    path = Path(source) / CARD
    try:
        if is_hub_name(source):
            path = Path(hf_hub_download(str(source), CARD))
        data = read_card(path).data
    except (CardError, OSError, HTTPError):
        return None
    if data.get("license") == "unknown":
        return None
    return bool(data.get("license_name") == _POLYFORM_NAME)


def _check_results(path: Path, results: Iterable[EvalResult]) -> None:
    for result in results:
        value = result.metric_value
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            raise CardError(
                f"{path}: its model-index gives {value!r} for {result.metric_type}: state what "
                "was measured, as a number"
            )
