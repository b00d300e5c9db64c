"""Checkpoints from a Hub, by their own code, in processes that do not have this package."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from hub_server import hub_server
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from without_package import ABSENT, PROMPTS, report_of, run_without_package

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer, bundled
from dnagpt_hf.checkpoints.publishing import CODE, push_checkpoint

NAME = "org/dnagpt-tiny"
TOKEN = "hf_of_a_member"

PROGRAM = """
import json, sys

name, absent, loads = json.loads(sys.argv[1])
sys.modules.update(dict.fromkeys(absent))
from transformers import AutoModel

found = []
for arguments in loads:
    model = AutoModel.from_pretrained(name, trust_remote_code=True, **arguments)
    code = sys.modules[type(model).__module__]
    assert code.__name__.startswith("transformers_modules."), code
    found.append([getattr(code, "VERSION", "first"), model.norm.weight[0].item()])
print(json.dumps(found))
"""


class Loaded(NamedTuple):
    """What was loaded from the Hub, and what it was asked for."""

    report: dict[str, Any]
    downloads: list[str]
    versions: list[tuple[str, float]]
    offline: list[tuple[str, float]]
    weights: tuple[float, float]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """dnagpt-tiny is published and loaded, then another version of it, then the Hub goes away."""
    work = tmp_path_factory.mktemp("published")
    home = work / "home"
    with hub_server(**{TOKEN: {"org"}}) as hub, pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "ENDPOINT", hub.url)
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        online = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
        first = push_checkpoint("dnagpt-tiny", NAME, token=TOKEN).commit
        hub.site.requests.clear()
        report = run_without_package(NAME, work / "copy", home, **online)
        downloads = hub.asked("GET", "/resolve/") + hub.asked("GET", "/storage/")
        folder, weights = second_version(work / "second")
        second = push_checkpoint(folder, NAME, token=TOKEN).commit
        loads: list[dict[str, str]] = [
            {},
            {"revision": first},
            {"revision": second, "code_revision": first},
        ]
        versions = report_of(PROGRAM, json.dumps([NAME, ABSENT, loads]), home, **online)
    loads = loads[:2]
    offline = report_of(PROGRAM, json.dumps([NAME, ABSENT, loads]), home, HF_ENDPOINT=hub.url)
    return Loaded(
        report,
        downloads,
        [(code, weight) for code, weight in versions],
        [(code, weight) for code, weight in offline],
        weights,
    )


def second_version(folder: Path) -> tuple[Path, tuple[float, float]]:
    """Another folder of the model, and a weight of both that differs; so does their code."""
    shutil.copytree(bundled(), folder)
    weights = load_file(folder / "model.safetensors")
    first = weights["model.norm.weight"]
    weights["model.norm.weight"] = first + 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for path in CODE:
        shutil.copy(path, folder)
    with open(folder / "modeling_dnagpt.py", "a", encoding="utf-8") as stream:
        stream.write('\nVERSION = "second"\n')
    return folder, (first[0].item(), (first + 1)[0].item())


def test_it_loads_where_this_package_is_not(loaded: Loaded) -> None:
    assert not loaded.report["package"]
    assert all(name.startswith("transformers_mod") for name in loaded.report["modules"].values())
    keys = loaded.report["keys"]["AutoModelForCausalLM"]
    assert keys["missing_keys"] == keys["unexpected_keys"] == []


def test_it_gives_what_the_package_gives(loaded: Loaded) -> None:
    tokenizer = DNAGPTTokenizer.from_pretrained(bundled())
    model = DNAGPTForMultiTask.from_pretrained(bundled()).eval()
    batch = tokenizer(PROMPTS, padding=True, return_tensors="pt")
    assert loaded.report["input_ids"] == batch["input_ids"].tolist()
    with torch.no_grad():
        logits = model(**batch).logits[:, -1, :50]
    torch.testing.assert_close(torch.tensor(loaded.report["logits"]), logits)


def test_every_file_is_downloaded_once(loaded: Loaded) -> None:
    """Although three classes, the tokenizer and the configuration are loaded."""
    assert len(loaded.downloads) == len(set(loaded.downloads))
    assert sum(path.startswith("/storage/") for path in loaded.downloads) == 1


def test_a_revision_is_one_of_weights_and_code(loaded: Loaded) -> None:
    first, second = loaded.weights
    assert loaded.versions == [
        ("second", pytest.approx(second)),
        ("first", pytest.approx(first)),
        ("first", pytest.approx(second)),
    ]


def test_without_a_network_what_was_loaded_is_still_there(loaded: Loaded) -> None:
    assert loaded.offline == loaded.versions[:2]
