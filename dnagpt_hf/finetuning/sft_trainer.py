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

    `SFTTrainer` multiplies the hidden states by the weight of a linear token head. The token head
    of DNAGPT has a layer before it, which would be skipped silently. Here the model computes its
    loss itself.

    Records are texts (`text`), or a `prompt` and a `completion`, of which the completion alone is
    a target. TRL ends each with `SFTConfig(eos_token=...)`, one of the property tokens that the
    records do not use, such as `<!>`. It passes ids alone: records with numbers are an error, and
    need [`finetune`].

    Args:
        args: those of `SFTTrainer`.

    Raises:
        ValueError: `label_smoothing_factor` is given; while training, if a record holds numbers.

    Example:

        >>> import contextlib, io, tempfile
        >>> from datasets import Dataset
        >>> from dnagpt_hf import DNAGPTSFTTrainer, preset_config, preset_tokenizer
        >>> from dnagpt_hf import DNAGPTForMultiTask
        >>> with contextlib.redirect_stdout(io.StringIO()):  # the log
        ...     trainer = DNAGPTSFTTrainer(
        ...         DNAGPTForMultiTask(preset_config("dnagpt-test")),
        ...         SFTConfig(tempfile.mkdtemp(), eos_token="<!>", max_steps=1, use_cpu=True),
        ...         train_dataset=Dataset.from_dict({"text": ["<R>ACGT<=><B>A", "<R>GC<=><B>N"]}),
        ...         processing_class=preset_tokenizer("dnagpt-test"),
        ...     )
        ...     _ = trainer.train()
        >>> trainer.state.global_step
        1
    """

    def __init__(
        self, model: Any, args: SFTConfig | None = None, *others: Any, **named: Any
    ) -> None:
        args = copy.copy(args) if args is not None else SFTConfig()
        if args.loss_type == "chunked_nll":
            # the default before TRL 1.16, which puts that product into the forward of the model
            args.loss_type = "nll"
        if args.label_smoothing_factor:
            # Trainer knows by name the models whose labels it has to shift
            raise ValueError(
                f"label_smoothing_factor is {args.label_smoothing_factor}, but Trainer would train "
                "the tokens of other positions: leave it out"
            )
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
