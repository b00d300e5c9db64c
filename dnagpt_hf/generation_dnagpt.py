"""Generation by DNAGPT: tokens, and the numbers that stand between them in the stream."""

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.generation import (
    GenerateDecoderOnlyOutput,
    GenerationConfig,
    GenerationMixin,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteriaList,
    StopStringCriteria,
    SuppressTokensLogitsProcessor,
)
from transformers.masking_utils import create_causal_mask
from transformers.utils import ModelOutput, logging

from .configuration_dnagpt import DNAGPTConfig

logger = logging.get_logger(__name__)

# Names of these arguments differ between releases of Transformers 5
CAUSAL_MASK_ARGUMENTS = frozenset(inspect.signature(create_causal_mask).parameters)
# What Transformers calls keys and values of earlier positions, since 5.24 and before
CACHE_NAME = "cache" if "cache" in CAUSAL_MASK_ARGUMENTS else "past_key_values"


@dataclass
class DNAGPTGenerateOutput(GenerateDecoderOnlyOutput):
    """Output of [`DNAGPTForMultiTask.generate`] with `return_dict_in_generate=True`.

    Args:
        number_values (`torch.FloatTensor` of shape `(batch, length)`):
            The number at each position of `sequences` that holds one, 0 elsewhere.
    """

    number_values: torch.Tensor | None = None


def are_values_known(tensor: torch.Tensor) -> bool:
    """Tell whether Python may look at values: not in a graph, not of fake tensors or on `meta`.

    An accelerator is left out as well: a look at its values would wait for all its work.
    """
    is_plain = type(tensor) is torch.Tensor and tensor.device.type == "cpu"
    return is_plain and not torch.compiler.is_compiling()


def check_aligned(name: str, values: torch.Tensor, inputs: torch.Tensor) -> None:
    # values of another shape could be broadcast without a word
    if values.shape != inputs.shape[:2]:
        raise ValueError(
            f"{name} of shape {tuple(values.shape)} do not align with inputs of shape "
            f"{tuple(inputs.shape[:2])}: give one for each position"
        )


def too_long(length: int, config: DNAGPTConfig) -> str:
    return (
        f"sequence of {length:,} tokens (up to {length * config.kmer_size:,} bp) exceeds the "
        f"model's {config.max_position_embeddings:,} positions: pass truncation=True to the "
        "tokenizer, a window of the sequence, or a smaller max_new_tokens"
    )


class NumberAfterInstruction(LogitsProcessor):
    """Lets nothing but a number follow `<M>`.

    Args:
        config ([`DNAGPTConfig`]): Ids of `<M>` and of the number position.
    """

    def __init__(self, config: DNAGPTConfig) -> None:
        self.instruction = config.number_instruction_token_id
        self.number = config.number_token_id

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        # behind a prompt of embeddings there is no id yet
        is_due = (input_ids[:, -1:] == self.instruction).any(-1, keepdim=True)
        if are_values_known(is_due) and not is_due.any():
            return scores
        ids = torch.arange(scores.shape[-1], device=scores.device)
        only_number = torch.where(ids == self.number, 0.0, -torch.inf).to(scores.dtype)
        return torch.where(is_due.to(scores.device), only_number, scores)


class StopTexts(StopStringCriteria):
    """Stops behind texts that may begin and end within tokens.

    Tokens are joined as they are spelled: that of Transformers has a tokenizer read English text.
    """

    @staticmethod
    def clean_tokenizer_vocab(tokenizer: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        vocabulary = tokenizer.get_vocab()
        return tuple(vocabulary), tuple(vocabulary.values())


class DNAGPTGenerationMixin(GenerationMixin):
    """Carries numbers through `generate`, where a number follows each `<M>`."""

    config: Any

    def prepare_inputs_for_generation(
        self,
        input_ids: torch.Tensor,
        inputs_embeds: torch.Tensor | None = None,
        number_values: list[torch.Tensor] | torch.Tensor | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        inputs = super().prepare_inputs_for_generation(
            input_ids, inputs_embeds=inputs_embeds, **kwargs
        )
        if "prepare_inputs_for_generation" in vars(self) and "cache" in inputs:
            # PEFT, which calls this through a method of its own, knows the former name alone
            inputs["past_key_values"] = inputs.pop("cache")
        ids = inputs.get("input_ids")
        if number_values is None or ids is None:
            return inputs
        if are_values_known(ids) and not (ids == self.config.number_token_id).any():
            return inputs
        length = ids.shape[1]
        values = number_values[-1] if isinstance(number_values, list) else number_values
        if values.shape[1] != length:
            # a chunk of the prompt, candidates behind it, or, without a cache, the whole stream
            values = torch.cat(number_values, -1) if isinstance(number_values, list) else values
            cache = kwargs.get(CACHE_NAME)
            past = 0 if cache is None else int(cache.get_seq_length())
            missing = max(0, past + length - values.shape[1])
            values = nn.functional.pad(values, (0, missing))[:, past : past + length]
        inputs["number_values"] = values
        return inputs

    def _update_model_kwargs_for_generation(
        self, outputs: ModelOutput, model_kwargs: dict[str, Any], *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        numbers = model_kwargs.get("number_values")
        if isinstance(numbers, list):
            numbers.append(outputs.number_predictions[:, -1:].to(numbers[0]))
        return super()._update_model_kwargs_for_generation(outputs, model_kwargs, *args, **kwargs)

    def _get_stopping_criteria(
        self, generation_config: GenerationConfig, *args: Any, tokenizer: Any = None, **kwargs: Any
    ) -> StoppingCriteriaList:
        strings = generation_config.stop_strings
        if tokenizer is not None:
            generation_config.stop_strings = None
        criteria = super()._get_stopping_criteria(
            generation_config, *args, tokenizer=tokenizer, **kwargs
        )
        generation_config.stop_strings = strings
        if strings is not None:
            criteria.append(StopTexts(tokenizer, strings))
        return criteria

    def _validate_generated_length(
        self, generation_config: GenerationConfig, *args: Any, **kwargs: Any
    ) -> None:
        super()._validate_generated_length(generation_config, *args, **kwargs)
        if generation_config.max_length > self.config.max_position_embeddings:
            raise ValueError(too_long(generation_config.max_length, self.config))

    def _sample(
        self,
        input_ids: torch.Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: StoppingCriteriaList,
        generation_config: GenerationConfig,
        *args: Any,
        number_values: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Search greedily or sample, and let a number follow each `<M>`."""
        mask = kwargs.get("attention_mask")
        numbers = self._numbers_of_prompts(input_ids, number_values, mask)
        in_chunks = generation_config.prefill_chunk_size is not None
        if mask is not None and mask.ndim == 2 and mask.all() and not in_chunks:
            # a mask without padding would grow and be read at each step
            del kwargs["attention_mask"]
        logits_processor.append(NumberAfterInstruction(self.config))
        output = super()._sample(
            input_ids,
            logits_processor,
            stopping_criteria,
            generation_config,
            *args,
            number_values=numbers,
            **kwargs,
        )
        sequences = output.sequences if isinstance(output, ModelOutput) else output
        is_number = sequences == self.config.number_token_id
        if isinstance(output, ModelOutput):
            values = torch.cat(numbers, dim=-1)[:, : sequences.shape[1]].to(sequences.device)
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
        self._leave_out_numbers(input_ids, logits_processor)
        numbers = self._numbers_of_prompts(input_ids, number_values, kwargs.get("attention_mask"))
        return super()._beam_search(
            input_ids, logits_processor, *args, number_values=numbers, **kwargs
        )

    def _assisted_decoding(
        self,
        input_ids: torch.Tensor,
        logits_processor: LogitsProcessorList,
        *args: Any,
        number_values: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Decode with candidates, which are tokens; numbers of the prompt are read."""
        self._leave_out_numbers(input_ids, logits_processor)
        (numbers,) = self._numbers_of_prompts(input_ids, number_values, None)
        # without a mask, the assistant would take written padding tokens for padding
        if kwargs.get("attention_mask") is None:
            kwargs["attention_mask"] = torch.ones_like(input_ids)
        if (input_ids == self.config.number_token_id).any():
            kwargs["number_values"] = numbers
        return super()._assisted_decoding(input_ids, logits_processor, *args, **kwargs)

    def generate_batch(self, inputs: list[list[int]], *args: Any, **kwargs: Any) -> Any:
        """Generate by continuous batching, as Transformers does, from prompts without numbers.

        Raises:
            ValueError: a prompt has a number, or asks for one.
        """
        for row, ids in enumerate(inputs):
            self._leave_out_numbers(torch.as_tensor(ids)[None], [], row)
            if self.config.number_token_id in ids:
                raise ValueError(
                    f"prompt {row} holds numbers, which generate_batch cannot read: call generate"
                )
        return super().generate_batch(inputs, *args, **kwargs)

    def _leave_out_numbers(
        self, input_ids: torch.Tensor, logits_processor: list[LogitsProcessor], row: int = 0
    ) -> None:
        """Let no number be written, and refuse prompts that ask for one."""
        instruction = self.config.number_instruction_token_id
        is_due = (input_ids[:, -1:] == instruction).any(-1)
        if is_due.any():
            raise ValueError(
                f"prompt {row + int(is_due.int().argmax())} ends in <M>, but numbers are written "
                "by greedy search and sampling alone: call generate without beams (num_beams=1) "
                "and without candidates"
            )
        logits_processor.append(SuppressTokensLogitsProcessor([instruction], str(self.device)))

    def _numbers_of_prompts(
        self,
        input_ids: torch.Tensor,
        number_values: torch.Tensor | None,
        attention_mask: torch.Tensor | None,
    ) -> list[torch.Tensor]:
        """Start the numbers of a stream, to which each step adds those behind its tokens.

        Returns:
            Numbers `(batch, length)` of the prompts.
        """
        if attention_mask is not None and attention_mask.ndim == 2:
            padded = (attention_mask[:, -1] == 0) & attention_mask.any(-1)
            if padded.any():
                raise ValueError(
                    f"prompt {int(padded.int().argmax())} of the batch has padding behind it: pad "
                    "on the left, with padding_side='left' in the tokenizer"
                )
        if number_values is None and (input_ids == self.config.number_token_id).any():
            raise ValueError(
                "the prompt holds numbers, but number_values is missing: call "
                "model.generate(**tokenizer(text, return_tensors='pt')), as pipelines and "
                "streamers pass ids alone"
            )
        if number_values is None:
            return [torch.zeros_like(input_ids).float()]
        # an assistant reads the prompt with tokens behind it
        behind = input_ids[:, number_values.shape[-1] :]
        if (behind == self.config.number_token_id).any():
            check_aligned("number_values", number_values, input_ids)
        return [nn.functional.pad(number_values.float(), (0, behind.shape[1]))]
