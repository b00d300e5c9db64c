"""DNAGPT: a decoder that reads and writes DNA and numbers in one stream (arXiv:2307.05628)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.cache_utils import Cache, DynamicCache
from transformers.masking_utils import create_causal_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import (
    BaseModelOutputWithPast,
    CausalLMOutputWithPast,
    SequenceClassifierOutputWithPast,
)
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, PreTrainedModel
from transformers.models.opt.modeling_opt import eager_attention_forward
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs, logging
from transformers.utils.deprecation import deprecate_kwarg
from transformers.utils.generic import can_return_tuple

from .configuration_dnagpt import IGNORED_TOKEN, DNAGPTConfig
from .generation_dnagpt import (
    CACHE_NAME,
    CAUSAL_MASK_ARGUMENTS,
    DNAGPTGenerateOutput,
    DNAGPTGenerationMixin,
    are_values_known,
    check_aligned,
    too_long,
)

try:
    from transformers.utils.output_capturing import capture_outputs
except ImportError:  # in the first releases of Transformers 5
    from transformers.utils.generic import check_model_inputs as capture_outputs

logger = logging.get_logger(__name__)


def _renames_cache(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Take keys and values by their former name too, with the warning of the installed release."""
    if CACHE_NAME != "cache":
        return forward
    renamed = deprecate_kwarg("past_key_values", version="5.40.0", new_name=CACHE_NAME)
    return cast(Callable[..., Any], renamed(forward))


@dataclass
class DNAGPTOutput(CausalLMOutputWithPast):
    """Output of [`DNAGPTForMultiTask`].

    Args:
        loss (`torch.FloatTensor` of shape `(1,)`, *optional*):
            `number_loss_weight * number_loss + token_loss`, with `labels` or `number_labels`.
        logits (`torch.FloatTensor` of shape `(batch, length, vocab_size)`):
            Scores of the token at the next position. Entries that are no tokens hold the lowest
            finite value of the type. None with a `token_loss_function`.
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


class DNAGPTProjection(nn.Module):
    """Linear, SiLU, layer norm, linear: the shape of the number embedding and of both heads."""

    def __init__(self, config: DNAGPTConfig, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_proj = nn.Linear(in_features, config.hidden_size, bias=False)
        self.norm = _layer_norm(config)
        self.out_proj = nn.Linear(config.hidden_size, out_features, bias=False)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return self.out_proj(self.transform(hidden_states))

    def transform(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Apply all but the last linear map: `(…, in_features)` to `(…, hidden_size)`."""
        return self.norm(nn.functional.silu(self.in_proj(hidden_states)))


class DNAGPTTokenHead(DNAGPTProjection):
    """The head that scores the next token."""

    def __init__(self, config: DNAGPTConfig) -> None:
        super().__init__(config, config.hidden_size, config.vocab_size)
        self.config = config

    def forward(
        self,
        hidden_states: torch.Tensor,
        token_loss_function: "TokenLossFunction | None" = None,
        targets: torch.Tensor | None = None,
    ) -> Any:
        """Score the next token, or have a function compute its loss.

        Args:
            hidden_states (`torch.Tensor` of shape `(batch, length, hidden_size)`): Last states.
            token_loss_function (`Callable`, *optional*):
                Called with this head, the states and the targets. As it is called in here, a
                framework that has spread the weights over processes has gathered them.
            targets (`torch.LongTensor` of shape `(batch, length)`, *optional*):
                Token ids at the next positions; −100 is no target.

        Returns:
            `(batch, length, vocab_size)` scores; or what the function returns.
        """
        if token_loss_function is not None and targets is not None:
            return token_loss_function(self, hidden_states, targets)
        scores = super().forward(hidden_states)
        ids = torch.arange(scores.shape[-1], device=scores.device)
        is_no_token = (ids == self.config.number_token_id) | (ids >= self.config.num_tokens)
        # not in place: tensor parallelism gives a view, which autograd lets nobody write to
        return scores.masked_fill(is_no_token, torch.finfo(scores.dtype).min)


# Head, last states and targets to the sum of the losses in nats, and the loss of each target,
# `(batch, length)`, without a gradient
TokenLossFunction = Callable[
    [DNAGPTTokenHead, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]
]


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
    )
    return losses.sum(), losses.detach().view(targets.shape)


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
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        batch_and_length = hidden_states.shape[:-1]
        # the number of heads is left open: under tensor parallelism each rank holds a part
        by_head = (*batch_and_length, -1, self.head_dim)
        # (batch, heads, length, head_dim)
        query = self.q_proj(hidden_states).view(by_head).transpose(1, 2)
        key = self.k_proj(hidden_states).view(by_head).transpose(1, 2)
        value = self.v_proj(hidden_states).view(by_head).transpose(1, 2)
        cache = kwargs.pop(CACHE_NAME, None)
        if cache is not None:
            # a paged cache reads and writes these arguments
            key, value = cache.update(key, value, self.layer_idx, kwargs)
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
        self.input_layernorm = _layer_norm(config)
        self.self_attn = DNAGPTAttention(config, layer_idx)
        self.post_attention_layernorm = _layer_norm(config)
        self.mlp = DNAGPTMLP(config)
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(self, hidden_states: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        attended, _ = self.self_attn(self.input_layernorm(hidden_states), **kwargs)
        hidden_states = hidden_states + self.dropout(attended)
        transformed = self.mlp(self.post_attention_layernorm(hidden_states))
        return hidden_states + self.dropout(transformed)


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
    _can_record_outputs = {"hidden_states": DNAGPTDecoderLayer, "attentions": DNAGPTAttention}
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
        self, new_num_tokens: int | None = None, *args: Any, **kwargs: Any
    ) -> nn.Embedding:
        """Resize the vocabulary to `new_num_tokens` tokens, all of which can be generated.

        Args:
            new_num_tokens (`int`, *optional*): Entries of the tokenizer, `len(tokenizer)`.
            args, kwargs: `pad_to_multiple_of` and `mean_resizing` of Transformers.

        Returns:
            `nn.Embedding`: the token embedding, `(vocab_size, hidden_size)`.
        """
        embeddings = super().resize_token_embeddings(new_num_tokens, *args, **kwargs)
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
        self.norm = _layer_norm(config)
        self.gradient_checkpointing = False
        self.post_init()

    @_renames_cache
    @capture_outputs
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        number_values: torch.Tensor | None = None,
        cache: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> BaseModelOutputWithPast:
        r"""
        Args:
            input_ids (`torch.LongTensor` of shape `(batch, length)`, *optional*):
                Token ids; `number_token_id` where a number stands.
            attention_mask (`torch.Tensor` of shape `(batch, past + length)`, *optional*):
                1 for real positions, 0 for padding on either side. Or a mask of Transformers, which
                is used as it is, such as one of shape `(batch, 1, length, past + length)`.
            position_ids (`torch.LongTensor` of shape `(batch, length)`, *optional*):
                Positions; counted from the attention mask when absent. Rows in which they start
                again are packed: their parts do not see each other.
            number_values (`torch.FloatTensor` of shape `(batch, length)`, *optional*):
                The number at each position that holds one, ignored elsewhere. May be absent
                where there are none.
            cache (`Cache`, *optional*):
                Keys and values of earlier positions; before Transformers 5.24 `past_key_values`.
            inputs_embeds (`torch.FloatTensor` of shape `(batch, length, hidden_size)`, *optional*):
                Embeddings in place of `input_ids`. Where one is 0, as `embed_tokens` gives it for
                `number_token_id`, it becomes that of the number, if `number_values` are given; rows
                of numbers may be shorter, as PEFT puts virtual tokens in front.
            use_cache (`bool`, *optional*): Whether to return keys and values.
            output_attentions (`bool`, *optional*):
                Whether to return attention maps; needs `attn_implementation="eager"`.
            output_hidden_states (`bool`, `int` or `list[int]`, *optional*):
                Whether to return the states of all layers, or, since Transformers 5.24, of some.

        Returns:
            [`BaseModelOutputWithPast`]: `last_hidden_state`, `(batch, length, hidden_size)`.

        Raises:
            ValueError: if the sequence is longer than the model's positions, or inputs exclude
                each other.
        """
        config = self.config
        if CACHE_NAME != "cache":
            # in these releases, `cache` is a paged one, which attention functions update
            kwargs["cache"], cache = cache, kwargs.pop(CACHE_NAME, None)
        if use_cache is None:
            use_cache = config.use_cache
        if use_cache and cache is None and not (self.gradient_checkpointing and self.training):
            cache = DynamicCache(config=config)
        if inputs_embeds is None and input_ids is not None:
            inputs_embeds = self.embed(input_ids, number_values)
        elif inputs_embeds is None or input_ids is not None:
            raise ValueError("input_ids and inputs_embeds exclude each other: pass one of them")
        elif number_values is not None:
            virtual = _virtual(inputs_embeds, number_values)
            number_values = nn.functional.pad(number_values, (virtual, 0))
            is_number = (inputs_embeds[:, virtual:] == 0).all(-1)
            is_number = nn.functional.pad(is_number, (virtual, 0))
            inputs_embeds = self._embed_numbers(inputs_embeds, is_number, number_values)
        # a paged cache knows positions and masks of its own
        seen = cache if isinstance(cache, Cache) else None
        past = 0 if seen is None else seen.get_seq_length()
        # generate() of Transformers 5.0 counts these itself
        cache_position = kwargs.pop("cache_position", None)
        if cache_position is None:
            length = inputs_embeds.shape[1]
            cache_position = torch.arange(length, device=inputs_embeds.device) + past
        if not torch.compiler.is_compiling() and not _is_without_values(inputs_embeds):
            self._check_positions(inputs_embeds.shape[1], past, attention_mask, position_ids)
        inputs_embeds, position_ids, causal_mask = self._mask_and_positions(
            inputs_embeds, attention_mask, position_ids, seen, cache_position
        )
        hidden_states = self.dropout(self.embed_positions(inputs_embeds, position_ids))
        kwargs |= {CACHE_NAME: cache, "cache_position": cache_position}
        for layer in self.layers[: config.num_hidden_layers]:
            hidden_states = layer(
                hidden_states, attention_mask=causal_mask, position_ids=position_ids, **kwargs
            )
        return BaseModelOutputWithPast(
            last_hidden_state=self.norm(hidden_states), **{CACHE_NAME: cache}
        )

    def embed(
        self, input_ids: torch.Tensor, number_values: torch.Tensor | None = None
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
        if not input_ids.numel():
            raise ValueError(
                f"input_ids of shape {tuple(input_ids.shape)} hold no token: leave out empty "
                "sequences"
            )
        number = self.config.number_token_id
        # an accelerator would have to finish its work first
        if are_values_known(input_ids):
            largest, rows = int(input_ids.max()), self.config.vocab_size
            if largest >= rows:
                raise ValueError(
                    f"input_ids hold {largest}, but the model has {rows:,} entries: use the "
                    "tokenizer of the checkpoint"
                )
            if number_values is None and largest >= number and (input_ids == number).any():
                raise ValueError(
                    "input_ids hold numbers, but number_values is missing: pass all that the "
                    "tokenizer returns, as in model(**tokenizer(text, return_tensors='pt'))"
                )
        embeds = self.embed_tokens(input_ids)
        if number_values is None:
            return embeds
        return self._embed_numbers(embeds, input_ids == number, number_values)

    def _embed_numbers(
        self, embeds: torch.Tensor, is_number: torch.Tensor, number_values: torch.Tensor
    ) -> torch.Tensor:
        """Put embeddings of numbers where numbers stand, `(batch, length, hidden_size)`."""
        check_aligned("number_values", number_values, embeds)
        values = number_values.to(embeds.dtype)
        if are_values_known(is_number):
            # in the precision of the model, in which a large number may be infinite; it is not read
            # from a weight, which ZeRO-3 would gather where there is a number alone
            is_wrong = is_number & ~values.isfinite()
            if is_wrong.any():
                row, position = is_wrong.nonzero()[0].tolist()
                raise ValueError(
                    f"number {float(number_values[row, position])} at position {position} of row "
                    f"{row} is not finite: leave it out or replace it"
                )
        # every position is embedded, so that no shape depends on the count of numbers
        values = torch.where(is_number, values, 0.0)[..., None]
        return torch.where(is_number[..., None], self.number_embedding(values), embeds)

    def _check_positions(
        self,
        length: int,
        past: int | torch.Tensor,
        attention_mask: torch.Tensor | None,
        position_ids: torch.Tensor | None,
    ) -> None:
        """Refuse positions that have no embedding."""
        longest, limit = length, self.config.max_position_embeddings
        if position_ids is None:
            longest += int(past)
            if longest > limit and attention_mask is not None and attention_mask.ndim == 2:
                # padding takes no position
                longest = int((attention_mask != 0).sum(-1).max())
        elif position_ids.device.type == "cpu" or length > 1:
            # an accelerator does not wait for one more token, whose length generate() has checked
            lowest, highest = map(int, torch.aminmax(position_ids))
            if lowest < 0:
                raise ValueError(f"position_ids hold {lowest}: positions start at 0")
            longest = highest + 1
        if longest > limit:
            raise ValueError(too_long(longest, self.config))

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
            if are_values_known(attention_mask) and attention_mask.all():
                # without padding there is nothing to mask
                attention_mask = None
            else:
                # whatever stands at padded positions, NaN included, must not reach the others
                inputs_embeds = inputs_embeds.masked_fill(~attention_mask[:, -length:, None], 0.0)
        if length == 1 and attention_mask is None and not (cache and cache.is_compileable):
            # one more token sees all that there is
            return inputs_embeds, positions, None
        if position_ids is not None and self._is_packed(positions, attention_mask, cache):
            # without a mask and a cache, Transformers reads the packing from the positions; there,
            # each padded position is a record of its own
            if attention_mask is not None:
                positions = positions.masked_fill(~attention_mask, 0)
            attention_mask = cache = None
        elif attention_mask is not None and attention_mask.is_meta:
            # Transformers would look for padding in it
            attention_mask = None
        arguments = {
            "input_embeds": inputs_embeds,
            "inputs_embeds": inputs_embeds,
            "cache_position": cache_position,
            CACHE_NAME: cache,
        }
        causal_mask = create_causal_mask(
            config=self.config,
            attention_mask=attention_mask,
            position_ids=positions,
            **{name: arguments[name] for name in arguments if name in CAUSAL_MASK_ARGUMENTS},
        )
        return inputs_embeds, positions, causal_mask

    def _is_packed(
        self,
        position_ids: torch.Tensor,
        attention_mask: torch.Tensor | None,
        cache: Cache | None,
    ) -> bool:
        """Tell whether positions start again between two real ones, in a row without a past."""
        length = position_ids.shape[1]
        if length == 1 or (cache is not None and cache.get_seq_length() > 0):
            return False
        if attention_mask is not None and attention_mask.shape[1:] != (length,):
            return False
        if torch.compiler.is_compiling() or _is_without_values(position_ids):
            # a graph must not depend on values: a row without a cache counts as packed
            return cache is None
        starts_again = position_ids[:, 1:] != position_ids[:, :-1] + 1
        if attention_mask is not None:
            starts_again = starts_again & attention_mask[:, 1:] & attention_mask[:, :-1]
        rows = len(position_ids) if starts_again.any() else 0
        if rows > 1 and "flash" in str(self.config._attn_implementation):
            raise ValueError(
                f"{self.config._attn_implementation} takes records apart in a batch of one only, "
                f"and this one has {rows} packed rows: join them to one row"
            )
        return rows > 0


def _layer_norm(config: DNAGPTConfig) -> nn.LayerNorm:
    return nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps, bias=False)


def _is_without_values(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor has a shape alone: on `meta`, or a fake tensor of any device."""
    return tensor.is_meta or isinstance(tensor, FakeTensor)


def _virtual(inputs_embeds: torch.Tensor | None, values: torch.Tensor) -> int:
    """Count the virtual tokens that PEFT puts in front of embeddings, and of labels alone."""
    return 0 if inputs_embeds is None else max(0, inputs_embeds.shape[1] - values.shape[-1])


class DNAGPTForMultiTask(DNAGPTPreTrainedModel, DNAGPTGenerationMixin):
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
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        return self.token_head.out_proj

    def set_output_embeddings(self, new_embeddings: nn.Linear) -> None:
        self.token_head.out_proj = new_embeddings

    @_renames_cache
    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        number_values: torch.Tensor | None = None,
        cache: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        number_labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        token_loss_function: TokenLossFunction | None = None,
        past_key_values: Cache | None = None,
        **kwargs: Unpack[TransformersKwargs],
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
            token_loss_function (`Callable`, *optional*):
                Computes the loss of `labels` without the logits of the whole batch, which take most
                of the memory of a training step:
                [`~dnagpt_hf.token_loss.chunked_token_loss`].

        Returns:
            [`DNAGPTOutput`]

        Raises:
            ValueError: as [`DNAGPTModel`], or if labels do not align with the inputs, are given
                for logits that are not kept, or are missing where a loss function is given.

        `Trainer` evaluates a batch that has every kind of label in this signature, as
        [`~dnagpt_hf.pretraining.collator.DNAGPTDataCollator`] makes it; with a collator that gives
        `labels` alone, pass `TrainingArguments(label_names=["labels"])`.
        """
        # sequence parallelism hands in labels that are shifted already; Trainer would take a named
        # argument for a label that every batch must have
        targets = kwargs.pop("shift_labels", None)
        if past_key_values is not None:
            kwargs["past_key_values"] = past_key_values
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            number_values=number_values,
            cache=cache,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            return_dict=True,
            **kwargs,
        )
        states = outputs.last_hidden_state
        if labels is not None and targets is None:
            check_aligned("labels", labels, states)
            # the labels are shifted rather than the logits, which are far larger
            targets = nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED_TOKEN)
        keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        kept = states[:, keep, :]
        if number_labels is not None:
            virtual = _virtual(inputs_embeds, number_labels)
            number_labels = nn.functional.pad(number_labels, (virtual, 0), value=torch.nan)
            if self.training and targets is None:
                # Trainer keeps the labels for a loss that shifts them for models it knows by name
                logger.warning_once(
                    "number_labels came without labels: if Trainer has label_smoothing_factor, set "
                    "that to 0, since each token would be trained on itself"
                )
        has_targets = targets is not None or number_labels is not None
        if has_targets and kept.shape[1] != states.shape[1]:
            raise ValueError("labels need the logits of all positions: leave logits_to_keep 0")
        if token_loss_function is not None and not has_targets:
            raise ValueError("token_loss_function leaves nothing without labels: pass labels")
        logits = self.token_head(kept) if token_loss_function is None else None
        if logits is not None and cache is not None and not isinstance(cache, Cache):
            # numbers are not carried in continuous batching, which has paged caches
            instruction = torch.arange(logits.shape[-1], device=logits.device)
            instruction = instruction == self.config.number_instruction_token_id
            logits = logits.masked_fill(instruction, torch.finfo(logits.dtype).min)
        number_predictions = self.number_head(kept).squeeze(-1)
        losses: dict[str, torch.Tensor | None] = {}
        if has_targets:
            losses = self._losses(
                states, logits, number_predictions, targets, number_labels, token_loss_function
            )
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
        targets: torch.Tensor | None,
        number_labels: torch.Tensor | None,
        token_loss_function: TokenLossFunction | None,
    ) -> dict[str, torch.Tensor | None]:
        """Compute the losses of [`DNAGPTOutput`]; that of a kind without labels is 0."""
        token_loss = number_loss = hidden_states.new_zeros((), dtype=torch.float32)
        token_losses = None
        if targets is not None:
            targets = targets.to(hidden_states.device)
            targets = targets.masked_fill(targets == self.config.number_token_id, IGNORED_TOKEN)
            if logits is None:
                total, token_losses = self.token_head(hidden_states, token_loss_function, targets)
            else:
                total, token_losses = summed_cross_entropy(logits, targets)
            token_loss = total / (targets != IGNORED_TOKEN).sum().clamp(min=1)
        if number_labels is not None:
            check_aligned("number_labels", number_labels, hidden_states)
            numbers = nn.functional.pad(number_labels[:, 1:], (0, 1), value=torch.nan)
            number_loss = _mean_squared_error(number_predictions, numbers.to(hidden_states.device))
        return {
            "loss": self.config.number_loss_weight * number_loss + token_loss,
            "token_loss": token_loss,
            "number_loss": number_loss,
            "token_losses": token_losses,
        }


class DNAGPTForSequenceClassification(DNAGPTPreTrainedModel):
    """DNAGPT with a linear head over the whole record: classes, several labels, or numbers.

    `config.num_labels` and `config.problem_type` ("single_label_classification",
    "multi_label_classification", "regression") set the task; without a `problem_type`, one label or
    labels of a floating type mean regression and integer labels mean classes.
    `config.classifier_pooling` says whether the head reads the last real token or the mean.

    Args:
        config ([`DNAGPTConfig`]): Sizes of the model.
    """

    def __init__(self, config: DNAGPTConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.model = DNAGPTModel(config)
        self.score = nn.Linear(config.hidden_size, config.num_labels, bias=False)
        self.post_init()

    @classmethod
    def from_pretrained(cls, *args: Any, output_loading_info: bool = False, **kwargs: Any) -> Any:
        """Load a model as Transformers does, unless it answers in the token language.

        Raises:
            LookupError: the model was fine-tuned for a task and has no classification head, and no
                `problem_type` states that a new one is to be trained.
        """
        model, info = super().from_pretrained(*args, output_loading_info=True, **kwargs)
        config = model.config
        if config.task and config.problem_type is None and "score.weight" in info["missing_keys"]:
            # no ValueError, since pipelines wrap those in tracebacks of all classes they try
            raise LookupError(
                "this model was fine-tuned to answer in the token language and has no "
                "classification head: predict with dnagpt_hf.load(...).predict, or state a "
                "problem_type to train a new head"
            )
        return (model, info) if output_loading_info else model

    @_renames_cache
    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        number_values: torch.Tensor | None = None,
        cache: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        past_key_values: Cache | None = None,
        **kwargs: Unpack[TransformersKwargs],
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
        if past_key_values is not None:
            kwargs["past_key_values"] = past_key_values
        pad = self.config.pad_token_id
        if attention_mask is None and input_ids is not None and pad is not None:
            attention_mask = (input_ids != pad).long()
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            number_values=number_values,
            cache=cache,
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
        batch, length, _ = hidden_states.shape
        if attention_mask is None:
            attention_mask = hidden_states.new_ones(batch, length)
        # (batch, length)
        real = attention_mask[:, -length:].to(hidden_states.device).bool()
        if self.config.classifier_pooling == "mean":
            total = hidden_states.masked_fill(~real[..., None], 0.0).sum(1)
            return total / real.sum(1, keepdim=True).clamp(min=1)
        last = (torch.arange(length, device=real.device) * real).argmax(-1)
        return hidden_states[torch.arange(batch, device=real.device), last]

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
