"""Every method of the installed PEFT, beside Llama: what works with it works with DNAGPT."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from dnagpt_hf import DNAGPTConfig, DNAGPTForMultiTask, DNAGPTForSequenceClassification
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

peft = pytest.importorskip("peft", reason="peft is not installed")
METHODS = sorted(method.value for method in peft.mapping.PEFT_TYPE_TO_CONFIG_MAPPING)
PROMPTS = [
    method
    for method in ("PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "MULTITASK_PROMPT_TUNING")
    if method in METHODS
]
# Methods that PEFT refuses by a list of model types
REFUSED = {"ADAPTION_PROMPT": "Unsupported model type"}
# What a method needs on layers as small as these
ARGUMENTS: dict[str, dict[str, Any]] = {
    "ADALORA": {"total_step": 10},
    "ADAPTION_PROMPT": {"adapter_len": 4, "adapter_layers": 1},
    "C3A": {"block_size": 8},
    "IA3": {"feedforward_modules": []},
    "MISS": {"r": 4},
    "MULTITASK_PROMPT_TUNING": {"num_tasks": 2},
    "ROAD": {"group_size": 8},
    "SHIRA": {"r": 4},
    "TRAINABLE_TOKENS": {"target_modules": ["embed_tokens"], "token_indices": [34, 35]},
    "VBLORA": {"vector_length": 8, "num_vectors": 8},
    "WAVEFT": {"n_frequency": 16},
}
TASK_IDS = ("MULTITASK_PROMPT_TUNING", "POLY")
SIZES = {
    "vocab_size": 128,
    "hidden_size": 32,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "initializer_range": 0.5,
}
TOKENIZER = DNAGPTTokenizer(kmer_size=2)


def make_model(model_class: type[PreTrainedModel] = DNAGPTForMultiTask) -> Any:
    torch.manual_seed(0)
    number = TOKENIZER.number_token_id
    config = DNAGPTConfig(**SIZES, num_tokens=number + 1, number_token_id=number, kmer_size=2)
    return model_class(config)


def make_llama() -> Any:
    torch.manual_seed(0)
    no_tokens = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": 20}
    return LlamaForCausalLM(LlamaConfig(**SIZES, **no_tokens))


def adapt(model: Any, method: str, task_type: str = "CAUSAL_LM", **arguments: Any) -> Any:
    config_class = peft.mapping.PEFT_TYPE_TO_CONFIG_MAPPING[peft.PeftType(method)]
    fields = config_class.__dataclass_fields__
    chosen: dict[str, Any] = {"task_type": task_type}
    if "num_virtual_tokens" in fields:
        chosen["num_virtual_tokens"] = 4
    elif "target_modules" in fields:
        chosen["target_modules"] = ["q_proj", "o_proj"]
    torch.manual_seed(1)
    config = config_class(**{**chosen, **ARGUMENTS.get(method, {}), **arguments})
    return peft.get_peft_model(model, config)


def train_and_generate(model: Any, method: str, inputs: dict[str, torch.Tensor]) -> Any:
    """Train one step and generate, with the tokens that are most probable by `forward`."""
    task = {"task_ids": torch.zeros(len(inputs["input_ids"])).long()} if method in TASK_IDS else {}
    model.train()(**inputs, **task, labels=inputs["input_ids"]).loss.backward()
    trained = [weight for weight in model.parameters() if weight.grad is not None]
    torch.optim.SGD(trained, 0.1).step()
    model.eval()
    # no <M>, behind which a number would be written
    options = {"do_sample": False, "suppress_tokens": [18], "pad_token_id": 20}
    generated = model.generate(**inputs, **task, max_new_tokens=4, **options)
    ids = inputs["input_ids"]
    with torch.no_grad():
        for _ in range(4):
            mask = torch.ones_like(ids)
            logits = model(input_ids=ids, attention_mask=mask, **task).logits[:, -1]
            logits[:, 18] = -torch.inf
            ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], 1)
    return generated, ids


@pytest.fixture
def inputs() -> dict[str, torch.Tensor]:
    return dict(TOKENIZER(["ACGTTGCA", "TTGACGGA"], return_tensors="pt"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", METHODS)
def test_a_method_does_what_it_does_with_llama(
    method: str, inputs: dict[str, torch.Tensor]
) -> None:
    of_llama = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    try:
        train_and_generate(adapt(make_llama(), method), method, of_llama)
    except Exception as error:
        pytest.skip(f"not with Llama: {error}")
    if method in REFUSED:
        with pytest.raises(ValueError, match=REFUSED[method]):
            adapt(make_model(), method)
        return
    generated, expected = train_and_generate(adapt(make_model(), method), method, inputs)
    assert torch.equal(generated, expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", PROMPTS)
def test_a_tuned_prompt_before_a_number(method: str) -> None:
    inputs = dict(TOKENIZER(["<R>ACGT<+><M>0.5<=><M>"], return_tensors="pt"))
    task = {"task_ids": torch.zeros(1).long()} if method in TASK_IDS else {}
    model = adapt(make_model(), method).eval()
    with torch.no_grad():
        read, other = (
            model(**{**inputs, "number_values": values}, **task).number_predictions[0, -1]
            for values in (inputs["number_values"], inputs["number_values"] * -9)
        )
    output = model.generate(**inputs, **task, max_new_tokens=3, return_dict_in_generate=True)
    torch.testing.assert_close(output.number_values[0, -3], read)
    assert (read - other).abs() > 1e-3
    numbers = inputs["number_values"].masked_fill(
        inputs["input_ids"] != TOKENIZER.number_token_id, torch.nan
    )
    loss = model(**inputs, **task, labels=inputs["input_ids"], number_labels=numbers).number_loss
    assert loss > 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", [*PROMPTS[:3], "LORA"])
def test_classification(method: str, inputs: dict[str, torch.Tensor]) -> None:
    model = adapt(make_model(DNAGPTForSequenceClassification), method, task_type="SEQ_CLS")
    loss = model(**inputs, labels=torch.tensor([0, 1])).loss
    loss.backward()
    assert model.eval()(**inputs).logits.shape == (2, 2)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "chosen",
    [
        {"target_modules": ["embed_tokens", "q_proj"]},
        {"trainable_token_indices": {"embed_tokens": [34, 40]}},
        {"modules_to_save": ["embed_tokens", "token_head"]},
    ],
    ids=["LoRA", "some tokens", "all"],
)
def test_trained_embeddings_are_saved_and_merged(
    chosen: dict[str, Any], inputs: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    model = adapt(make_model(), "LORA", **chosen)
    before = model.eval()(**inputs).logits
    generated, expected = train_and_generate(model, "LORA", inputs)
    assert torch.equal(generated, expected)
    trained = model(**inputs).logits
    assert (trained - before).abs().max() > 1e-4
    model.save_pretrained(tmp_path)
    loaded = peft.PeftModel.from_pretrained(make_model(), tmp_path).eval()
    torch.testing.assert_close(loaded(**inputs).logits, trained)
    merged = loaded.merge_and_unload()(**inputs).logits
    torch.testing.assert_close(merged, trained, atol=1e-4, rtol=1e-4)
