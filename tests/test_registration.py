"""With the package imported, the Auto classes know DNAGPT, in whatever order imports come."""

import subprocess
import sys

import pytest

USE = """
config = AutoConfig.for_model("dnagpt", hidden_size=32, num_attention_heads=2, num_hidden_layers=1)
for auto in (AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification):
    print(type(auto.from_config(config)).__module__, type(auto.from_config(config)).__name__)
"""
IMPORT_AUTO = (
    "from transformers import (AutoConfig, AutoModel, AutoModelForCausalLM, "
    "AutoModelForSequenceClassification)"
)
EXPECTED = [
    "dnagpt_hf.modeling_dnagpt DNAGPTModel",
    "dnagpt_hf.modeling_dnagpt DNAGPTForMultiTask",
    "dnagpt_hf.modeling_dnagpt DNAGPTForSequenceClassification",
]


def run(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "imports",
    [
        ["import dnagpt_hf, importlib", "importlib.reload(dnagpt_hf)", IMPORT_AUTO],
        [IMPORT_AUTO, "import dnagpt_hf"],
        ["import dnagpt_hf.modeling_dnagpt", IMPORT_AUTO],
    ],
    ids=["ours first, twice", "theirs first", "models first"],
)
def test_order_of_imports(imports):
    assert run("\n".join([*imports, USE])) == EXPECTED


def test_another_library_may_have_taken_the_name():
    clash = (
        "from transformers import AutoConfig, GPT2Config\n"
        "class Other(GPT2Config): model_type = 'dnagpt'\n"
        "AutoConfig.register('dnagpt', Other)\n"
    )
    assert run("\n".join([clash, "import dnagpt_hf", IMPORT_AUTO, USE])) == EXPECTED


def test_the_tokenizer_is_known(tmp_path):
    code = (
        "import dnagpt_hf\n"
        f"dnagpt_hf.DNAGPTTokenizer().save_pretrained({str(tmp_path)!r})\n"
        f"dnagpt_hf.DNAGPTConfig().save_pretrained({str(tmp_path)!r})\n"
        "from transformers import AutoTokenizer\n"
        f"tokenizer = AutoTokenizer.from_pretrained({str(tmp_path)!r})\n"
        "print(type(tokenizer).__module__)"
    )
    assert run(code) == ["dnagpt_hf.tokenization_dnagpt"]


def test_an_unknown_attribute_is_an_attribute_error():
    import dnagpt_hf

    with pytest.raises(AttributeError, match="DNAGPTForEverything"):
        _ = dnagpt_hf.DNAGPTForEverything
    assert set(dnagpt_hf.__all__) <= set(dir(dnagpt_hf))
