"""Token losses without the logits of a whole batch, which take most of the memory of training.

They are passed as `model(..., labels=labels, token_loss_function=chunked_token_loss)`. Both compute
the logits in chunks of positions, and give the loss of each target:

- `chunked`, of this package, runs on every device. It computes the gradients along with the loss.
- `liger` is the fused kernel of the library liger-kernel, for CUDA. As it gives the loss of each
  target, it computes the logits a second time in the backward pass.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor
from transformers.utils import logging

from dnagpt_hf.configuration_dnagpt import IGNORED_TOKEN, DNAGPTConfig
from dnagpt_hf.modeling_dnagpt import DNAGPTTokenHead, TokenLossFunction, summed_cross_entropy

logger = logging.get_logger(__name__)

TokenLoss = Literal["auto", "chunked", "liger"]
Losses = tuple[torch.Tensor, torch.Tensor]


def choose_token_loss(config: DNAGPTConfig, name: TokenLoss = "auto") -> TokenLossFunction:
    """Choose the token loss of a training.

    The kernel of liger has no mask for rows of the weight that are no tokens, so that they are cut
    off. They are the last rows of every vocabulary of this package; another gets the chunked loss.

    Args:
        config: configuration of the model.
        name: `"auto"` is `"chunked"`, which computes less.

    Raises:
        ValueError: there is no such loss, or no CUDA device for `"liger"`.
        ImportError: liger-kernel is not installed.

    Example:

        >>> from dnagpt_hf.presets import preset_config
        >>> choose_token_loss(preset_config("dnagpt-test")).__name__
        'chunked_token_loss'
    """
    if name not in get_args(TokenLoss):
        names = ", ".join(get_args(TokenLoss))
        raise ValueError(f"unknown token loss {name!r}: choose one of {names}")
    if name != "liger":
        return chunked_token_loss
    try:
        import liger_kernel.transformers.functional  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "the token loss 'liger' needs liger-kernel: pip install liger-kernel, or choose "
            "'chunked'"
        ) from error
    if not torch.cuda.is_available():
        raise ValueError("the token loss 'liger' needs a CUDA device: choose 'chunked'")
    if config.num_tokens == config.number_token_id + 1:
        return liger_token_loss
    logger.warning(
        "the number position %s is not the last of %s tokens, as the token loss 'liger' needs it: "
        "the loss is 'chunked'",
        f"{config.number_token_id:,}",
        f"{config.num_tokens:,}",
    )
    return chunked_token_loss


def chunked_token_loss(
    head: DNAGPTTokenHead, hidden_states: torch.Tensor, targets: torch.Tensor
) -> Losses:
    """Sum the cross-entropy of the next tokens, in chunks of positions.

    Args:
        head: head of the model, in its forward pass.
        hidden_states (`torch.Tensor` of shape `(batch, length, hidden_size)`): Last states.
        targets (`torch.LongTensor` of shape `(batch, length)`): Token ids; −100 is no target.

    Returns:
        The sum over the targets in nats, and the loss of each, `(batch, length)`, through which no
        gradient flows; 0 where there is no target.
    """
    weight = head.out_proj.weight
    if not _is_whole(head, hidden_states.device):
        return summed_cross_entropy(head(hidden_states), targets)
    device = hidden_states.device.type
    # cast here, since the casts of autocast are kept for others, who would miss their gradient
    autocast = device != "meta" and torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device) if autocast else weight.dtype
    states = head.transform(hidden_states).flatten(0, 1).to(dtype)
    if not torch.is_grad_enabled():
        states, weight = states.detach(), weight.detach()
    total, losses = ChunkedCrossEntropy.apply(
        states,
        weight,
        targets.flatten(),
        head.config.number_token_id,
        head.config.num_tokens,
        dtype,
    )
    return total, losses.view(targets.shape)


class ChunkedCrossEntropy(torch.autograd.Function):
    """Cross-entropy of the scores `states @ weight.t()`, those of one chunk of positions at a time.

    Gradients are made along with the loss, so that backward has only to scale them: no score is
    kept for it or computed twice. As the loss is a sum, and no loss scale has come in yet, they
    are of a size that half precision holds.
    """

    @staticmethod
    def forward(
        ctx: Any,
        states: torch.Tensor,
        weight: torch.Tensor,
        targets: torch.Tensor,
        number_token_id: int,
        num_tokens: int,
        dtype: torch.dtype,
    ) -> Losses:
        """Sum the losses, and make the gradients.

        Args:
            ctx: keeps the gradients.
            states: input of the last map, `(positions, hidden_size)`.
            weight: the last map, `(vocab_size, hidden_size)`.
            targets: token ids, `(positions,)`; −100 is no target.
            number_token_id: a row of the weight that is no token.
            num_tokens: rows from here on are no tokens either.
            dtype: type of the products.

        Returns:
            The sum, and the loss of each target, `(positions,)`, without a gradient.
        """
        needs_states, needs_weight = ctx.needs_input_grad[:2]
        matrix, full = weight.to(dtype), torch.promote_types(dtype, torch.float32)
        losses = torch.zeros(targets.shape, dtype=full, device=targets.device)
        by_states = torch.empty_like(states, dtype=dtype) if needs_states else None
        by_weight = torch.zeros_like(weight, dtype=full) if needs_weight else None
        rows = _rows_of_chunk(weight)
        for start in range(0, len(targets), rows):
            chunk = slice(start, min(start + rows, len(targets)))
            known = (targets[chunk] != IGNORED_TOKEN)[:, None]
            # without a target, nothing of a position reaches the weight, NaN included
            inputs = torch.where(known, states[chunk], 0.0).to(dtype)
            # (chunk, vocabulary)
            scores = inputs @ matrix.t()
            scores[:, number_token_id] = torch.finfo(dtype).min
            scores[:, num_tokens:] = torch.finfo(dtype).min
            target = targets[chunk, None].masked_fill(~known, 0)
            needs_gradient = needs_states or needs_weight
            losses[chunk, None], by_scores = _cross_entropy_(scores, target, full, needs_gradient)
            losses[chunk, None] *= known
            if by_states is not None:
                by_states[chunk] = (by_scores @ matrix).masked_fill_(~known, 0.0)
            if by_weight is not None and dtype == full:
                by_weight.addmm_(by_scores.t(), inputs)
            elif by_weight is not None:
                by_weight += by_scores.t() @ inputs
            # before there are others
            del scores, by_scores
        ctx.save_for_backward(by_states, by_weight)
        ctx.dtypes = states.dtype, weight.dtype
        total, losses = losses.sum(), losses.float()
        ctx.mark_non_differentiable(losses)
        return total, losses

    @staticmethod
    def backward(ctx: Any, by_sum: torch.Tensor, _: Any) -> tuple[torch.Tensor | None, ...]:
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            raise RuntimeError(
                "the chunked token loss has no second derivative: leave out token_loss_function"
            )
        # a loss scale can exceed what half precision holds: it is applied in full precision
        gradients = [
            None if gradient is None else (gradient.to(by_sum.dtype) * by_sum).to(dtype)
            for gradient, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        ]
        return *gradients, None, None, None, None


def _cross_entropy_(
    scores: torch.Tensor, target: torch.Tensor, full: torch.dtype, needs_gradient: bool
) -> Losses:
    """Losses `(chunk, 1)` and their gradient by the scores, in whose memory it may stand."""
    log_probabilities = torch.log_softmax(scores, dim=-1, dtype=full)
    at_target = log_probabilities.gather(-1, target)
    if needs_gradient:
        # the probabilities, less 1 at the target
        by_scores = log_probabilities.exp_().scatter_(-1, target, at_target.expm1())
        scores = by_scores if scores.dtype == full else scores.copy_(by_scores)
    return -at_target, scores


def liger_token_loss(
    head: DNAGPTTokenHead, hidden_states: torch.Tensor, targets: torch.Tensor
) -> Losses:
    """Compute the loss of [`chunked_token_loss`] by liger-kernel, with the same arguments."""
    from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy

    if not _is_whole(head, hidden_states.device):
        return summed_cross_entropy(head(hidden_states), targets)
    # rows behind the tokens are the number position and padding
    weight = head.out_proj.weight[: head.config.number_token_id]
    states, device = head.transform(hidden_states).flatten(0, 1), hidden_states.device.type
    if torch.is_autocast_enabled(device):
        # autocast would cast the weight for each chunk
        dtype = torch.get_autocast_dtype(device)
        states, weight = states.to(dtype), weight.to(dtype)
    losses = liger_fused_linear_cross_entropy(
        states,
        weight,
        targets.flatten(),
        ignore_index=IGNORED_TOKEN,
        reduction="none",
        accum_dtype=torch.float32,
    )
    return losses.sum(), losses.detach().view(targets.shape)


def _is_whole(head: DNAGPTTokenHead, device: torch.device) -> bool:
    """Tell whether the last map is nothing but a product with its weight."""
    layer, weight = head.out_proj, head.out_proj.weight
    if (
        # FSDP2 makes a class of its own from that of a layer
        isinstance(layer, nn.Linear)
        and type(weight) in (nn.Parameter, torch.Tensor, FakeTensor)
        and weight.shape == (head.config.vocab_size, head.config.hidden_size)
        and weight.device == device
    ):
        return True
    logger.warning_once(
        "token_head.out_proj is an adapter or one part of a layer: the logits are computed all the "
        "same, and are not returned"
    )
    return False


def _rows_of_chunk(weight: torch.Tensor) -> int:
    """Positions whose scores in full precision take 32 MB, or 128 MB on an accelerator.

    Fake tensors stand for those of an accelerator, whose memory they plan.
    """
    # with each chunk the gradient by the weight is read and written once, which an accelerator
    # needs as long for as for the products of a small one
    is_processor = weight.device.type == "cpu" and not isinstance(weight, FakeTensor)
    size = 2**25 if is_processor else 2**27
    return max(1, size // (4 * len(weight)))
