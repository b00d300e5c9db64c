"""Weights in eight bits: the libraries take the model, and outputs stay near those in float32."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, TorchAoConfig

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer, bundled

KEPT = ["model.number_embedding", "number_head", "token_head"]
TOKENIZER = DNAGPTTokenizer(kmer_size=3)
RECORDS = ["<R>" + "ACGTACGGATTACCATGA" * 5 + "<=><M>", "<K>ACCTTTAA<+><M>0.3<=><B>"]


def has(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def deviation(model: Any) -> tuple[float, float]:
    """Largest differences of logits, in standard deviations of these, and of numbers."""
    whole = DNAGPTForMultiTask.from_pretrained(bundled()).eval()
    inputs = TOKENIZER(RECORDS, padding=True, return_tensors="pt")
    real = inputs["attention_mask"].bool()
    with torch.no_grad():
        expected, found = whole(**inputs), model.eval()(**inputs)
    tokens = slice(TOKENIZER.number_token_id)
    logits = expected.logits[real][:, tokens]
    difference = (found.logits[real][:, tokens].float() - logits).abs().max() / logits.std()
    numbers = (found.number_predictions - expected.number_predictions)[real].abs().max()
    assert difference > 0
    return float(difference), float(numbers)


@pytest.mark.skipif(not has("torchao"), reason="torchao is not installed")
def test_torchao_weights_only(tmp_path: Path) -> None:
    from torchao.quantization import Int8WeightOnlyConfig

    config = TorchAoConfig(Int8WeightOnlyConfig(), modules_to_not_convert=KEPT)
    model = AutoModelForCausalLM.from_pretrained(bundled(), quantization_config=config)
    assert type(model.model.layers[0].self_attn.q_proj.weight).__name__ == "Int8Tensor"
    assert type(model.token_head.out_proj.weight) is torch.nn.Parameter
    logits, numbers = deviation(model)
    assert logits < 0.01 and numbers < 0.01
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    inputs = TOKENIZER(RECORDS[:1], return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(again(**inputs).logits, model(**inputs).logits)


@pytest.mark.skipif(not has("bitsandbytes"), reason="bitsandbytes is not installed")
def test_bitsandbytes() -> None:
    config = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=KEPT)
    model = AutoModelForCausalLM.from_pretrained(bundled(), quantization_config=config)
    assert type(model.model.layers[0].self_attn.q_proj).__name__ == "Linear8bitLt"
    assert type(model.token_head.out_proj) is torch.nn.Linear
    logits, numbers = deviation(model)
    assert logits < 0.05 and numbers < 0.05
