"""TRL's trainer for supervised fine-tuning on records of the token language."""

from __future__ import annotations

import copy
from typing import Any

import torch
from transformers import Trainer

try:
    from trl import SFTConfig, SFTTrainer
except ImportError as error:
    raise ImportError(
        "supervised fine-tuning with TRL needs trl: install it with pip install 'dnagpt_hf[trl]'"
    ) from error


class DNAGPTSFTTrainer(SFTTrainer):
    """TRL's `SFTTrainer` with the loss of the model.

    `SFTTrainer` takes a token head for one linear map and multiplies the hidden states by its
    weight. That of DNAGPT has a layer before that, which would be left out without a word: the
    model would be trained as another one. Here the model computes its loss itself.

    Records come as text (`text`), or as `prompt` and `completion`, of which the completion alone
    is learned. TRL ends each with `SFTConfig(eos_token=...)`, one of the property tokens that the
    records do not use, such as `<!>`. It hands on ids alone: records with numbers are an error,
    and are learned with `dnagpt finetune`.

    Args:
        args: those of `SFTTrainer`.

    Raises:
        ValueError: while training, if a record holds numbers.
    """

    def __init__(
        self, model: Any, args: SFTConfig | None = None, *others: Any, **named: Any
    ) -> None:
        args = copy.copy(args) if args is not None else SFTConfig()
        if args.loss_type == "chunked_nll":
            # the default before TRL 1.16, which puts that product into the forward of the model
            args.loss_type = "nll"
        super().__init__(model, args, *others, **named)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        number = self.accelerator.unwrap_model(model).config.number_token_id
        if (inputs["input_ids"] == number).any():
            raise ValueError(
                "a record holds numbers, whose values TRL does not hand on: leave them out, or "
                "use dnagpt finetune"
            )
        return Trainer.compute_loss(self, model, inputs, return_outputs, num_items_in_batch)
