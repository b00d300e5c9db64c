"""What the installed Transformers is about to drop is not used, by the models or around them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from finetuning_runs import planted, write_base, write_table
from packaging.version import Version
from transformers import __version__ as release

pytestmark = pytest.mark.skipif(
    Version(release) < Version("5.23"), reason="asked of the newest releases alone"
)

HERE = Path(__file__).resolve().parents[1]

# Transformers says it by warnings and by its log, there mostly once in a process: everything runs
# in a new one.
START = """
import json, logging, sys, warnings
from pathlib import Path

said = []

class Listener(logging.Handler):
    def emit(self, record):
        said.append((record.pathname, record.getMessage()))

def show(message, category, filename, *rest):
    if issubclass(category, (FutureWarning, DeprecationWarning, PendingDeprecationWarning)):
        said.append((filename, f"deprecated, {category.__name__}: {message}"))

warnings.simplefilter("always")
warnings.showwarning = show
work = Path(sys.argv[1])

import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer, pipeline
from transformers import AutoModelForSequenceClassification
from transformers.utils import logging as transformers_logging

transformers_logging.get_logger("transformers").addHandler(Listener())
transformers_logging.set_verbosity_info()

def load(auto_class, **arguments):
    return auto_class.from_pretrained(work / "base", trust_remote_code=True, **arguments)
"""
USE = """
tokenizer = load(AutoTokenizer)
tokenizer.padding_side = "left"
texts = ["<R>ACGTAC<+><M>-0.5<=><M>", "<S>GGCNTA<=>"]
batch = tokenizer(texts, padding=True, truncation=True, max_length=40, return_tensors="pt")
tokenizer.batch_decode(batch["input_ids"], number_values=batch["number_values"])
for attention in ("eager", "sdpa"):
    load(AutoModel, attn_implementation=attention)(**batch, output_attentions=attention == "eager")
classifier = load(AutoModelForSequenceClassification, num_labels=3, dtype=torch.bfloat16)
classifier(**batch, labels=torch.tensor([0, 2])).loss.backward()
model = load(AutoModelForCausalLM)
model(**batch, labels=batch["input_ids"], output_hidden_states=True).loss.backward()
model.eval()
for choice in ({"do_sample": True, "top_k": 5}, {"use_cache": False}):
    options = {"do_sample": False, "return_dict_in_generate": True, **choice}
    model.generate(**batch, max_new_tokens=3, **options)
one = tokenizer(texts[1:], return_tensors="pt")
for choice in ({"num_beams": 2}, {"cache_implementation": "static"}):
    model.generate(**one, max_new_tokens=3, do_sample=False, **choice)
pipeline("text-generation", model=model, tokenizer=tokenizer)(texts[1:], max_new_tokens=3)
model.resize_token_embeddings(model.config.vocab_size + 8)
for saved in (load(AutoConfig), tokenizer, model, classifier):
    saved.save_pretrained(work / type(saved).__name__)
type(model).from_pretrained(work / type(model).__name__)
"""
TRAIN = """
from finetuning_runs import BOTH, settings_of
from dnagpt_hf.finetuning.run import finetune
from dnagpt_hf.pretraining.run import pretrain
from dnagpt_hf.pretraining.settings import parse_settings

table = work / "table.csv"
finetune(settings_of(work / "base", table, work / "answers", template=BOTH, max_steps=2))
finetune(settings_of(work / "base", table, work / "classes", head="classification", max_steps=2))
pretrain(parse_settings([], json.loads((work / "pretraining.json").read_text())))
"""
REPORT = """
print(json.dumps(said))
"""
# what Transformers, and the code of the models wherever it was loaded from, say of themselves
OURS = ("/transformers/", "/dnagpt_hf/", "/transformers_modules/")


def deprecations(program: str, work: Path) -> list[str]:
    """Run a program in a process of its own: what is said to be deprecated, and where."""
    variables = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONWARNINGS", "TRANSFORMERS_NO_ADVISORY_WARNINGS")
    }
    # not all of sys.path: tests that loaded code of checkpoints have put their caches there
    variables["PYTHONPATH"] = os.pathsep.join([str(HERE), str(HERE.parent)])
    variables["HF_MODULES_CACHE"] = str(work / "modules")
    done = subprocess.run(
        [sys.executable, "-c", START + program + REPORT, str(work)],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    signs = ("deprecat", "will be removed", "will no longer", "obsolete")
    return [
        f"{place}: {message}"
        for place, message in json.loads(done.stdout.splitlines()[-1])
        if any(part in place for part in OURS) and any(sign in message.lower() for sign in signs)
    ]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_base(folder / "base")
    write_table(folder / "table.csv", planted(40))
    (folder / "yeast.fa").write_text("".join(f">{name}\n{'ACGTTGCAAC' * 200}\n" for name in "ab"))
    (folder / "genomes.yaml").write_text(
        "species:\n  - {name: yeast, token: <U>, files: [yeast.fa], held_out: [b]}\n"
    )
    stated = {
        "preset": "dnagpt-test",
        "genomes": str(folder / "genomes.yaml"),
        "output_dir": str(folder / "pretrained"),
        "max_steps": 2,
        "rows_per_epoch": 16,
        "per_device_train_batch_size": 2,
        "eval_rows": 4,
        "eval_strategy": "steps",
        "eval_steps": 2,
        "save_steps": 2,
        "use_cpu": True,
        "disable_tqdm": True,
    }
    (folder / "pretraining.json").write_text(json.dumps(stated))
    return folder


def test_use_and_training_of_the_models_are_not_deprecated(work: Path) -> None:
    assert deprecations(USE + TRAIN, work) == []


def test_what_is_deprecated_is_noticed(work: Path) -> None:
    lines = [
        "load(AutoConfig).torch_dtype",
        "load(AutoModelForCausalLM).gradient_checkpointing_enable()",
        "warnings.warn_explicit('is obsolete', FutureWarning, '/dnagpt_hf/a.py', 1)",
        "warnings.warn_explicit('is obsolete', FutureWarning, '/numpy/a.py', 1)",
    ]
    found = deprecations("\n".join(lines), work)
    signs = ("torch_dtype", "activation_checkpointing_enable", "/dnagpt_hf/")
    assert len(found) == len(signs)
    for sign, text in zip(signs, found, strict=True):
        assert sign in text
