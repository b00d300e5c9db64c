"""DNAGPT: a decoder that reads and writes DNA and numbers in one stream (arXiv:2307.05628)."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.cache_utils import Cache, DynamicCache
from transformers.generation import (
    GenerateDecoderOnlyOutput,
    GenerationConfig,
    GenerationMixin,
    LogitsProcessor,
    LogitsProcessorList,
)
from transformers.masking_utils import create_causal_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import (
    BaseModelOutputWithPast,
    CausalLMOutputWithPast,
    SequenceClassifierOutputWithPast,
)
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, PreTrainedModel
from transformers.utils import ModelOutput, logging
from transformers.utils.generic import can_return_tuple

from .configuration_dnagpt import IGNORED_TOKEN, DNAGPTConfig

logger = logging.get_logger(__name__)

# Names of these arguments differ between releases of Transformers 5
_CAUSAL_MASK_ARGUMENTS = frozenset(inspect.signature(create_causal_mask).parameters)
# What Transformers calls keys and values of earlier positions, since 5.24 and before
CACHE_NAME = "cache" if "cache" in _CAUSAL_MASK_ARGUMENTS else "past_key_values"


@dataclass
class DNAGPTOutput(CausalLMOutputWithPast):
    """Output of [`DNAGPTForMultiTask`].

    Args:
        loss (`torch.FloatTensor` of shape `(1,)`, *optional*):
            `number_loss_weight * number_loss + token_loss`, with `labels` or `number_labels`.
        logits (`torch.FloatTensor` of shape `(batch, length, vocab_size)`):
            Scores of the token at the next position. Entries that are no tokens hold the lowest
            finite value of the type. None with `skip_logits`.
        past_key_values (`Cache`, *optional*):
            Keys and values, with `use_cache`; since Transformers 5.24 `cache`.
        hidden_states (`tuple(torch.Tensor)`, *optional*):
            Embeddings and the output of each layer, `(batch, length, hidden_size)` each.
        attentions (`tuple(torch.Tensor)`, *optional*):
            Attention maps of each layer, `(batch, heads, length, length)` each.
        token_loss (`torch.FloatTensor` of shape `(1,)`, *optional*):
            Cross-entropy in nats per token target; 0 when there is none.
        number_loss (`torch.FloatTensor` of shape `(1,)`, *optional*):
            Mean squared error over number targets; 0 when there is none.
        number_predictions (`torch.FloatTensor` of shape `(batch, length)`):
            The number at the next position, should a number stand there.
        token_losses (`torch.FloatTensor` of shape `(batch, length)`, *optional*):
            Cross-entropy in nats of the token at the next position, 0 where it is no target;
            with `labels`. For logs: no gradient flows through it.
    """

    token_loss: torch.Tensor | None = None
    number_loss: torch.Tensor | None = None
    number_predictions: torch.Tensor | None = None
    token_losses: torch.Tensor | None = None


@dataclass
class DNAGPTGenerateOutput(GenerateDecoderOnlyOutput):
    """Output of [`DNAGPTForMultiTask.generate`] with `return_dict_in_generate=True`.

    Args:
        number_values (`torch.FloatTensor` of shape `(batch, length)`):
            The number at each position of `sequences` that holds one, 0 elsewhere.
    """

    number_values: torch.Tensor | None = None


def eager_attention_forward(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute attention in plain PyTorch, the one implementation that returns its maps.

    Args:
        module (`nn.Module`): The attention layer, for its mode.
        query, key, value (`torch.Tensor` of shape `(batch, heads, length, head_dim)`): As named.
        attention_mask (`torch.Tensor`, *optional*):
            Added to the scores, `(batch, 1, query length, key length)`.
        scaling (`float`): Factor of the scores.
        dropout (`float`, defaults to 0.0): Dropout on the probabilities.

    Returns:
        The states `(batch, length, heads, head_dim)` and the maps
        `(batch, heads, query length, key length)`.
    """
    # (batch, heads, query, key)
    weights = torch.matmul(query, key.transpose(2, 3)) * scaling
    if attention_mask is not None:
        weights = weights + attention_mask
    weights = nn.functional.softmax(weights, dim=-1, dtype=torch.float32).to(query.dtype)
    weights = nn.functional.dropout(weights, p=dropout, training=module.training)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), weights


# (hidden states, weight, targets, number_token_id, num_tokens) to the sum of the losses and, unless
# they are not known, the loss of each target
TokenLossFunction = Callable[
    [torch.Tensor, torch.Tensor, torch.Tensor, int, int], tuple[torch.Tensor, torch.Tensor | None]
]


def chunked_token_loss(
    hidden_states: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    number_token_id: int,
    num_tokens: int,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Sum the cross-entropy of the scores `hidden_states @ weight.t()`, in chunks of positions.

    Args:
        hidden_states (`torch.Tensor` of shape `(positions, hidden_size)`): Input of the last map.
        weight (`torch.Tensor` of shape `(vocab_size, hidden_size)`): The last map.
        targets (`torch.LongTensor` of shape `(positions,)`): Token ids; −100 is no target.
        number_token_id (`int`): A row of the weight that is no token.
        num_tokens (`int`): Rows from here on are no tokens either.

    Returns:
        The sum over the targets in nats, and the loss of each, `(positions,)`, through which no
        gradient flows; 0 where there is no target.
    """
    device = hidden_states.device.type
    # cast here, since the casts of autocast are kept for others, who would miss their gradient
    autocast = device != "meta" and torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device) if autocast else weight.dtype
    if not torch.is_grad_enabled():
        hidden_states, weight = hidden_states.detach(), weight.detach()
    return ChunkedTokenLoss.apply(
        hidden_states, weight, targets, number_token_id, num_tokens, dtype
    )


class ChunkedTokenLoss(torch.autograd.Function):
    """Sum of the losses, and each of them, where the scores of one chunk exist at a time.

    Gradients are made along with the loss, so that backward has only to scale them: no score is
    kept for it or computed twice. As the loss is a sum, and no loss scale has come in yet, they
    are of a size that half precision holds.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden_states: torch.Tensor,
        weight: torch.Tensor,
        targets: torch.Tensor,
        number_token_id: int,
        num_tokens: int,
        dtype: torch.dtype,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        needs_hidden_states, needs_weight = ctx.needs_input_grad[:2]
        matrix = weight.to(dtype)
        full = torch.promote_types(dtype, torch.float32)
        losses = torch.zeros(targets.shape, dtype=full, device=targets.device)
        by_states = torch.empty_like(hidden_states, dtype=dtype) if needs_hidden_states else None
        by_weight = torch.zeros_like(weight, dtype=full) if needs_weight else None
        rows = _rows_of_chunk(weight)
        for start in range(0, len(targets), rows):
            chunk = slice(start, min(start + rows, len(targets)))
            known = (targets[chunk] != IGNORED_TOKEN)[:, None]
            # without a target, nothing of a position reaches the weight, NaN included
            states = torch.where(known, hidden_states[chunk], 0.0).to(dtype)
            # (chunk, vocabulary)
            scores = states @ matrix.t()
            scores[:, number_token_id] = torch.finfo(dtype).min
            scores[:, num_tokens:] = torch.finfo(dtype).min
            target = targets[chunk, None].masked_fill(~known, 0)
            needs_gradient = needs_hidden_states or needs_weight
            losses[chunk, None], by_scores = _cross_entropy_(scores, target, full, needs_gradient)
            losses[chunk, None] *= known
            if by_states is not None:
                by_states[chunk] = (by_scores @ matrix).masked_fill_(~known, 0.0)
            if by_weight is not None:
                _add_product(by_weight, by_scores.t(), states)
            # before there are others
            del scores, by_scores
        ctx.save_for_backward(by_states, by_weight)
        ctx.dtypes = hidden_states.dtype, weight.dtype
        total, losses = losses.sum(), losses.float()
        ctx.mark_non_differentiable(losses)
        return total, losses

    @staticmethod
    def backward(ctx: Any, by_sum: torch.Tensor, _: Any) -> tuple[torch.Tensor | None, ...]:
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            raise RuntimeError(
                "the token loss has no second derivative without logits: leave out skip_logits"
            )
        # a loss scale can exceed what half precision holds: it is applied in full precision
        gradients = [
            None if gradient is None else (gradient.to(by_sum.dtype) * by_sum).to(dtype)
            for gradient, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        ]
        return *gradients, None, None, None, None


def _rows_of_chunk(weight: torch.Tensor) -> int:
    """Positions whose scores in full precision take 32 MB, or 128 MB on an accelerator.

    Fake tensors stand for those of an accelerator, whose memory they plan.
    """
    # with each chunk the gradient by the weight is read and written once, which an accelerator
    # needs as long for as for the products of a small one
    is_processor = weight.device.type == "cpu" and not _is_without_values(weight)
    size = 2**25 if is_processor else 2**27
    return max(1, size // (4 * len(weight)))


def _cross_entropy_(
    scores: torch.Tensor, target: torch.Tensor, full: torch.dtype, needs_gradient: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses `(chunk, 1)` and their gradient by the scores, in whose memory it may stand."""
    log_probabilities = torch.log_softmax(scores, dim=-1, dtype=full)
    at_target = log_probabilities.gather(-1, target)
    if needs_gradient:
        # the probabilities, less 1 at the target
        by_scores = log_probabilities.exp_().scatter_(-1, target, at_target.expm1())
        scores = by_scores if scores.dtype == full else scores.copy_(by_scores)
    return at_target.neg_(), scores


def _add_product(total: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> None:
    """Add `left @ right` to a total, which may be of higher precision."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right


def summed_cross_entropy(
    logits: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum the cross-entropy of logits in nats.

    Args:
        logits (`torch.Tensor` of shape `(batch, length, vocab_size)`): Scores of tokens.
        targets (`torch.LongTensor` of shape `(batch, length)`): Token ids; −100 is no target.

    Returns:
        The sum, and the loss of each target, `(batch, length)`, without a gradient.
    """
    losses = nn.functional.cross_entropy(
        logits.float().flatten(0, 1),
        targets.flatten(),
        ignore_index=IGNORED_TOKEN,
        reduction="none",
    ).view(targets.shape)
    return losses.sum(), losses.detach()


class DNAGPTProjection(nn.Module):
    """Linear, SiLU, layer norm, linear: the shape of the number embedding and of both heads."""

    def __init__(self, config: DNAGPTConfig, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_proj = nn.Linear(in_features, config.hidden_size, bias=False)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps, bias=False)
        self.out_proj = nn.Linear(config.hidden_size, out_features, bias=False)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return self.out_proj(self.transform(hidden_states))

    def transform(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Apply all but the last linear map: `(…, in_features)` to `(…, hidden_size)`."""
        return self.norm(nn.functional.silu(self.in_proj(hidden_states)))


class DNAGPTTokenHead(DNAGPTProjection):
    """The head that scores the next token, or gives its loss without the scores of all positions.

    Args:
        config ([`DNAGPTConfig`]): Sizes of the model.
    """

    def __init__(self, config: DNAGPTConfig) -> None:
        super().__init__(config, config.hidden_size, config.vocab_size)
        self.config = config

    def forward(
        self,
        hidden_states: torch.Tensor,
        targets: torch.Tensor | None = None,
        token_loss_function: TokenLossFunction = chunked_token_loss,
    ) -> Any:
        """Score the next token, or sum the loss of targets without the scores of all positions.

        Args:
            hidden_states (`torch.Tensor` of shape `(batch, length, hidden_size)`): Last states.
            targets (`torch.LongTensor` of shape `(batch, length)`, *optional*):
                Token ids at the next positions; −100 is no target.
            token_loss_function (`Callable`): Implementation of the loss.

        Returns:
            `(batch, length, vocab_size)` scores; with targets the sum of their losses, and each.
        """
        if targets is None:
            return self._scores(hidden_states)
        # the weight is reached in the forward of this module, so that a framework that has spread
        # it over processes learns that it is needed here
        weight = self.out_proj.weight
        if not self._is_whole(weight, hidden_states.device):
            logger.warning_once(
                "token_head.out_proj is an adapter or one part of a layer: skip_logits computes "
                "the logits all the same, and does not return them"
            )
            return summed_cross_entropy(self._scores(hidden_states), targets)
        flat, where = targets.flatten(), None
        hidden_states = hidden_states.flatten(0, 1)
        if _are_values_known(flat):
            # Positions without a target are left out. An accelerator computes them along: how many
            # they are is known only when it has worked off all that it was given before.
            where = (flat != IGNORED_TOKEN).nonzero()[:, 0]
            flat, hidden_states = flat[where], hidden_states.index_select(0, where)
        total, losses = token_loss_function(
            self.transform(hidden_states),
            weight,
            flat,
            self.config.number_token_id,
            self.config.num_tokens,
        )
        if losses is not None and where is not None:
            losses = losses.new_zeros(targets.numel()).index_copy_(0, where, losses)
        return total, None if losses is None else losses.view(targets.shape)

    def _scores(self, hidden_states: torch.Tensor) -> torch.Tensor:
        weight = self.out_proj.weight
        states = self.transform(hidden_states)
        one_state = states.numel() == states.shape[-1] and _are_values_known(states)
        if one_state and not torch.is_grad_enabled() and self._is_whole(weight, states.device):
            # MKL reads a wide map twice as fast in blocks of rows as in one product with a vector
            blocks = weight.view(math.gcd(len(weight), 64), -1, weight.shape[1])
            scores = torch.bmm(blocks, states.view(1, 1, -1).mT.expand(len(blocks), -1, 1))
            scores = scores.view(*states.shape[:-1], -1)
        else:
            scores = self.out_proj(states)
        lowest = torch.finfo(scores.dtype).min
        scores[..., self.config.number_token_id] = lowest
        scores[..., self.config.num_tokens :] = lowest
        return scores

    def _is_whole(self, weight: torch.Tensor, device: torch.device) -> bool:
        """Tell whether the last map is nothing but a product with this weight."""
        return (
            # FSDP2 makes a class of its own from that of a layer
            isinstance(self.out_proj, nn.Linear)
            and type(self.out_proj).forward is nn.Linear.forward
            and type(weight) in (nn.Parameter, torch.Tensor, FakeTensor)
            and weight.shape == (self.config.vocab_size, self.config.hidden_size)
            and weight.device == device
        )


class DNAGPTPositionEmbedding(nn.Embedding):
    """Adds the embeddings of positions to those of tokens and numbers.

    As a module it has its place in the pipeline plan: the stages behind the first one, which get
    hidden states in place of embeddings, must not add positions again.
    """

    def forward(  # type: ignore[override]
        self, inputs_embeds: torch.Tensor, position_ids: torch.Tensor
    ) -> torch.Tensor:
        return inputs_embeds + super().forward(position_ids)


class DNAGPTAttention(nn.Module):
    """Causal multi-head attention."""

    def __init__(self, config: DNAGPTConfig, layer_idx: int) -> None:
        super().__init__()
        self.config = config
        self.layer_idx = layer_idx
        self.head_dim = config.hidden_size // config.num_attention_heads
        self.scaling = self.head_dim**-0.5
        self.attention_dropout = config.attention_dropout
        self.is_causal = True
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.o_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        cache_position: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        batch_and_length = hidden_states.shape[:-1]
        # the number of heads is left open: under tensor parallelism each rank holds a part
        by_head = (*batch_and_length, -1, self.head_dim)
        # (batch, heads, length, head_dim)
        query = self.q_proj(hidden_states).view(by_head).transpose(1, 2)
        key = self.k_proj(hidden_states).view(by_head).transpose(1, 2)
        value = self.v_proj(hidden_states).view(by_head).transpose(1, 2)
        if past_key_values is not None:
            key, value = past_key_values.update(
                key, value, self.layer_idx, {"cache_position": cache_position}
            )
        # Transformers looks for `ALL_ATTENTION_FUNCTIONS.get_interface(`, or in 5.0 for the look-up
        # below, in this file to learn that the implementation can be set on a loaded model
        attention: Callable[..., Any] = eager_attention_forward
        if self.config._attn_implementation != "eager":
            attention = ALL_ATTENTION_FUNCTIONS[self.config._attn_implementation]
        output, weights = attention(
            self,
            query,
            key,
            value,
            attention_mask,
            dropout=self.attention_dropout if self.training else 0.0,
            scaling=self.scaling,
            **kwargs,
        )
        return self.o_proj(output.reshape(*batch_and_length, -1).contiguous()), weights


class DNAGPTMLP(nn.Module):
    """Two linear maps with an activation between them."""

    def __init__(self, config: DNAGPTConfig) -> None:
        super().__init__()
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.act_fn = ACT2FN[config.hidden_act]
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return self.down_proj(self.act_fn(self.up_proj(hidden_states)))


class DNAGPTDecoderLayer(GradientCheckpointingLayer):
    """A pre-norm decoder layer."""

    def __init__(self, config: DNAGPTConfig, layer_idx: int) -> None:
        super().__init__()
        self.input_layernorm = nn.LayerNorm(
            config.hidden_size, eps=config.layer_norm_eps, bias=False
        )
        self.self_attn = DNAGPTAttention(config, layer_idx)
        self.post_attention_layernorm = nn.LayerNorm(
            config.hidden_size, eps=config.layer_norm_eps, bias=False
        )
        self.mlp = DNAGPTMLP(config)
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        cache_position: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        attended, weights = self.self_attn(
            self.input_layernorm(hidden_states),
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            cache_position=cache_position,
            **kwargs,
        )
        hidden_states = hidden_states + self.dropout(attended)
        transformed = self.mlp(self.post_attention_layernorm(hidden_states))
        return hidden_states + self.dropout(transformed), weights


class DNAGPTPreTrainedModel(PreTrainedModel):
    """Initialization of weights, loading, and the features that all DNAGPT models support."""

    config_class = DNAGPTConfig
    base_model_prefix = "model"
    # a checkpoint of one class is loaded by the others: what they lack is missing, the rest is not
    _keys_to_ignore_on_load_unexpected = [r"^(token_head|number_head|score)\."]
    supports_gradient_checkpointing = True
    _no_split_modules = ["DNAGPTDecoderLayer"]
    _skip_keys_device_placement = ["past_key_values", "cache"]
    _supports_flash_attn = True
    _supports_sdpa = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True
    # token losses and number losses are means over different counts, so that Trainer must average
    # over accumulation steps instead of handing in one count
    accepts_loss_kwargs = False

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: Any, *model_args: Any, **kwargs: Any
    ) -> Any:
        """Load a model as Transformers does, but from safetensors alone: a pickle can run code.

        Raises:
            ValueError: `use_safetensors=False` is given.
            OSError: the folder has no safetensors file.
        """
        if not kwargs.setdefault("use_safetensors", True):
            raise ValueError(
                "use_safetensors=False would load a pickle, which can run code: save the model as "
                "safetensors, or turn an original .pth file into a folder with dnagpt convert"
            )
        return super().from_pretrained(pretrained_model_name_or_path, *model_args, **kwargs)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        # GPT-2 keeps the variance of the residual stream by scaling what is added to it
        std = self.config.initializer_range / math.sqrt(2 * self.config.num_hidden_layers)
        if isinstance(module, DNAGPTAttention):
            init.normal_(module.o_proj.weight, mean=0.0, std=std)
        elif isinstance(module, DNAGPTMLP):
            init.normal_(module.down_proj.weight, mean=0.0, std=std)

    def resize_token_embeddings(
        self,
        new_num_tokens: int | None = None,
        pad_to_multiple_of: int | None = None,
        mean_resizing: bool = True,
    ) -> nn.Embedding:
        """Resize the vocabulary to `new_num_tokens` tokens, all of which can be generated.

        Args:
            new_num_tokens (`int`, *optional*): Entries of the tokenizer, `len(tokenizer)`.
            pad_to_multiple_of (`int`, *optional*): Add unused rows up to a multiple of this.
            mean_resizing (`bool`, defaults to `True`):
                Whether new rows start around the mean of the old ones.

        Returns:
            `nn.Embedding`: the token embedding, `(vocab_size, hidden_size)`.
        """
        embeddings = super().resize_token_embeddings(
            new_num_tokens, pad_to_multiple_of, mean_resizing
        )
        if new_num_tokens is not None:
            self.config.num_tokens = new_num_tokens
        return embeddings


class DNAGPTModel(DNAGPTPreTrainedModel):
    """The decoder without a head: hidden states of a stream of tokens and numbers.

    Args:
        config ([`DNAGPTConfig`]): Sizes of the model.
    """

    def __init__(self, config: DNAGPTConfig) -> None:
        super().__init__(config)
        # the row of the number position stays zero: numbers enter through number_embedding
        self.embed_tokens = nn.Embedding(
            config.vocab_size, config.hidden_size, padding_idx=config.number_token_id
        )
        self.embed_positions = DNAGPTPositionEmbedding(
            config.max_position_embeddings, config.hidden_size
        )
        self.number_embedding = DNAGPTProjection(config, 1, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.layers = nn.ModuleList(
            DNAGPTDecoderLayer(config, layer_idx) for layer_idx in range(config.num_hidden_layers)
        )
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps, bias=False)
        self.gradient_checkpointing = False
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        number_values: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        r"""
        Args:
            input_ids (`torch.LongTensor` of shape `(batch, length)`, *optional*):
                Token ids; `number_token_id` where a number stands.
            attention_mask (`torch.Tensor` of shape `(batch, past + length)`, *optional*):
                1 for real positions, 0 for padding on either side.
            position_ids (`torch.LongTensor` of shape `(batch, length)`, *optional*):
                Positions; counted from the attention mask when absent. Rows in which they start
                again are packed: their parts do not see each other.
            number_values (`torch.FloatTensor` of shape `(batch, length)`, *optional*):
                The number at each position that holds one, ignored elsewhere. May be absent
                where there are none.
            past_key_values (`Cache`, *optional*): Keys and values of earlier positions.
            inputs_embeds (`torch.FloatTensor` of shape `(batch, length, hidden_size)`, *optional*):
                Embeddings of tokens and numbers in place of `input_ids`.
            use_cache (`bool`, *optional*): Whether to return keys and values.
            output_attentions (`bool`, *optional*):
                Whether to return attention maps; needs `attn_implementation="eager"`.
            output_hidden_states (`bool`, *optional*): Whether to return the states of all layers.

        Returns:
            [`BaseModelOutputWithPast`]: `last_hidden_state`, `(batch, length, hidden_size)`.

        Raises:
            ValueError: if the sequence is longer than the model's positions, or inputs exclude
                each other.
        """
        output_attentions = _default(output_attentions, self.config.output_attentions)
        output_hidden_states = _default(output_hidden_states, self.config.output_hidden_states)
        use_cache = _default(use_cache, self.config.use_cache)
        if self.gradient_checkpointing and self.training:
            use_cache = False
        # generate() of Transformers 5.24 calls it so
        cache = kwargs.pop("cache", past_key_values)
        if use_cache and cache is None:
            cache = DynamicCache(config=self.config)
        past = 0 if cache is None else cache.get_seq_length()
        self._check_inputs(
            input_ids, inputs_embeds, number_values, attention_mask, position_ids, past
        )
        if inputs_embeds is None:
            inputs_embeds = self._embed(input_ids, number_values)
        # generate() of Transformers 5.0 counts these itself
        cache_position = kwargs.pop("cache_position", None)
        if cache_position is None:
            length = inputs_embeds.shape[1]
            cache_position = torch.arange(length, device=inputs_embeds.device) + past
        inputs_embeds, position_ids, causal_mask = self._mask_and_positions(
            inputs_embeds, attention_mask, position_ids, cache, cache_position
        )
        hidden_states = self.dropout(self.embed_positions(inputs_embeds, position_ids))
        states = [hidden_states] if output_hidden_states else None
        attentions: list[torch.Tensor] | None = [] if output_attentions else None
        for layer in self.layers:
            hidden_states, weights = layer(
                hidden_states,
                attention_mask=causal_mask,
                past_key_values=cache,
                cache_position=cache_position,
                position_ids=position_ids,
                **kwargs,
            )
            if states is not None:
                states.append(hidden_states)
            if attentions is not None:
                attentions.append(weights)
        hidden_states = self.norm(hidden_states)
        if states is not None:
            states[-1] = hidden_states
        if attentions and attentions[0] is None:
            attentions = None
            logger.warning_once(
                f"{self.config._attn_implementation} attention returns no maps: call "
                "model.set_attn_implementation('eager') first"
            )
        return BaseModelOutputWithPast(
            last_hidden_state=hidden_states,
            hidden_states=None if states is None else tuple(states),
            attentions=None if attentions is None else tuple(attentions),
            **{CACHE_NAME: cache},
        )

    def embed(
        self, input_ids: torch.Tensor | None, number_values: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Embed tokens and numbers, without positions.

        Args:
            input_ids (`torch.LongTensor` of shape `(batch, length)`): Token ids.
            number_values (`torch.FloatTensor` of shape `(batch, length)`, *optional*):
                The number at each position that holds one.

        Returns:
            `torch.FloatTensor` of shape `(batch, length, hidden_size)`.

        Raises:
            ValueError: if an id has no embedding, or a number is missing or not finite.

        Example:

        ```python
        >>> from dnagpt_hf.presets import preset_config
        >>> model = DNAGPTModel(preset_config("dnagpt-test"))
        >>> model.embed(torch.tensor([[21, 34]])).shape
        torch.Size([1, 2, 32])

        ```
        """
        self._check_inputs(input_ids, None, number_values, None, None, 0)
        return self._embed(input_ids, number_values)

    def _embed(
        self, input_ids: torch.Tensor | None, number_values: torch.Tensor | None
    ) -> torch.Tensor:
        embeds = self.embed_tokens(input_ids)
        if number_values is None:
            return embeds
        is_number = (input_ids == self.config.number_token_id)[..., None]
        # every position is embedded, so that no shape depends on the count of numbers
        values = torch.where(is_number, number_values[..., None].to(embeds.dtype), 0.0)
        return torch.where(is_number, self.number_embedding(values), embeds)

    def _check_inputs(
        self,
        input_ids: torch.Tensor | None,
        inputs_embeds: torch.Tensor | None,
        number_values: torch.Tensor | None,
        attention_mask: torch.Tensor | None,
        position_ids: torch.Tensor | None,
        past: int | torch.Tensor,
    ) -> None:
        """Refuse inputs that would crash inside a kernel or be misread without a word.

        Shapes are always compared. Values of ids and numbers are looked at on the CPU alone, since
        an accelerator would have to finish its work first.
        """
        if inputs_embeds is not None:
            if input_ids is not None:
                raise ValueError("input_ids and inputs_embeds were both given: pass one of them")
            if number_values is not None:
                raise ValueError(
                    "number_values need input_ids, which say where numbers stand: with "
                    "inputs_embeds, pass the result of model.embed(input_ids, number_values)"
                )
            self._check_positions(inputs_embeds, attention_mask, position_ids, past)
            return
        if input_ids is None:
            raise ValueError("neither input_ids nor inputs_embeds was given: pass one of them")
        if not input_ids.numel():
            raise ValueError(
                f"input_ids of shape {tuple(input_ids.shape)} hold no token: leave out empty "
                "sequences"
            )
        if number_values is not None and number_values.shape != input_ids.shape:
            raise ValueError(
                f"number_values of shape {tuple(number_values.shape)} do not align with "
                f"input_ids of shape {tuple(input_ids.shape)}"
            )
        if _are_values_known(input_ids):
            self._check_ids_and_numbers(input_ids, number_values)
        self._check_positions(input_ids, attention_mask, position_ids, past)

    def _check_ids_and_numbers(
        self, input_ids: torch.Tensor, number_values: torch.Tensor | None
    ) -> None:
        largest, number_token_id = int(input_ids.max()), self.config.number_token_id
        if largest < number_token_id:
            return
        if largest >= self.embed_tokens.num_embeddings:
            raise ValueError(
                f"input_ids hold {largest}, but the model has "
                f"{self.embed_tokens.num_embeddings:,} entries: use the tokenizer of the checkpoint"
            )
        is_number = input_ids == number_token_id
        if number_values is None and is_number.any():
            raise ValueError(
                "input_ids hold numbers, but number_values is missing: pass all that the "
                "tokenizer returns, as in model(**tokenizer(text, return_tensors='pt'))"
            )
        if number_values is None:
            return
        # in the precision of the model, in which a large number may be infinite
        values = number_values.to(self.embed_tokens.weight.dtype)
        is_wrong = is_number & ~values.isfinite()
        if is_wrong.any():
            row, position = is_wrong.nonzero()[0].tolist()
            raise ValueError(
                f"number {float(number_values[row, position])} at position {position} of row {row} "
                "is not finite: leave it out or replace it"
            )

    def _check_positions(
        self,
        inputs: torch.Tensor,
        attention_mask: torch.Tensor | None,
        position_ids: torch.Tensor | None,
        past: int | torch.Tensor,
    ) -> None:
        """Refuse positions that have no embedding."""
        if torch.compiler.is_compiling() or _is_without_values(inputs):
            return
        length, limit = inputs.shape[1], self.config.max_position_embeddings
        if position_ids is None:
            longest = length + int(past)
            if longest > limit and attention_mask is not None and attention_mask.ndim == 2:
                # padding takes no position
                longest = int((attention_mask != 0).sum(-1).max())
        elif position_ids.device.type == "cpu" or length > 1:
            # an accelerator does not wait for one more token, whose length generate() has checked
            lowest, highest = torch.aminmax(position_ids)
            longest = int(highest) + 1
            if lowest < 0:
                raise ValueError(f"position_ids hold {int(lowest)}: positions start at 0")
        else:
            return
        if longest > limit:
            raise ValueError(_too_long(longest, self.config))

    def _mask_and_positions(
        self,
        inputs_embeds: torch.Tensor,
        attention_mask: torch.Tensor | None,
        position_ids: torch.Tensor | None,
        cache: Cache | None,
        cache_position: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, Any]:
        """Embeddings without padding, positions `(batch, length)`, and the attention mask."""
        length = inputs_embeds.shape[1]
        positions = cache_position[None] if position_ids is None else position_ids
        if attention_mask is not None and attention_mask.ndim == 2:
            attention_mask = attention_mask.to(device=inputs_embeds.device, dtype=torch.bool)
            if position_ids is None:
                positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)[:, -length:]
            if _are_values_known(attention_mask) and attention_mask.all():
                # without padding there is nothing to mask
                attention_mask = None
            else:
                # whatever stands at padded positions, NaN included, must not reach the others
                inputs_embeds = inputs_embeds.masked_fill(~attention_mask[:, -length:, None], 0.0)
        if length == 1 and attention_mask is None and not (cache and cache.is_compileable):
            # one more token sees all that there is
            return inputs_embeds, positions, None
        packed = None
        if position_ids is not None and length > 1:
            packed = self._packed_positions(positions, attention_mask, cache)
        if packed is not None:
            # without a mask and a cache, Transformers reads the packing from the positions
            positions, attention_mask, cache = packed, None, None
        elif attention_mask is not None and attention_mask.is_meta:
            # Transformers would look for padding in it
            attention_mask = None
        arguments = {
            "config": self.config,
            "input_embeds": inputs_embeds,
            "inputs_embeds": inputs_embeds,
            "attention_mask": attention_mask,
            CACHE_NAME: cache,
            "cache_position": cache_position,
            "position_ids": positions,
        }
        known = {name: arguments[name] for name in arguments if name in _CAUSAL_MASK_ARGUMENTS}
        return inputs_embeds, positions, create_causal_mask(**known)

    def _packed_positions(
        self,
        position_ids: torch.Tensor,
        attention_mask: torch.Tensor | None,
        cache: Cache | None,
    ) -> torch.Tensor | None:
        """Positions with each padded one a record of its own, or None if no row is packed."""
        if cache is not None and cache.get_seq_length() > 0:
            return None
        real = torch.ones_like(position_ids, dtype=torch.bool)
        if attention_mask is not None:
            if attention_mask.shape[1:] != position_ids.shape[1:]:
                return None
            real = attention_mask
            position_ids = position_ids.masked_fill(~real, 0)
        if torch.compiler.is_compiling() or _is_without_values(position_ids):
            # a graph must not depend on values: a row without a cache counts as packed
            return position_ids if cache is None else None
        starts_again = position_ids[:, 1:] != position_ids[:, :-1] + 1
        if not (starts_again & real[:, 1:] & real[:, :-1]).any():
            return None
        if len(position_ids) > 1 and "flash" in str(self.config._attn_implementation):
            raise ValueError(
                f"{self.config._attn_implementation} takes records apart in a batch of one only, "
                f"and this one has {len(position_ids)} packed rows: join them to one row"
            )
        return position_ids


def _are_values_known(tensor: torch.Tensor) -> bool:
    """Tell whether Python may look at values: not in a graph, not of fake tensors or on `meta`.

    An accelerator is left out as well: a look at its values would wait for all its work.
    """
    is_plain = type(tensor) is torch.Tensor and tensor.device.type == "cpu"
    return is_plain and not torch.compiler.is_compiling()


def _is_without_values(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor has a shape alone: on `meta`, or a fake tensor of any device."""
    return tensor.is_meta or isinstance(tensor, FakeTensor)


def _default(value: bool | None, default: bool) -> bool:
    return default if value is None else value


def _check_aligned(name: str, values: torch.Tensor, hidden_states: torch.Tensor) -> None:
    # values of another shape could be broadcast without a word
    if values.shape != hidden_states.shape[:2]:
        raise ValueError(
            f"{name} of shape {tuple(values.shape)} do not align with inputs of shape "
            f"{tuple(hidden_states.shape[:2])}: give one for each position"
        )


def _too_long(length: int, config: DNAGPTConfig) -> str:
    return (
        f"sequence of {length:,} tokens (up to {length * config.kmer_size:,} bp) exceeds the "
        f"model's {config.max_position_embeddings:,} positions: pass truncation=True to the "
        "tokenizer, a window of the sequence, or a smaller max_new_tokens"
    )


def _check_prompts_end(attention_mask: torch.Tensor | None) -> None:
    """Refuse padding behind a prompt, which would be continued as if it were part of it."""
    if attention_mask is None or attention_mask.ndim != 2:
        return
    padded = (attention_mask[:, -1] == 0) & attention_mask.any(-1)
    if padded.any():
        raise ValueError(
            f"prompt {int(padded.int().argmax())} of the batch has padding behind it: pad on the "
            "left, with padding_side='left' in the tokenizer"
        )


def _without_idle_mask(arguments: dict[str, Any]) -> dict[str, Any]:
    """Leave out a mask without padding, which would grow and be read at each step."""
    mask = arguments.get("attention_mask")
    if mask is None or mask.ndim != 2 or not mask.all():
        return arguments
    return {name: value for name, value in arguments.items() if name != "attention_mask"}


class GeneratedNumbers:
    """The numbers of a stream that grows as it is generated.

    Args:
        values (`torch.Tensor` of shape `(batch, length)`): Numbers of the prompt.
    """

    def __init__(self, values: torch.Tensor) -> None:
        self.steps = [values]
        self.length = values.shape[1]

    def append(self, values: torch.Tensor) -> None:
        """Add `(batch, new)` numbers behind the others."""
        self.steps.append(values.to(self.steps[0]))
        self.length += values.shape[1]

    def values(self, start: int = 0, end: int | None = None) -> torch.Tensor:
        """Give the numbers of positions `start` to `end`, `(batch, end - start)`."""
        end = self.length if end is None else end
        if (start, end) == (self.length - self.steps[-1].shape[1], self.length):
            return self.steps[-1]
        return torch.cat(self.steps, dim=-1)[:, start:end]


class NumberAfterInstruction(LogitsProcessor):
    """Lets nothing but a number follow `<M>`, or, where numbers cannot be written, bans `<M>`.

    Args:
        config ([`DNAGPTConfig`]): Ids of `<M>` and of the number position.
        allowed (`bool`): Whether numbers can be written.
    """

    def __init__(self, config: DNAGPTConfig, allowed: bool) -> None:
        self.instruction = config.number_instruction_token_id
        self.number = config.number_token_id
        self.allowed = allowed

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if not self.allowed:
            scores = scores.clone()
            scores[:, self.instruction] = -torch.inf
            return scores
        # behind a prompt of embeddings there is no id yet
        is_due = (input_ids[:, -1:] == self.instruction).any(-1, keepdim=True)
        if _are_values_known(is_due) and not is_due.any():
            return scores
        ids = torch.arange(scores.shape[-1], device=scores.device)
        only_number = torch.where(ids == self.number, 0.0, -torch.inf).to(scores.dtype)
        return torch.where(is_due.to(scores.device), only_number, scores)


class DNAGPTForMultiTask(DNAGPTPreTrainedModel, GenerationMixin):
    """DNAGPT with its two heads: the next token and the next number.

    Args:
        config ([`DNAGPTConfig`]): Sizes of the model.

    Example:

    ```python
    >>> import torch
    >>> from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
    >>> from dnagpt_hf.presets import preset_config
    >>> model = DNAGPTForMultiTask(preset_config("dnagpt-test"))
    >>> inputs = DNAGPTTokenizer()(["<R>ACGTAC<+><M>-0.5<=><M>"], return_tensors="pt")
    >>> model(**inputs).number_predictions.shape
    torch.Size([1, 7])

    ```
    """

    _tp_plan = {"token_head.out_proj": "colwise_rep"}
    _tied_weights_keys = {"token_head.out_proj.weight": "model.embed_tokens.weight"}

    def __init__(self, config: DNAGPTConfig) -> None:
        super().__init__(config)
        self.model = DNAGPTModel(config)
        self.token_head = DNAGPTTokenHead(config)
        self.number_head = DNAGPTProjection(config, config.hidden_size, 1)
        self.token_loss_function: TokenLossFunction = chunked_token_loss
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        return self.token_head.out_proj

    def set_output_embeddings(self, new_embeddings: nn.Linear) -> None:
        self.token_head.out_proj = new_embeddings

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        number_values: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        number_labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        skip_logits: bool = False,
        **kwargs: Any,
    ) -> DNAGPTOutput:
        r"""
        Inputs are those of [`DNAGPTModel`], and:

        Args:
            labels (`torch.LongTensor` of shape `(batch, length)`, *optional*):
                Token targets aligned with `input_ids`; they are shifted inside. −100 and
                `number_token_id` are ignored.
            number_labels (`torch.FloatTensor` of shape `(batch, length)`, *optional*):
                Number targets aligned with `input_ids`; they are shifted inside. NaN is ignored.
            logits_to_keep (`int` or `torch.Tensor`, *optional*):
                Compute both heads at the last so many positions only (0: at all), or at these.
            skip_logits (`bool`, defaults to `False`):
                Compute the losses of the labels without the logits of the whole batch, which take
                most of the memory of a training step.

        Returns:
            [`DNAGPTOutput`]

        Raises:
            ValueError: as [`DNAGPTModel`], or if labels do not align with the inputs, are given
                for logits that are not kept, or are missing where logits are skipped.

        `Trainer` evaluates a batch that has every kind of label in this signature, as
        [`~dnagpt_hf.pretraining.collator.DNAGPTDataCollator`] makes it; with a collator that gives
        `labels` alone, pass `TrainingArguments(label_names=["labels"])`.
        """
        # sequence parallelism hands in labels that are shifted already; Trainer would take a named
        # argument for a label that every batch must have
        shift_labels = kwargs.pop("shift_labels", None)
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            number_values=number_values,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            return_dict=True,
            **kwargs,
        )
        keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        hidden_states = outputs.last_hidden_state[:, keep, :]
        number_predictions = self.number_head(hidden_states).squeeze(-1)
        logits = None if skip_logits else self.token_head(hidden_states)
        losses: dict[str, torch.Tensor | None] = {}
        if labels is not None or shift_labels is not None or number_labels is not None:
            if hidden_states.shape[1] != outputs.last_hidden_state.shape[1]:
                raise ValueError("labels need the logits of all positions: leave logits_to_keep 0")
            losses = self._losses(
                hidden_states, logits, number_predictions, labels, shift_labels, number_labels
            )
        elif skip_logits:
            raise ValueError("skip_logits leaves nothing without labels: pass labels")
        return DNAGPTOutput(
            logits=logits,
            number_predictions=number_predictions,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            **losses,
            **{CACHE_NAME: outputs.get(CACHE_NAME)},
        )

    def _losses(
        self,
        hidden_states: torch.Tensor,
        logits: torch.Tensor | None,
        number_predictions: torch.Tensor,
        labels: torch.Tensor | None,
        shift_labels: torch.Tensor | None,
        number_labels: torch.Tensor | None,
    ) -> dict[str, torch.Tensor | None]:
        """Compute the losses of [`DNAGPTOutput`]; that of a kind without labels is 0."""
        token_loss = number_loss = hidden_states.new_zeros((), dtype=torch.float32)
        token_losses = None
        if labels is not None and shift_labels is None:
            _check_aligned("labels", labels, hidden_states)
            # the labels are shifted rather than the logits, which are far larger
            shift_labels = nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED_TOKEN)
        if shift_labels is not None:
            targets = shift_labels.to(hidden_states.device)
            targets = targets.masked_fill(targets == self.config.number_token_id, IGNORED_TOKEN)
            if logits is None:
                total, token_losses = self.token_head(
                    hidden_states, targets, self.token_loss_function
                )
            else:
                total, token_losses = summed_cross_entropy(logits, targets)
            token_loss = total / (targets != IGNORED_TOKEN).sum().clamp(min=1)
        if number_labels is not None:
            _check_aligned("number_labels", number_labels, hidden_states)
            numbers = nn.functional.pad(number_labels[:, 1:], (0, 1), value=torch.nan)
            number_loss = _mean_squared_error(number_predictions, numbers.to(hidden_states.device))
        return {
            "loss": self.config.number_loss_weight * number_loss + token_loss,
            "token_loss": token_loss,
            "number_loss": number_loss,
            "token_losses": token_losses,
        }

    def prepare_inputs_for_generation(
        self,
        input_ids: torch.Tensor,
        inputs_embeds: torch.Tensor | None = None,
        number_values: GeneratedNumbers | torch.Tensor | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        if isinstance(number_values, torch.Tensor):
            raise ValueError(
                "numbers can be carried by greedy search, sampling and beam search only: "
                "leave out the assistant model"
            )
        inputs = super().prepare_inputs_for_generation(
            input_ids, inputs_embeds=inputs_embeds, **kwargs
        )
        ids = inputs.get("input_ids")
        if number_values is None or ids is None:
            return inputs
        if _are_values_known(ids) and not (ids == self.config.number_token_id).any():
            return inputs
        end = number_values.length
        if input_ids.shape[1] < end:
            # a chunk of the prompt: the cache says how far the stream has been read
            end = int(kwargs[CACHE_NAME].get_seq_length()) + ids.shape[1]
        inputs["number_values"] = number_values.values(end - ids.shape[1], end)
        return inputs

    def _update_model_kwargs_for_generation(
        self, outputs: ModelOutput, model_kwargs: dict[str, Any], *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        numbers = model_kwargs.get("number_values")
        if numbers is not None:
            numbers.append(outputs.number_predictions[:, -1:])
        return super()._update_model_kwargs_for_generation(outputs, model_kwargs, *args, **kwargs)

    def _validate_generated_length(
        self, generation_config: GenerationConfig, *args: Any, **kwargs: Any
    ) -> None:
        super()._validate_generated_length(generation_config, *args, **kwargs)
        if generation_config.max_length > self.config.max_position_embeddings:
            raise ValueError(_too_long(generation_config.max_length, self.config))

    def _sample(
        self,
        input_ids: torch.Tensor,
        logits_processor: LogitsProcessorList,
        *args: Any,
        number_values: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Search greedily or sample, and let a number follow each `<M>`."""
        _check_prompts_end(kwargs.get("attention_mask"))
        kwargs = _without_idle_mask(kwargs)
        numbers = self._numbers_of_prompt(input_ids, number_values)
        logits_processor.append(NumberAfterInstruction(self.config, allowed=True))
        output = super()._sample(
            input_ids, logits_processor, *args, number_values=numbers, **kwargs
        )
        in_dict = isinstance(output, ModelOutput)
        sequences = output.sequences if in_dict else output
        is_number = sequences == self.config.number_token_id
        values = numbers.values(0, sequences.shape[1]).to(sequences.device)
        if in_dict:
            return DNAGPTGenerateOutput(**output, number_values=values.masked_fill(~is_number, 0.0))
        if is_number[:, input_ids.shape[1] :].any():
            logger.warning_once(
                "numbers were generated, but only ids are returned: pass "
                "return_dict_in_generate=True and read number_values"
            )
        return output

    def _beam_search(
        self,
        input_ids: torch.Tensor,
        logits_processor: LogitsProcessorList,
        *args: Any,
        number_values: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Search beams of tokens; a number has no probability by which beams could be ranked."""
        _check_prompts_end(kwargs.get("attention_mask"))
        numbers = self._numbers_of_prompt(input_ids, number_values)
        if (input_ids[:, -1] == self.config.number_instruction_token_id).any():
            raise ValueError(
                "a prompt ends in <M>, but beams cannot write numbers: pass num_beams=1"
            )
        logits_processor.append(NumberAfterInstruction(self.config, allowed=False))
        return super()._beam_search(
            input_ids, logits_processor, *args, number_values=numbers, **kwargs
        )

    def _numbers_of_prompt(
        self, input_ids: torch.Tensor, number_values: torch.Tensor | None
    ) -> GeneratedNumbers:
        if number_values is None:
            if (input_ids == self.config.number_token_id).any():
                raise ValueError(
                    "the prompt holds numbers, but number_values is missing: call "
                    "model.generate(**tokenizer(text, return_tensors='pt')), as pipelines and "
                    "streamers pass ids alone"
                )
            number_values = torch.zeros_like(input_ids, dtype=torch.float32)
        return GeneratedNumbers(number_values.float())


class DNAGPTForSequenceClassification(DNAGPTPreTrainedModel):
    """DNAGPT with a linear head over the whole record: classes, several labels, or numbers.

    `config.num_labels` and `config.problem_type` ("single_label_classification",
    "multi_label_classification", "regression") set the task; without a `problem_type`, one label or
    labels of a floating type mean regression and integer labels mean classes.
    `config.classifier_pooling` says whether the head reads the last real token or the mean.

    Args:
        config ([`DNAGPTConfig`]): Sizes of the model.

    Raises:
        LookupError: the configuration is that of a model that was fine-tuned in the token language,
            which has no such head, and no `problem_type` states that a new one is to be trained.
    """

    def __init__(self, config: DNAGPTConfig) -> None:
        in_language = "DNAGPTForMultiTask" in (getattr(config, "architectures", None) or ())
        if config.task and in_language and config.problem_type is None:
            # no ValueError, since pipelines wrap those in tracebacks of all classes they try
            raise LookupError(
                "this model was fine-tuned to answer in the token language and has no "
                "classification head: predict with dnagpt_hf.load(...).predict, or state a "
                "problem_type to train a new head"
            )
        super().__init__(config)
        self.num_labels = config.num_labels
        self.model = DNAGPTModel(config)
        self.score = nn.Linear(config.hidden_size, config.num_labels, bias=False)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        number_values: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutputWithPast:
        r"""
        Inputs are those of [`DNAGPTModel`], and:

        Args:
            labels (`torch.Tensor` of shape `(batch,)` or `(batch, num_labels)`, *optional*):
                Class indices, 0/1 per label, or numbers; NaN numbers are ignored.

        Returns:
            [`SequenceClassifierOutputWithPast`]: `logits` of shape `(batch, num_labels)`.

        Raises:
            ValueError: as [`DNAGPTModel`], or if labels do not fit the logits.
        """
        if (
            attention_mask is None
            and input_ids is not None
            and self.config.pad_token_id is not None
        ):
            attention_mask = (input_ids != self.config.pad_token_id).long()
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            number_values=number_values,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            return_dict=True,
            **kwargs,
        )
        logits = self.score(self._pool(outputs.last_hidden_state, attention_mask))
        return SequenceClassifierOutputWithPast(
            loss=None if labels is None else self._loss(logits, labels.to(logits.device)),
            logits=logits,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            **{CACHE_NAME: outputs.get(CACHE_NAME)},
        )

    def _pool(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Reduce `(batch, length, hidden)` states to `(batch, hidden)`."""
        if attention_mask is None:
            mean_pooling = self.config.classifier_pooling == "mean"
            return hidden_states.mean(1) if mean_pooling else hidden_states[:, -1]
        # (batch, length)
        real = attention_mask[:, -hidden_states.shape[1] :].to(hidden_states.device).bool()
        if self.config.classifier_pooling == "mean":
            total = hidden_states.masked_fill(~real[..., None], 0.0).sum(1)
            return total / real.sum(1, keepdim=True).clamp(min=1)
        last = (torch.arange(real.shape[1], device=real.device) * real).argmax(-1)
        return hidden_states[torch.arange(real.shape[0], device=real.device), last]

    def _loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        problem = self.config.problem_type
        if problem is None:
            is_regression = self.num_labels == 1 or labels.is_floating_point()
            problem = "regression" if is_regression else "single_label_classification"
        if problem == "single_label_classification":
            return nn.functional.cross_entropy(logits.float(), labels.view(-1))
        if labels.numel() != logits.numel():
            raise ValueError(
                f"labels of shape {tuple(labels.shape)} do not fit "
                f"logits of shape {tuple(logits.shape)} in {problem}"
            )
        labels = labels.view(logits.shape)
        if problem == "multi_label_classification":
            return nn.functional.binary_cross_entropy_with_logits(logits.float(), labels.float())
        return _mean_squared_error(logits, labels)


def _mean_squared_error(predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Average the squared error over the targets that are not NaN; 0 when all are."""
    known = ~targets.isnan()
    errors = torch.where(known, predictions.float() - targets.nan_to_num().float(), 0.0)
    return errors.square().sum() / known.sum().clamp(min=1)


DNAGPTModel.register_for_auto_class("AutoModel")
DNAGPTForMultiTask.register_for_auto_class("AutoModelForCausalLM")
DNAGPTForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")

__all__ = [
    "DNAGPTForMultiTask",
    "DNAGPTForSequenceClassification",
    "DNAGPTGenerateOutput",
    "DNAGPTModel",
    "DNAGPTOutput",
    "DNAGPTPreTrainedModel",
]
