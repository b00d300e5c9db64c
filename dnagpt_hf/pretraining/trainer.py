"""Transformers' `Trainer` with the joint loss of pre-training, and figures beside it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import nn

from dnagpt_hf.configuration_dnagpt import IGNORED_TOKEN
from dnagpt_hf.modeling_dnagpt import DNAGPTOutput
from dnagpt_hf.planning.step import training_flops_per_token
from dnagpt_hf.pretraining.dataset import EpochSampler
from dnagpt_hf.token_loss import TokenLoss, choose_token_loss
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer, KmerVocabulary
from dnagpt_hf.training.trainer import CheckpointingTrainer

_SUMS = (
    "token_loss",
    "tokens",
    "sequence_loss",
    "bases",
    "number_square",
    "number_error",
    "numbers",
    "right_answers",
    "answers",
)


def bases_of_tokens(tokenizer: DNAGPTTokenizer) -> torch.Tensor:
    """Count the bases of each token, `(tokens,)`; 0 for all but k-mers."""
    vocabulary = KmerVocabulary(tokenizer.kmer_size, tokenizer.dynamic_kmer)
    bases = torch.zeros(len(tokenizer))
    for length, first in vocabulary.first_id.items():
        bases[first : first + 5**length] = length
    return bases


class ObjectiveMetrics:
    """Sums over batches, from which the losses of the three objectives are computed.

    Nothing is read from the device before `compute`.

    Args:
        tokenizer: gives the bases of a token, and the id of `<B>`.
        number_loss_weight: λ of the joint loss.
    """

    def __init__(self, tokenizer: DNAGPTTokenizer, number_loss_weight: float) -> None:
        self.bases = bases_of_tokens(tokenizer)
        self.class_instruction = tokenizer.get_vocab()["<B>"]
        self.number_loss_weight = number_loss_weight
        self.sums: torch.Tensor | None = None

    @torch.no_grad()
    def update(self, inputs: Mapping[str, torch.Tensor], outputs: DNAGPTOutput) -> None:
        """Add a batch and the outputs of the model, `token_losses` included."""
        labels = inputs["labels"][:, 1:]
        if self.bases.device != labels.device:
            self.bases = self.bases.to(labels.device)
        losses = outputs["token_losses"][:, :-1]
        numbers = outputs["number_predictions"][:, :-1].float()
        is_target = labels != IGNORED_TOKEN
        is_answer = is_target & (inputs["input_ids"][:, :-1] == self.class_instruction)
        is_sequence = is_target & ~is_answer
        bases = self.bases[labels.clamp(min=0)] * is_sequence
        errors = numbers - inputs["number_labels"][:, 1:]
        known = ~errors.isnan()
        errors = errors.nan_to_num()
        sums = torch.stack(
            [
                losses.sum(),
                is_target.sum(),
                (losses * is_sequence).sum(),
                bases.sum(),
                errors.square().sum(),
                errors.abs().sum(),
                known.sum(),
                # a probability above one half: the model gives the right answer
                ((losses < math.log(2)) & is_answer).sum(),
                is_answer.sum(),
            ]
        )
        self.sums = sums if self.sums is None else self.sums + sums

    def compute(
        self, reduce: Callable[[torch.Tensor], torch.Tensor] = lambda sums: sums
    ) -> dict[str, float]:
        """Compute the figures since the last call, and reset the sums.

        Args:
            reduce: adds the sums of all processes; called once, where there are sums.

        Returns:
            `loss` (λ·MSE + cross-entropy), `token_loss` in nats per token, `nats_per_base` and
            `bits_per_base` of sequence tokens, `gc_error` (mean absolute error of the GC content)
            and `order_accuracy` (of sequence order), each only where it had targets; `bases`, the
            number of predicted bases.
        """
        if self.sums is None:
            return {}
        sums = dict(zip(_SUMS, reduce(self.sums).tolist(), strict=True))
        self.sums = None
        figures = {"bases": sums["bases"], "loss": 0.0}
        if sums["tokens"]:
            figures["token_loss"] = sums["token_loss"] / sums["tokens"]
            figures["loss"] += figures["token_loss"]
        if sums["bases"]:
            figures["nats_per_base"] = sums["sequence_loss"] / sums["bases"]
            figures["bits_per_base"] = figures["nats_per_base"] / math.log(2)
        if sums["numbers"]:
            figures["loss"] += self.number_loss_weight * sums["number_square"] / sums["numbers"]
            figures["gc_error"] = sums["number_error"] / sums["numbers"]
        if sums["answers"]:
            figures["order_accuracy"] = sums["right_answers"] / sums["answers"]
        return figures


def target_counts(batch: Mapping[str, Any]) -> torch.Tensor:
    """Count the targets of a batch, tokens and numbers, `(2,)`."""
    tokens = (batch["labels"][:, 1:] != IGNORED_TOKEN).sum()
    numbers = (~batch["number_labels"][:, 1:].isnan()).sum()
    return torch.stack([tokens, numbers])


class PretrainingTrainer(CheckpointingTrainer):
    """`Trainer` for [`DNAGPTForMultiTask`] on packed sequences.

    It adds to [`CheckpointingTrainer`]:

    - The loss is the mean over all tokens and over all numbers of an optimizer step, for any
      division of the step into processes and accumulation steps. Logits are never made.
    - Packed sequences come in the order of their indices, which count on from epoch to epoch; an
      epoch ends with a full step, for any number of processes.
    - The log has the figures of [`ObjectiveMetrics`], `mbp_per_second`, and, with `matmul_flops`,
      `model_flops_utilisation`.

    Args:
        model: a [`DNAGPTForMultiTask`].
        args: of `Trainer`, whose `args`, `train_dataset` and `processing_class` (the
            tokenizer) must be given.
        matmul_flops: peak floating-point operations per second of one device, the basis of
            utilization.
        token_loss: name of the computation of the token loss.
    """

    def __init__(
        self,
        model: Any,
        *args: Any,
        matmul_flops: float | None = None,
        token_loss: TokenLoss = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(model, *args, **kwargs)
        config = self.accelerator.unwrap_model(self.model).config
        self.number_loss_weight = config.number_loss_weight
        self.training_metrics = ObjectiveMetrics(self.processing_class, self.number_loss_weight)
        self.evaluation_metrics = ObjectiveMetrics(self.processing_class, self.number_loss_weight)
        self.matmul_flops = matmul_flops
        self.token_loss_function = choose_token_loss(config, token_loss)
        self._config = config
        self._targets = torch.ones(2)
        self._num_tokens = 0
        self._clock = time.perf_counter()

    # -- data --------------------------------------------------------------------------------------

    def _get_train_sampler(self, train_dataset: Any = None) -> EpochSampler:
        dataset = self.train_dataset if train_dataset is None else train_dataset
        # accelerate would fill the last step with the first items of the epoch, which would count
        # twice; the indices that follow are items of the next epoch
        step = self.get_total_train_batch_size(self.args)
        length = -(-len(dataset) // step) * step
        return EpochSampler(length, epoch=lambda: int(self.state.epoch or 0))

    # -- loss --------------------------------------------------------------------------------------

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: Any
    ) -> tuple[list[Any], Any]:
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        if batches:
            counts = torch.stack([target_counts(batch) for batch in batches]).sum(0)
            total: Any = self.accelerator.reduce(counts.to(self.args.device).float(), "sum")
            self._targets = total.clamp(min=1)
            self._num_tokens += sum(batch["input_ids"].numel() for batch in batches)
        return batches, None

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        outputs = model(**inputs, token_loss_function=self.token_loss_function, use_cache=False)
        if model.training:
            self.training_metrics.update(inputs, outputs)
            loss = self._share_of_step(inputs, outputs)
        else:
            self.evaluation_metrics.update(inputs, outputs)
            loss = outputs["loss"]
        return (loss, outputs) if return_outputs else loss

    def _share_of_step(self, inputs: Mapping[str, Any], outputs: Any) -> torch.Tensor:
        """Compute the share of a batch in the loss of its optimizer step.

        `Trainer` divides a loss by the accumulation steps, and gradients are averaged over
        processes: both factors are multiplied in, so that the loss is a mean over all targets.
        """
        tokens, numbers = target_counts(inputs) / self._targets
        loss = outputs["token_loss"] * tokens
        loss = loss + self.number_loss_weight * outputs["number_loss"] * numbers
        return loss * self.current_gradient_accumulation_steps * self.args.world_size

    # -- reports -----------------------------------------------------------------------------------

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        # "loss" marks the reports of training steps, which every process makes
        if "loss" in logs:
            figures = self.training_metrics.compute(self._sum_over_processes)
            seconds = time.perf_counter() - self._clock
            bases = figures.pop("bases", 0.0)
            # the joint loss has been averaged over the same steps by Trainer
            figures.pop("loss", None)
            logs.update(figures)
            logs["mbp_per_second"] = bases / seconds / 1e6
            if self.matmul_flops is not None:
                flops = self._flops_per_token * self._num_tokens
                logs["model_flops_utilisation"] = flops / seconds / self.matmul_flops
            self._num_tokens, self._clock = 0, time.perf_counter()
        super().log(logs, *args, **kwargs)

    @cached_property
    def _flops_per_token(self) -> int:
        return training_flops_per_token(self._config, self.train_dataset.context_length)

    def _sum_over_processes(self, sums: torch.Tensor) -> torch.Tensor:
        total: Any = self.accelerator.reduce(sums.float(), "sum")
        return total

    @contextmanager
    def _stopped_clock(self) -> Iterator[None]:
        """Stop the clock of the throughput while a checkpoint or an evaluation takes time."""
        before = time.perf_counter()
        yield
        self._clock += time.perf_counter() - before

    def evaluation_loop(self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> Any:
        self.evaluation_metrics.sums = None
        with self._stopped_clock():
            output = super().evaluation_loop(*args, metric_key_prefix=metric_key_prefix, **kwargs)
            figures = self.evaluation_metrics.compute(self._sum_over_processes)
        figures.pop("bases", None)
        output.metrics.update(
            {f"{metric_key_prefix}_{name}": figure for name, figure in figures.items()}
        )
        return output
