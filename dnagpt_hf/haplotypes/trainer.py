"""Transformers' `Trainer` on haplotypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import Dataset
from transformers import default_data_collator
from transformers.trainer_utils import EvalLoopOutput

from dnagpt_hf.haplotypes.codec import HaplotypeCodec
from dnagpt_hf.haplotypes.haplotypes import Haplotypes
from dnagpt_hf.haplotypes.likelihood import haplotype_losses, losses_per_site
from dnagpt_hf.token_loss import chunked_token_loss
from dnagpt_hf.training.trainer import CheckpointingTrainer


class HaplotypeRows(Dataset[dict[str, NDArray[np.int64]]]):
    """Haplotypes as rows of token ids.

    Args:
        haplotypes: haplotypes, with their populations if the format has populations.
        codec: notation of haplotypes.
    """

    def __init__(self, haplotypes: Haplotypes, codec: HaplotypeCodec) -> None:
        populations = None
        if codec.populations and haplotypes.populations is not None:
            populations = haplotypes.populations.tolist()
        # (haplotypes, length)
        self.ids = codec.encode(haplotypes.alleles, populations)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, NDArray[np.int64]]:
        return {"input_ids": self.ids[index]}


class HaplotypeTrainer(CheckpointingTrainer):
    """`Trainer` for [`HaplotypeRows`].

    The loss is that of all tokens after the first one: population, alleles and stop symbol.
    Evaluation reports the loss of the alleles alone, as `nats_per_site` and `bits_per_site`, which
    are comparable between tokens of different lengths.

    Args:
        model: a [`DNAGPTForMultiTask`].
        codec: notation of haplotypes.
        kwargs: arguments of `Trainer`.
    """

    def __init__(self, model: Any, *args: Any, codec: HaplotypeCodec, **kwargs: Any) -> None:
        super().__init__(model, *args, data_collator=default_data_collator, **kwargs)
        self.codec = codec

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        # all rows have as many targets, so that a mean of means is the mean
        outputs = model(
            **inputs,
            labels=inputs["input_ids"],
            token_loss_function=chunked_token_loss,
            use_cache=False,
        )
        return (outputs["loss"], outputs) if return_outputs else outputs["loss"]

    def evaluation_loop(
        self,
        dataloader: Any,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """Evaluate all haplotypes of the dataset, which is read directly, not by the loader."""
        ids = dataloader.dataset.ids
        metrics = {
            f"{metric_key_prefix}_{name}": value for name, value in self.evaluate_ids(ids).items()
        }
        return EvalLoopOutput(np.empty(0), None, metrics, len(ids))

    def evaluate_ids(self, ids: NDArray[np.int64]) -> dict[str, float]:
        """Compute losses per site; every process reads its share, and all get the whole result."""
        model = self.accelerator.unwrap_model(self.model)
        was_training = model.training
        model.eval()
        rank, world = self.args.process_index, self.args.world_size
        # every process reads the same number, as sharded models need
        numbers = np.arange(-(-len(ids) // world) * world)[rank::world]
        with self.compute_loss_context_manager():
            losses = haplotype_losses(
                model, self.codec, ids[numbers % len(ids)], self.args.eval_batch_size
            )
        model.train(was_training)
        share = torch.tensor(losses[numbers < len(ids)].sum(), device=self.args.device)
        total: Any = self.accelerator.reduce(share.float(), "sum")
        return dict(losses_per_site(float(total), len(ids), self.codec.num_sites))
