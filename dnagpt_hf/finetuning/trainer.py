"""Transformers' `Trainer` for tasks of the token language, and for classification heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers.trainer_utils import EvalLoopOutput

from dnagpt_hf.evaluation.evaluation import Evaluation, metric_names
from dnagpt_hf.inference.batching import NotFiniteError, padded_batch
from dnagpt_hf.inference.prediction_heads import (
    PredictionHead,
    predict_scores,
    prediction_head,
    token_ids,
)
from dnagpt_hf.records.reading import Record
from dnagpt_hf.tasks.dataset import TaskData
from dnagpt_hf.tasks.encoding import EncodedRecord
from dnagpt_hf.tasks.examples import Examples, RandomViews, gaps_between_answers
from dnagpt_hf.tasks.task import Head, Task
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer
from dnagpt_hf.training.trainer import DIVERGED, CheckpointingTrainer

# most tokens of a batch of an evaluation, padding included
_EVAL_TOKENS = 2**17
_NO_RECORD = Record({}, "", "", 0, 0)


class TaskCollator:
    """Makes batches of the examples of a task.

    For answers in the token language every row ends in its answers, without the last one, so that
    the last columns predict them. All records of a task have the same count of answers.

    Args:
        task: the task, with the tokens of its labels and its standardization.
        tokenizer: the model's tokenizer.
        head: `"language"` or `"classification"`.

    Returns:
        `input_ids` and `attention_mask` (int64) and, where there are numbers, `number_values`
        (float32), `(batch, length)`; and `targets`, `(batch, answers)`, float32: indices of labels,
        and standardized numbers.
    """

    def __init__(self, task: Task, tokenizer: DNAGPTTokenizer, head: Head = "language") -> None:
        self.pad_token_id = int(tokenizer.pad_token_id)
        self.number_token_id = int(tokenizer.number_token_id)
        self.scales = np.array(task.answer_scales)
        self.is_number = np.array([answer.is_number for answer in task.answer_list])
        # ids of the labels of each answer, and of the text before it
        self.label_ids: list[NDArray[np.int64]] = []
        self.gaps: list[list[int]] = []
        if head == "language":
            self.label_ids = [
                np.array(list(token_ids(tokenizer, answer.tokens)), dtype=np.int64)
                for answer in task.answer_list
            ]
            self.gaps = gaps_between_answers(task, tokenizer)
        # columns that predict the answers, counted from the first column with logits
        self.columns = np.cumsum([len(gap) + 1 for gap in self.gaps]) - 1

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        targets = np.stack([example["targets"] for example in examples])
        targets = (targets - self.scales[:, 0]) / self.scales[:, 1]
        rows = [
            EncodedRecord(_NO_RECORD, *self._with_answers(example, target))
            for example, target in zip(examples, targets, strict=True)
        ]
        batch = padded_batch(rows, self.pad_token_id)
        if not (batch["input_ids"] == self.number_token_id).any():
            # the model embeds numbers only where it gets their values
            del batch["number_values"]
        return {**batch, "targets": torch.from_numpy(targets.astype(np.float32))}

    def _with_answers(
        self, example: Mapping[str, Any], targets: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Append all answers but the last to the ids and numbers of a prompt."""
        ids, values = [example["input_ids"]], [example["number_values"]]
        for index, gap in enumerate(self.gaps[1:]):
            is_number, target = self.is_number[index], targets[index]
            label = self.number_token_id if is_number else self.label_ids[index][int(target)]
            ids.append(np.array([label, *gap]))
            values.append(np.array([target if is_number else 0, *(0 for _ in gap)], np.float32))
        return np.concatenate(ids), np.concatenate(values)


class EpochOfViews(TrainerCallback):
    """Tells the examples of a training their epoch.

    Trainer and accelerate tell it to a dataset in one process, but in several processes not in all
    of their releases.
    """

    def __init__(self, examples: RandomViews) -> None:
        self.examples = examples

    def on_epoch_begin(
        self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Set the epoch before the workers of the `DataLoader` start or go on.

        A run that resumes within an epoch has a fraction of it behind it.
        """
        self.examples.epoch = int(state.epoch or 0)


class FineTuningTrainer(CheckpointingTrainer):
    """`Trainer` for examples of one task.

    Each record is shown in a random view of the task in each epoch. The loss is that of the
    answers: cross-entropy of tokens or classes, and λ times the mean squared error of standardized
    numbers. Evaluation averages over all views, in batches of records of similar lengths, and
    reports the metrics of [`Evaluation`].

    Args:
        model: [`DNAGPTForMultiTask`] or [`DNAGPTForSequenceClassification`], or either with
            adapters.
        task: the task.
        head: `"language"` or `"classification"`.
        class_weights: weight of each label in the loss, for each answer that is no number.
        number_loss_weight: λ.
        kwargs: arguments of `Trainer`.
    """

    def __init__(
        self,
        model: Any,
        *args: Any,
        task: Task,
        head: Head = "language",
        class_weights: Sequence[Sequence[float] | None] | None = None,
        number_loss_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        tokenizer = kwargs["processing_class"]
        collator = TaskCollator(task, tokenizer, head)
        super().__init__(model, *args, data_collator=collator, **kwargs)
        examples = kwargs.get("train_dataset")
        if examples is not None:
            views = RandomViews(examples, self.args.seed)
            self.train_dataset = views
            self.add_callback(EpochOfViews(views))
        self.task = task
        self.head = head
        self.collator = collator
        self.number_loss_weight = number_loss_weight
        self.class_weights: list[torch.Tensor | None] = [
            None if weights is None else torch.tensor(weights)
            for weights in class_weights or (None,) * len(task.answer_list)
        ]

    # -- loss --------------------------------------------------------------------------------------

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        inputs = dict(inputs)
        targets = inputs.pop("targets")
        if self.head == "language":
            outputs = model(
                **inputs, logits_to_keep=int(self.collator.columns[-1]) + 1, use_cache=False
            )
            loss = self._language_loss(outputs, targets)
        else:
            outputs = model(**inputs, use_cache=False)
            loss = self._head_loss(outputs.logits.float(), targets)
        return (loss, outputs) if return_outputs else loss

    def _language_loss(self, outputs: Any, targets: torch.Tensor) -> torch.Tensor:
        token_losses, number_losses = [], []
        for index, column in enumerate(self.collator.columns.tolist()):
            target = targets[:, index]
            if self.collator.is_number[index]:
                errors = outputs.number_predictions[:, column].float() - target
                number_losses.append(errors.square().mean())
                continue
            chosen = target.long()
            ids = torch.as_tensor(self.collator.label_ids[index], device=chosen.device)[chosen]
            losses = nn.functional.cross_entropy(
                outputs.logits[:, column].float(), ids, reduction="none"
            )
            token_losses.append(self._weighted_mean(losses, chosen, index))
        loss = torch.stack(token_losses).mean() if token_losses else targets.new_zeros(())
        if number_losses:
            loss = loss + self.number_loss_weight * torch.stack(number_losses).mean()
        return loss

    def _head_loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        problem = self.accelerator.unwrap_model(self.model).config.problem_type
        if problem == "regression":
            return nn.functional.mse_loss(logits, targets)
        if problem == "multi_label_classification":
            losses = nn.functional.binary_cross_entropy_with_logits(
                logits, targets, reduction="none"
            )
            columns = range(logits.shape[1])
            means = [
                self._weighted_mean(losses[:, index], targets[:, index].long(), index)
                for index in columns
            ]
            return torch.stack(means).mean()
        chosen = targets[:, 0].long()
        losses = nn.functional.cross_entropy(logits, chosen, reduction="none")
        return self._weighted_mean(losses, chosen, 0)

    def _weighted_mean(
        self, losses: torch.Tensor, chosen: torch.Tensor, index: int
    ) -> torch.Tensor:
        weights = self.class_weights[index]
        if weights is None:
            return losses.mean()
        # a sum over the records divided by their count, not by the sum of weights, so that several
        # processes and accumulated batches give the gradients of a single batch
        return (losses * weights.to(losses.device)[chosen]).mean()

    # -- evaluation --------------------------------------------------------------------------------

    def evaluation_loop(
        self,
        dataloader: Any,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """Evaluate the dataset of the loader, in batches of its own."""
        evaluation = self.evaluate_examples(dataloader.dataset)
        metrics = {
            f"{metric_key_prefix}_{name}": value for name, value in evaluation.metrics().items()
        }
        return EvalLoopOutput(
            evaluation.scores, evaluation.targets, metrics, len(evaluation.targets)
        )

    def evaluate_examples(self, examples: Examples) -> Evaluation:
        """Predict examples whose numbers are standardized, and compare with their targets.

        Every process predicts its share, and gets the result of all.

        Args:
            examples: a split.
        """
        answers = self._answers()
        was_training = answers.model.training
        answers.model.eval()
        order = np.argsort(-examples.lengths, kind="stable")
        rank, world = self.args.process_index, self.args.world_size
        # all processes get as many records of about the same lengths, and run as many batches, as a
        # model that is sharded over processes requires
        share = np.resize(order, -(-len(order) // world) * world)[rank::world]
        records = map(examples.in_views, share)
        with self.compute_loss_context_manager():
            rows = predict_scores(
                answers, records, max_records=self.args.eval_batch_size, max_tokens=_EVAL_TOKENS
            )
            try:
                scores = np.stack([row for _, row in rows])
            except NotFiniteError as error:
                step = self.state.global_step
                if step == 0:
                    raise
                message = f"the model's output is not finite after step {step}: {DIVERGED}"
                raise FloatingPointError(message) from error
        answers.model.train(was_training)
        if world > 1:
            gathered = self.accelerator.gather(torch.as_tensor(scores, device=self.args.device))
            shares = [np.resize(order, len(share) * world)[one::world] for one in range(world)]
            share, scores = np.concatenate(shares), gathered.cpu().numpy()
        complete = np.zeros((len(examples), scores.shape[1]), dtype=np.float32)
        complete[share] = scores
        return Evaluation.from_scores(self.task, answers.outputs, examples, complete)

    def metric_names(self) -> list[str]:
        """List the metrics of an evaluation of this model."""
        return metric_names(self._answers().outputs)

    def _answers(self) -> PredictionHead:
        model = self.accelerator.unwrap_model(self.model)
        # PEFT wraps the model that it adapts
        model = model.get_base_model() if hasattr(model, "get_base_model") else model
        return prediction_head(model, self.processing_class, self.task)


def class_weights(stated: Any, data: TaskData, head: Head) -> list[list[float] | None] | None:
    """Make the weights of the labels of each answer.

    Args:
        stated: `"balanced"` by the training split, the weight of each label, or nothing.
        data: the task and its examples.
        head: the head that answers.

    Returns:
        A weight for each label of each answer, `None` for numbers.

    Raises:
        ValueError: a label does not exist, or a weight is not above 0.
    """
    if stated is None:
        return None
    answers = data.task.answer_list
    if isinstance(stated, Mapping):
        # labels such as 0 and 1 are numbers in YAML
        stated = {str(label): weight for label, weight in stated.items()}
        known = [label for answer in answers for label in answer.labels]
        for label, weight in stated.items():
            if label not in known:
                raise ValueError(
                    f"class_weights name label {label!r}: choose of {', '.join(known)}"
                )
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight > 0:
                raise ValueError(f"class_weights: {label} is {weight!r}: give a number above 0")
    elif stated != "balanced":
        raise ValueError(
            f"class_weights is {stated!r}: write balanced, or the weight of each label"
        )
    targets = data.splits["train"].targets
    weights: list[list[float] | None] = []
    for index, answer in enumerate(answers):
        labels = answer.labels
        if head == "classification" and len(answers) > 1:
            # the targets of a head with several labels are 0 and 1, whatever their order
            labels = tuple(sorted(labels, key=data.task.positive_label(answer).__eq__))
        if answer.is_number:
            weights.append(None)
        elif stated == "balanced":
            weights.append(balanced_weights(targets[:, index], len(labels)))
        else:
            weights.append([float(stated.get(label, 1.0)) for label in labels])
    return weights


def balanced_weights(targets: np.ndarray[Any, Any], count: int) -> list[float]:
    """Weigh all classes alike: records / (classes · records of the class).

    Args:
        targets: class of each record, `(records,)`.
        count: number of classes.

    Example:

        >>> balanced_weights(np.array([0, 0, 0, 1]), 2)
        [0.6666666666666666, 2.0]
    """
    records = np.bincount(targets.astype(int), minlength=count)
    return [float(len(targets) / (count * number)) if number else 0.0 for number in records]
