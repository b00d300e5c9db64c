"""What vLLM's Transformers backend asks of a model, as its documentation lists it.

vLLM itself is not run here. It loads the base model, puts its own attention function in the place
of `vllm`, replaces linear layers by the plan, and hands in one row with all tokens of a batch.
"""

import fnmatch
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from dnagpt_hf import DNAGPTConfig, DNAGPTForMultiTask, DNAGPTForSequenceClassification
from dnagpt_hf.checkpoints.saving import init_checkpoint
from dnagpt_hf.modeling_dnagpt import eager_attention_forward
from dnagpt_hf.presets import preset_config


@pytest.fixture
def model() -> DNAGPTForMultiTask:
    torch.manual_seed(0)
    return DNAGPTForMultiTask(preset_config("dnagpt-test", initializer_range=0.3)).eval()


@pytest.fixture
def served() -> Iterator[list[dict[str, Any]]]:
    """An attention function under a new name, which keeps what each call of it got."""
    calls: list[dict[str, Any]] = []

    def attention(module: nn.Module, *states: Any, **kwargs: Any) -> Any:
        query, key, value, mask = states
        calls.append({"layer": module.layer_idx, "mask": mask, **kwargs})
        # as an engine does, tell the records of the row apart by the positions
        starts = (kwargs["position_ids"][0] == 0).cumsum(0)
        apart = starts[:, None] != starts
        later = torch.ones_like(apart).triu(1)
        bias = torch.zeros(apart.shape).masked_fill(apart | later, -torch.inf)
        return eager_attention_forward(module, query, key, value, bias, kwargs["scaling"])

    ALL_ATTENTION_FUNCTIONS.register("served", attention)
    yield calls
    ALL_ATTENTION_FUNCTIONS._global_mapping.pop("served")


def test_each_layer_calls_the_registered_function(
    model: DNAGPTForMultiTask, served: list[dict[str, Any]]
) -> None:
    ids = torch.randint(34, 5000, (1, 12))
    alone = [model(input_ids=part).logits for part in ids.split([7, 5], dim=1)]
    decoder = model.model
    decoder.config._attn_implementation = "served"
    instances = {0: object(), 1: object()}
    positions = torch.cat([torch.arange(7), torch.arange(5)])[None]
    outputs = decoder(
        input_ids=ids,
        position_ids=positions,
        use_cache=False,
        attention_instances=instances,
        return_dict=False,
    )
    assert [call["layer"] for call in served] == [0, 1]
    assert all(call["attention_instances"] is instances for call in served)
    assert all(call["mask"] is None for call in served)
    assert all(call["scaling"] == decoder.layers[0].self_attn.head_dim ** -0.5 for call in served)
    # two records in one row, as one batch of the engine, are what they are alone
    logits = model.token_head(outputs[0])
    torch.testing.assert_close(logits, torch.cat(alone, dim=1), atol=1e-5, rtol=0)


def test_the_functions_of_the_served_model_are_marked(model: DNAGPTForMultiTask) -> None:
    decoder = model.model
    assert decoder._supports_attention_backend
    assert decoder.get_decoder() is decoder
    assert all(layer.self_attn.is_causal for layer in decoder.layers)
    assert decoder.config.get_text_config() is decoder.config
    assert decoder.get_input_embeddings() is decoder.embed_tokens
    assert not decoder.config.is_encoder_decoder


def test_the_folder_names_the_base_model(tmp_path: Any) -> None:
    folder = init_checkpoint("dnagpt-test", tmp_path / "folder")
    config = AutoConfig.from_pretrained(folder)
    assert config.auto_map["AutoModel"] == "modeling_dnagpt.DNAGPTModel"
    assert type(AutoModel.from_config(config)).__name__ == "DNAGPTModel"


def test_tensor_parallel_plan(model: DNAGPTForMultiTask) -> None:
    linear = [name for name, part in model.model.named_modules() if isinstance(part, nn.Linear)]
    plan = DNAGPTConfig.base_model_tp_plan
    named = {pattern: fnmatch.filter(linear, pattern) for pattern in plan}
    assert all(len(names) == model.config.num_hidden_layers for names in named.values())
    left = set(linear) - {name for names in named.values() for name in names}
    assert left == {"number_embedding.in_proj", "number_embedding.out_proj"}
    assert set(plan.values()) == {"colwise", "rowwise"}
    heads = [name for name, part in model.named_modules() if isinstance(part, nn.Linear)]
    assert all(fnmatch.filter(heads, pattern) for pattern in DNAGPTForMultiTask._tp_plan)


def test_pipeline_plan(model: DNAGPTForMultiTask) -> None:
    decoder = model.model
    plan = DNAGPTConfig.base_model_pp_plan
    children = dict(decoder.named_children())
    assert set(plan) <= set(children)
    assert [name for name in plan if isinstance(children[name], nn.ModuleList)] == ["layers"]
    with torch.no_grad():
        ids = torch.randint(34, 5000, (1, 9))
        positions = torch.arange(9)[None]
        expected = decoder(input_ids=ids, position_ids=positions).last_hidden_state
        first, last = run_stages(model, ids, positions)
    assert not torch.equal(first, last)
    torch.testing.assert_close(last, expected, atol=1e-6, rtol=0)


class Missing(nn.Module):
    """A layer of another stage: what comes in goes out."""

    def forward(self, first: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        return first


def run_stages(
    model: DNAGPTForMultiTask, ids: torch.Tensor, positions: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states behind each of two stages, each with its own modules of the plan."""
    decoder = model.model
    names = list(DNAGPTConfig.base_model_pp_plan)
    place = names.index("layers")
    whole = {name: getattr(decoder, name) for name in names}
    layers = list(decoder.layers)

    for name in names[place + 1 :]:
        setattr(decoder, name, Missing())
    decoder.layers = nn.ModuleList([layers[0], Missing()])
    first = decoder(input_ids=ids, position_ids=positions, use_cache=False).last_hidden_state
    for name in names[place + 1 :]:
        setattr(decoder, name, whole[name])
    for name in names[:place]:
        setattr(decoder, name, Missing())
    decoder.layers = nn.ModuleList([Missing(), layers[1]])
    last = decoder(inputs_embeds=first, position_ids=positions, use_cache=False)
    return first, last.last_hidden_state


def test_heads_are_not_needed_for_the_base_model(tmp_path: Any) -> None:
    torch.manual_seed(0)
    model = DNAGPTForSequenceClassification(preset_config("dnagpt-test"))
    # an engine ignores these names in the weights, and reads the classifier by its own
    assert {name.partition(".")[0] for name in model.state_dict()} == {"model", "score"}
    assert isinstance(model.score, nn.Linear)
    (pattern,) = model._keys_to_ignore_on_load_unexpected
    assert "token_head" in pattern and "number_head" in pattern
