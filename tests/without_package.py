"""Programs that load a checkpoint folder where the package is not installed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PROMPTS = ["<R>ATCGATTTACGC<+><M>-0.5 0.25<=><B>", "<R>GGCCTAN<=>"]


# What torch, transformers and safetensors do not bring along, and the package itself. Python treats
# a module that is None in `sys.modules` as one that is not installed.
ABSENT = ["dnagpt_hf", "accelerate", "datasets", "evaluate", "pandas", "pyarrow", "pyfaidx"]


PROGRAM = """
import json, sys

folder, copy, absent, prompts = json.loads(sys.argv[1])
sys.modules.update(dict.fromkeys(absent))
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM
from transformers import AutoModelForSequenceClassification, AutoTokenizer

def load(auto_class, **arguments):
    return auto_class.from_pretrained(folder, trust_remote_code=True, **arguments)

config = load(AutoConfig)
tokenizer = load(AutoTokenizer)
loaded, keys, logits = {"AutoConfig": config, "AutoTokenizer": tokenizer}, {}, {}
batch = tokenizer(prompts, padding=True, return_tensors="pt")
for auto_class in (AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification):
    # a model that answers in the token language gets a new head only for a stated problem
    problem = {"problem_type": config.problem_type or "single_label_classification"}
    options = problem if auto_class is AutoModelForSequenceClassification else {}
    model, info = load(auto_class, output_loading_info=True, **options)
    loaded[auto_class.__name__] = model
    keys[auto_class.__name__] = {name: sorted(map(str, info[name])) for name in info}
    with torch.no_grad():
        logits[auto_class.__name__] = list(model.eval()(**batch)[0].shape)

model = loaded["AutoModelForCausalLM"]
with torch.no_grad():
    output = model(**batch)
generated = model.generate(
    **tokenizer(prompts[:1], return_tensors="pt"), max_new_tokens=4, do_sample=False
)
model.save_pretrained(copy)
tokenizer.save_pretrained(copy)
loaded["AutoModelForSequenceClassification"].save_pretrained(copy + "-classes")

print(json.dumps({
    "classes": {name: type(value).__name__ for name, value in loaded.items()},
    "modules": {name: type(value).__module__ for name, value in loaded.items()},
    "keys": keys,
    "shapes": logits,
    "input_ids": batch["input_ids"].tolist(),
    "numbers": batch["number_values"].tolist(),
    "text": tokenizer.batch_decode(batch["input_ids"], number_values=batch["number_values"]),
    "logits": output.logits[:, -1, :50].tolist(),
    "predictions": output.number_predictions.tolist(),
    "generated": generated.tolist(),
    "task": model.config.task,
    "package": sys.modules["dnagpt_hf"] is not None if "dnagpt_hf" in sys.modules else False,
}))
"""


def run_without_package(
    folder: Path | str,
    copy: Path,
    work: Path,
    python: str = sys.executable,
    absent: tuple[str, ...] = tuple(ABSENT),
    **environment: str,
) -> dict[str, Any]:
    """What `PROGRAM` reports of `folder`, of which it writes a copy; `work` is its home."""
    argument = json.dumps([str(folder), str(copy), absent, PROMPTS])
    return report_of(PROGRAM, argument, work, python, **environment)


def report_of(
    program: str, argument: str, work: Path, python: str = sys.executable, **environment: str
) -> Any:
    """What a program prints last, as JSON, in a process of its own; `work` is its home."""
    work.mkdir(exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(work),
        "HF_HOME": str(work / "home"),
        "HF_MODULES_CACHE": str(work / "modules"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        **environment,
    }
    # -I: neither the current folder nor PYTHONPATH are searched for modules
    command = [python, "-I", "-c", program, argument]
    done = subprocess.run(
        command, cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
