"""The model of a fine-tuning: made for its task, with the weights that are trained, and written."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch

from dnagpt_hf.atomic_files import new_files
from dnagpt_hf.checkpoints.opening import Checkpoint
from dnagpt_hf.checkpoints.saving import share_weights
from dnagpt_hf.checkpoints.validation import ADAPTER, ADAPTER_WEIGHTS, WEIGHTS, WEIGHTS_INDEX
from dnagpt_hf.inference.prediction_heads import token_ids
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask, DNAGPTForSequenceClassification
from dnagpt_hf.tasks.dataset import TaskData
from dnagpt_hf.tasks.task import Task
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

if TYPE_CHECKING:
    from dnagpt_hf.finetuning.settings import TuningArguments
    from dnagpt_hf.finetuning.trainer import FineTuningTrainer

# linear maps of a decoder layer
TARGET_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj")
Adapter = Literal["lora", "rslora", "dora", "ia3"]
PROJECTION_LAYERS = ("in_proj", "norm", "out_proj")


def new_model(tuning: TuningArguments, data: TaskData, checkpoint: Checkpoint) -> Any:
    """Make the model to be tuned, with the task in its configuration.

    Args:
        tuning: settings of the model, its head and its adapter.
        data: the task and its examples.
        checkpoint: the checkpoint whose weights, or sizes, the model gets.

    Returns:
        A [`DNAGPTForMultiTask`] or [`DNAGPTForSequenceClassification`] in float32, or a model of
        PEFT around it.
    """
    task, tokenizer = data.task, checkpoint.tokenizer
    config = deepcopy(checkpoint.config)
    config.task = task.as_dict()
    model_type: Any = DNAGPTForMultiTask
    if tuning.head == "classification":
        model_type = DNAGPTForSequenceClassification
        labels = head_labels(task)
        config.problem_type = task.problem_type
        config.classifier_pooling = tuning.pooling
    else:
        labels = language_labels(task, tokenizer)
    if labels:
        config.id2label = labels
        config.label2id = {label: number for number, label in labels.items()}
    if tuning.from_scratch:
        model = model_type._from_config(
            config, dtype=torch.float32, attn_implementation=tuning.attention
        )
    else:
        model = checkpoint.load_model(
            model_type, config=config, dtype=torch.float32, attention=tuning.attention
        )
    if tuning.trained == "head":
        train_head_only(model)
    # all answers but the last are read before the next one is given
    reads_numbers = any(answer.is_number for answer in task.answer_list[:-1]) or any(
        map(len, data.splits["train"].numbers)
    )
    freeze_unused(model, task, reads_numbers=reads_numbers)
    if tuning.adapter is not None:
        model = add_adapter(model, tuning.adapter, task, tuning.adapter_rank)
        # the name by which this machine or another finds the base again
        model.peft_config["default"].base_model_name_or_path = tuning.model
    return model


def head_labels(task: Task) -> dict[int, str]:
    """Name the outputs of a classification head, by their indices."""
    answers = task.answer_list
    if len(answers) == 1 and not answers[0].is_number:
        return dict(enumerate(answers[0].labels))
    return dict(enumerate(answer.column for answer in answers))


def language_labels(task: Task, tokenizer: DNAGPTTokenizer) -> dict[int, str]:
    """Give the labels of tokens by their ids; none where they differ between several answers.

    Raises:
        ValueError: an answer is no token.
    """
    found = [token_ids(tokenizer, answer.tokens) for answer in task.answer_list if answer.tokens]
    return found[0] if found and all(one == found[0] for one in found) else {}


def write_model(trainer: FineTuningTrainer, tuning: TuningArguments, base: Checkpoint) -> None:
    """Write the best checkpoint to the output folder: whole, or as an adapter with its task.

    Args:
        trainer: the trainer after training; all processes call it.
        tuning: settings of the adapter.
        base: the checkpoint under an adapter.
    """
    folder, saves = Path(str(trainer.args.output_dir)), trainer.args.should_save
    is_adapter = tuning.adapter is not None and not tuning.merge
    # a folder with weights of both kinds, one of them of an earlier run, would load both
    kinds = (WEIGHTS, WEIGHTS_INDEX, "model-*-of-*.safetensors", ADAPTER, ADAPTER_WEIGHTS)
    before = {path: path.stat().st_ino for kind in kinds for path in folder.glob(kind)}
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    if tuning.adapter is None or is_adapter:
        trainer.save_model()
    elif saves:
        tokenizer: Any = trainer.processing_class
        with new_files(folder) as partial:
            model.merge_and_unload().save_pretrained(partial)
            tokenizer.save_pretrained(partial)
            share_weights(partial)
    if not saves:
        return
    if is_adapter:
        config = model.get_base_model().config
        config.architectures = [type(model.get_base_model()).__name__]
        config.adapter_base = base.weights_hash
        with new_files(folder) as partial:
            config.save_pretrained(partial)
    for path, file in before.items():
        if path.stat().st_ino == file:
            path.unlink()


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
