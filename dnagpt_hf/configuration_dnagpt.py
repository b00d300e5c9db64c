"""Configuration of the DNAGPT models."""

import sys
from typing import Any

from transformers import PreTrainedConfig

# Every checkpoint carries its code, under these names
AUTO_MAP = {
    "AutoConfig": "configuration_dnagpt.DNAGPTConfig",
    "AutoModel": "modeling_dnagpt.DNAGPTModel",
    "AutoModelForCausalLM": "modeling_dnagpt.DNAGPTForMultiTask",
    "AutoModelForSequenceClassification": "modeling_dnagpt.DNAGPTForSequenceClassification",
}

# A target that no loss counts, as in PyTorch's cross-entropy
IGNORED_TOKEN = -100

# Rises when a configuration comes to mean something that older code would compute otherwise
FORMAT_VERSION = 1
_PROPERTY_TOKENS = 34


class DNAGPTConfig(PreTrainedConfig):
    r"""Sizes and token roles of a DNAGPT model.

    The defaults are those of DNAGPT-S-512 (paper, Fig. S3) with the dynamic vocabulary of 19,564
    entries, one more entry for the number position, and rows up to the next multiple of 64.

    Args:
        vocab_size (`int`, defaults to 19584):
            Rows of the token embedding. Rows from `num_tokens` on are padding: they carry no
            probability and are never generated.
        num_tokens (`int`, *optional*, defaults to `vocab_size`, at most 19565):
            Entries that the tokenizer knows, the number position included.
        number_token_id (`int`, defaults to 19564):
            Id of a position that holds a number, the first id after the original vocabulary.
        number_instruction_token_id (`int`, defaults to 18):
            Id of `<M>`, behind which a number follows.
        pad_token_id (`int`, defaults to 20):
            Id of `<P>`.
        kmer_size (`int`, defaults to 6):
            Bases in a full sequence token; used to express lengths in base pairs.
        hidden_size (`int`, defaults to 768): Width of the hidden states.
        num_hidden_layers (`int`, defaults to 12): Decoder layers.
        num_attention_heads (`int`, defaults to 12): Heads per layer; must divide `hidden_size`.
        intermediate_size (`int`, *optional*, defaults to `4 * hidden_size`): Width of the MLP.
        max_position_embeddings (`int`, defaults to 512):
            Longest sequence in tokens, numbers included.
        hidden_act (`str`, defaults to `"gelu_pytorch_tanh"`): Activation of the MLP.
        layer_norm_eps (`float`, defaults to 1e-5): Epsilon of every layer norm.
        initializer_range (`float`, defaults to 0.02): Standard deviation of new weights.
        attention_dropout (`float`, defaults to 0.0): Dropout on attention probabilities.
        hidden_dropout (`float`, defaults to 0.0): Dropout on embeddings and residual branches.
        use_cache (`bool`, defaults to `True`): Whether the model returns keys and values.
        tie_word_embeddings (`bool`, defaults to `False`):
            Whether the token head shares the embedding matrix.
        number_loss_weight (`float`, defaults to 0.01):
            λ of `loss = λ * MSE + cross-entropy` (paper, equation 1).
        classifier_pooling (`str`, defaults to `"last"`):
            What `DNAGPTForSequenceClassification` reads: the `"last"` real token, or the
            `"mean"` over real tokens.
        task (`dict`, *optional*):
            What the model was fine-tuned for, as plain data: its template in the token language,
            the meaning of its answers, how columns are prepared and standardised.
        haplotypes (`dict`, *optional*):
            How the model writes haplotypes, if it was trained on them, as plain data: the number
            of sites, the bases of both alleles, the stop symbol, the tokens of populations.
        format_version (`int`, defaults to 1):
            What the fields mean. A version that this code does not know is an error.

    Raises:
        ValueError: if two fields do not fit each other.

    Example:

    ```python
    >>> from dnagpt_hf import DNAGPTConfig
    >>> DNAGPTConfig(hidden_size=64, num_attention_heads=4).intermediate_size
    256

    ```
    """

    model_type = "dnagpt"
    # losses are no predictions, and those without a batch axis cannot be gathered by Trainer
    keys_to_ignore_at_inference = [
        "past_key_values",
        "cache",
        "token_loss",
        "token_losses",
        "number_loss",
    ]
    base_model_tp_plan = {
        "layers.*.self_attn.q_proj": "colwise",
        "layers.*.self_attn.k_proj": "colwise",
        "layers.*.self_attn.v_proj": "colwise",
        "layers.*.self_attn.o_proj": "rowwise",
        "layers.*.mlp.up_proj": "colwise",
        "layers.*.mlp.down_proj": "rowwise",
    }
    base_model_pp_plan = {
        "embed_tokens": (["input_ids"], ["inputs_embeds"]),
        "embed_positions": (["inputs_embeds", "position_ids"], ["inputs_embeds"]),
        "layers": (["hidden_states", "attention_mask"], ["hidden_states"]),
        "norm": (["hidden_states"], ["hidden_states"]),
    }

    # None until the constructor derives it from other fields, here and in intermediate_size
    num_tokens: int = None  # type: ignore[assignment]
    vocab_size: int = 19584
    number_token_id: int = 19564
    number_instruction_token_id: int = 18
    pad_token_id: int | None = 20
    kmer_size: int = 6
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = None  # type: ignore[assignment]
    max_position_embeddings: int = 512
    hidden_act: str = "gelu_pytorch_tanh"
    layer_norm_eps: float = 1e-5
    initializer_range: float = 0.02
    attention_dropout: float = 0.0
    hidden_dropout: float = 0.0
    use_cache: bool = True
    tie_word_embeddings: bool = False
    number_loss_weight: float = 0.01
    classifier_pooling: str = "last"
    task: dict[str, Any] | None = None
    haplotypes: dict[str, Any] | None = None
    format_version: int = FORMAT_VERSION
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None

    # the fields are set here rather than by Transformers, whose releases do so in two ways
    def __init__(self, **fields: Any) -> None:
        defaults = {name: getattr(DNAGPTConfig, name) for name in DNAGPTConfig.__annotations__}
        fields = {"auto_map": dict(AUTO_MAP)} | defaults | fields
        for name in defaults:
            setattr(self, name, fields[name])
        if self.intermediate_size is None:
            self.intermediate_size = 4 * self.hidden_size
        self._check_sizes()
        if self.num_tokens is None:
            self.num_tokens = min(self.vocab_size, self.number_token_id + 1)
        self._check_ids_and_reals()
        # releases of Transformers differ in which fields of their own they keep without this
        super().__init__(**fields | {name: getattr(self, name) for name in defaults})

    @property
    def dynamic_kmer(self) -> bool:
        """Tell whether k-mers shorter than `kmer_size` have tokens, as in the tokenizer.

        Example:

        ```python
        >>> DNAGPTConfig().dynamic_kmer, DNAGPTConfig(number_token_id=15659).dynamic_kmer
        (True, False)

        ```
        """
        lengths = range(1, self.kmer_size + 1)
        return self.number_token_id == _PROPERTY_TOKENS + sum(5**length for length in lengths)

    def _check_sizes(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise ValueError(
                f"format_version is {self.format_version!r}, and this code knows {FORMAT_VERSION}: "
                "install a newer dnagpt_hf"
            )
        for name in ("vocab_size", "kmer_size", "max_position_embeddings", "num_hidden_layers"):
            self._check_range(name, int, 1)
        for name in ("hidden_size", "num_attention_heads", "intermediate_size"):
            self._check_range(name, int, 1)
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of "
                f"num_attention_heads {self.num_attention_heads}"
            )
        if self.classifier_pooling not in ("last", "mean"):
            raise ValueError(
                f"classifier_pooling is {self.classifier_pooling!r}: choose 'last' or 'mean'"
            )

    def _check_ids_and_reals(self) -> None:
        self._check_range("num_tokens", int, 1, self.vocab_size)
        for name in ("number_token_id", "number_instruction_token_id", "pad_token_id"):
            if name != "pad_token_id" or self.pad_token_id is not None:
                self._check_range(name, int, 0, self.vocab_size - 1)
        for name in ("attention_dropout", "hidden_dropout"):
            self._check_range(name, float, 0, 1)
        for name in ("layer_norm_eps", "initializer_range", "number_loss_weight"):
            self._check_range(name, float, 0)

    def _check_range(
        self, name: str, kind: type, least: int, most: float = sys.float_info.max
    ) -> None:
        value = getattr(self, name)
        is_number = type(value) in (int, kind)
        if not is_number or not least <= value <= most:
            limit = "or more" if most == sys.float_info.max else f"to {most}"
            number = "a whole number, " if kind is int else ""
            raise ValueError(f"{name} is {value!r}: give {number}{least} {limit}")


DNAGPTConfig.register_for_auto_class()

__all__ = ["DNAGPTConfig"]
