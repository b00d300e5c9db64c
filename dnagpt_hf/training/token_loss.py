"""Choice of the implementation of the token loss in training.

Both compute the logits in chunks of positions, and give the loss of each target:

- `chunked`, of this package, runs on every device. It computes the gradients along with the loss.
- `liger` is the fused kernel of the library liger-kernel, for CUDA. As it gives the loss of each
  target, it computes the logits a second time in the backward pass.
"""

from __future__ import annotations

import logging
from typing import Literal, get_args

import torch

from dnagpt_hf.configuration_dnagpt import IGNORED_TOKEN
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask, chunked_token_loss

logger = logging.getLogger(__name__)

TokenLoss = Literal["auto", "chunked", "liger"]


def choose_token_loss(model: DNAGPTForMultiTask, name: TokenLoss = "auto") -> None:
    """Choose the token loss of `model(..., labels=labels, skip_logits=True)`.

    The kernel of liger has no mask for rows of the weight that are no tokens, so that they are cut
    off. They are the last rows of every vocabulary of this package; another model keeps its loss.

    Args:
        model: the model, on any device.
        name: `"auto"` is `"chunked"`, which computes less.

    Raises:
        ValueError: there is no such loss, or no CUDA device for `"liger"`.
        ImportError: liger-kernel is not installed.

    Example:

        >>> from dnagpt_hf.presets import preset_config
        >>> model = DNAGPTForMultiTask(preset_config("dnagpt-test"))
        >>> choose_token_loss(model, "chunked")
        >>> model.token_loss_function.__name__
        'chunked_token_loss'
    """
    if name not in get_args(TokenLoss):
        names = ", ".join(get_args(TokenLoss))
        raise ValueError(f"unknown token loss {name!r}: choose one of {names}")
    if name != "liger":
        model.token_loss_function = chunked_token_loss
        return
    try:
        import liger_kernel.transformers.functional  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "the token loss 'liger' needs liger-kernel: pip install liger-kernel, or choose "
            "'chunked'"
        ) from error
    if not torch.cuda.is_available():
        raise ValueError("the token loss 'liger' needs a CUDA device: choose 'chunked'")
    config = model.config
    if config.num_tokens == config.number_token_id + 1:
        model.token_loss_function = liger_token_loss
        return
    logger.warning(
        "the number position %s is not the last of %s tokens, as the token loss 'liger' needs it: "
        "the loss stays as it was",
        f"{config.number_token_id:,}",
        f"{config.num_tokens:,}",
    )


def liger_token_loss(
    hidden_states: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    number_token_id: int,
    num_tokens: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the loss of [`~dnagpt_hf.modeling_dnagpt.chunked_token_loss`] by liger-kernel.

    Args:
        hidden_states: input of the last map, `(positions, hidden_size)`.
        weight: the last map, `(vocab_size, hidden_size)`.
        targets: token ids, `(positions,)`; −100 is no target.
        number_token_id: rows of the weight from here on are no tokens.
        num_tokens: `number_token_id + 1`.
    """
    from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy

    device = hidden_states.device.type
    if torch.is_autocast_enabled(device):
        # autocast would cast the weight for each chunk
        dtype = torch.get_autocast_dtype(device)
        hidden_states, weight = hidden_states.to(dtype), weight.to(dtype)
    losses = liger_fused_linear_cross_entropy(
        hidden_states,
        weight[:number_token_id],
        targets,
        ignore_index=IGNORED_TOKEN,
        reduction="none",
        accum_dtype=torch.float32,
    )
    return losses.sum(), losses.detach()
