"""The model of a fine-tuning: made for its task, and written at the end."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from dnagpt_hf.checkpoints.opening import Checkpoint
from dnagpt_hf.checkpoints.saving import share_weights
from dnagpt_hf.checkpoints.validation import ADAPTER, ADAPTER_WEIGHTS, WEIGHTS, WEIGHTS_INDEX
from dnagpt_hf.finetuning.adapters import add_adapter, freeze_unused, train_head_only
from dnagpt_hf.finetuning.settings import TuningArguments
from dnagpt_hf.inference.prediction_heads import token_ids
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask, DNAGPTForSequenceClassification
from dnagpt_hf.tasks.dataset import TaskData
from dnagpt_hf.tasks.task import Task
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

if TYPE_CHECKING:
    from dnagpt_hf.finetuning.trainer import FineTuningTrainer


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
        (prompt.input_ids == tokenizer.number_token_id).any()
        for prompt in data.splits["train"].prompts
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


def write_model(trainer: FineTuningTrainer, tuning: TuningArguments) -> None:
    """Write the best checkpoint to the output folder: whole, or as an adapter with its task.

    Args:
        trainer: the trainer after training; all processes call it.
        tuning: settings of the adapter.
    """
    folder, saves = Path(str(trainer.args.output_dir)), trainer.args.should_save
    is_adapter = tuning.adapter is not None and not tuning.merge
    if saves:
        # of an earlier run with another `merge`: a folder with both kinds would load both
        whole = (WEIGHTS, WEIGHTS_INDEX, "model-*-of-*.safetensors")
        for pattern in whole if is_adapter else (ADAPTER, ADAPTER_WEIGHTS):
            for path in folder.glob(pattern):
                path.unlink()
    if tuning.adapter is None:
        trainer.save_model()
        return
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    if is_adapter:
        trainer.save_model()
        if saves:
            config = model.get_base_model().config
            config.architectures = [type(model.get_base_model()).__name__]
            config.save_pretrained(folder)
    elif saves:
        model.merge_and_unload().save_pretrained(folder)
        tokenizer: Any = trainer.processing_class
        tokenizer.save_pretrained(folder)
        share_weights(folder)
