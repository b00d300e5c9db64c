"""Adapters: small matrices beside the weights of a model, which stay as they are."""

from __future__ import annotations

from typing import Any

from dnagpt_hf.modeling_dnagpt import DNAGPTForSequenceClassification
from dnagpt_hf.tasks.task import Task

# linear maps of a decoder layer
TARGET_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj")
ADAPTERS = ("lora", "rslora", "dora", "ia3")
PROJECTION_LAYERS = ("in_proj", "norm", "out_proj")


def add_adapter(model: Any, name: str, task: Task, rank: int = 8) -> Any:
    """A model of PEFT round a model, in which the adapter alone is trained, and what is new.

    Matrices of adapters stand beside all linear maps of the layers. A classification head, and the
    head and the embedding of numbers where the task has numbers, are trained whole.

    Args:
        model: [`DNAGPTForMultiTask`] or [`DNAGPTForSequenceClassification`].
        name: one of `ADAPTERS`.
        task: what it is for.
        rank: rank of the matrices; `ia3` has none.

    Raises:
        ImportError: peft is not installed.
        ValueError: there is no such adapter.
    """
    try:
        import peft
    except ImportError as error:
        raise ImportError(
            "adapters need peft: install it with pip install 'dnagpt_hf[peft]'"
        ) from error
    if name not in ADAPTERS:
        raise ValueError(f"unknown adapter {name!r}: choose one of {', '.join(ADAPTERS)}")
    shared: dict[str, Any] = {
        "target_modules": list(TARGET_MODULES),
        "modules_to_save": trained_whole(model, task) or None,
    }
    if name == "ia3":
        config: Any = peft.IA3Config(feedforward_modules=["down_proj"], **shared)
    else:
        config = peft.LoraConfig(
            r=rank,
            lora_alpha=2 * rank,
            use_rslora=name == "rslora",
            use_dora=name == "dora",
            **shared,
        )
    return peft.get_peft_model(model, config)


def trained_whole(model: Any, task: Task) -> list[str]:
    """Layers that an adapter does not replace: new heads, and those of numbers."""
    is_head = isinstance(model, DNAGPTForSequenceClassification)
    several = len(task.answer_list) > 1
    answers_number = any(answer.is_number for answer in task.answer_list) and not is_head
    # an answer is read before the next one is given
    reads_number = any(slot.is_number for slot in task.prompt.slots) or (answers_number and several)
    projections = ["number_head"] * answers_number + ["number_embedding"] * reads_number
    # layer by layer, as PEFT merges no module that has others in it
    layers = [f"{name}.{layer}" for name in projections for layer in PROJECTION_LAYERS]
    return ["score"] * is_head + layers


def train_head_only(model: Any) -> None:
    """Freeze all weights but those of the heads, to see what a model has learned already."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(("token_head.", "number_head.", "score.")))
