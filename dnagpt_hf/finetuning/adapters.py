"""Choice of the weights that are trained: those of a task, of heads, or of adapters."""

from __future__ import annotations

from typing import Any, Literal, get_args

from dnagpt_hf.modeling_dnagpt import DNAGPTForSequenceClassification
from dnagpt_hf.tasks.task import Task

# linear maps of a decoder layer
TARGET_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj")
Adapter = Literal["lora", "rslora", "dora", "ia3"]
PROJECTION_LAYERS = ("in_proj", "norm", "out_proj")


def add_adapter(model: Any, name: Adapter, task: Task, rank: int = 8) -> Any:
    """Wrap a model by PEFT, which trains an adapter and the modules of `modules_to_save` only.

    All linear maps of the layers get matrices of the adapter. A classification head, and the head
    and the embedding of numbers where the task has numbers, are trained themselves.

    Args:
        model: [`DNAGPTForMultiTask`] or [`DNAGPTForSequenceClassification`].
        name: the kind of adapter.
        task: the task that it learns.
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
    if name not in get_args(Adapter):
        raise ValueError(f"unknown adapter {name!r}: choose one of {', '.join(get_args(Adapter))}")
    shared: dict[str, Any] = {
        "target_modules": list(TARGET_MODULES),
        "modules_to_save": modules_to_save(model, task) or None,
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


def modules_to_save(model: Any, task: Task) -> list[str]:
    """List the modules that are trained beside an adapter: new heads, and those of numbers."""
    is_head = isinstance(model, DNAGPTForSequenceClassification)
    several = len(task.answer_list) > 1
    answers_number = any(answer.is_number for answer in task.answer_list) and not is_head
    # an answer is read before the next one is given
    reads_number = any(slot.is_number for slot in task.prompt.slots) or (answers_number and several)
    projections = ["number_head"] * answers_number + ["number_embedding"] * reads_number
    # layer by layer, as PEFT merges no module that has others in it
    layers = [f"{name}.{layer}" for name in projections for layer in PROJECTION_LAYERS]
    return ["score"] * is_head + layers


def freeze_unused(model: Any, task: Task, *, reads_numbers: bool) -> None:
    """Freeze the modules that a task does not use, which would decay without a gradient.

    They are the head for tokens or for numbers where no answer is one, and the embedding of numbers
    where the input has none. Processes that share a model would wait for their gradients, too.

    Args:
        model: [`DNAGPTForMultiTask`] or [`DNAGPTForSequenceClassification`].
        task: the task that it learns.
        reads_numbers: whether the input has numbers.
    """
    unused = [] if reads_numbers else [model.model.number_embedding]
    if not isinstance(model, DNAGPTForSequenceClassification):
        answered = {answer.is_number for answer in task.answer_list}
        unused += [] if True in answered else [model.number_head]
        unused += [] if False in answered else [model.token_head]
    shared = model.get_input_embeddings().weight
    for module in unused:
        for parameter in module.parameters():
            if parameter is not shared:
                parameter.requires_grad_(False)


def train_head_only(model: Any) -> None:
    """Freeze all weights but those of the heads, which measures the model's representation."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(("token_head.", "number_head.", "score.")))
