"""Loading a checkpoint piece by piece: accelerate's device maps and offload give equal outputs."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from dnagpt_hf import DNAGPTConfig, DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.presets import preset_config

accelerate = pytest.importorskip("accelerate", reason="accelerate is not installed")

BATCH = DNAGPTTokenizer()(
    ["<R>ACGTACGGTTA<+><M>-0.5 0.25<=><M>", "<S>GT<=><B>"], padding=True, return_tensors="pt"
)
# every second layer and both heads lie in files until they are needed
DEVICES = {
    "model.embed_tokens": "cpu",
    "model.embed_positions": "cpu",
    "model.number_embedding": "disk",
    "model.dropout": "cpu",
    "model.layers.0": "cpu",
    "model.layers.1": "disk",
    "model.norm": "cpu",
    "token_head": "disk",
    "number_head": "disk",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("big") / "checkpoint"
    model = DNAGPTForMultiTask(preset_config("dnagpt-test", initializer_range=0.3))
    model.save_pretrained(path, max_shard_size="1MB")
    assert len(list(path.glob("model-*.safetensors"))) > 1
    return path


def with_map(folder: Path, offload: Path) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(
        folder, device_map=DEVICES, offload_folder=str(offload)
    )


def automatic(folder: Path, offload: Path) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(folder, device_map="auto")


def dispatched(folder: Path, offload: Path) -> torch.nn.Module:
    with accelerate.init_empty_weights():
        model = DNAGPTForMultiTask(DNAGPTConfig.from_pretrained(folder))
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    return accelerate.load_checkpoint_and_dispatch(
        model, str(folder), device_map=DEVICES, offload_folder=str(offload)
    )


def on_disk(folder: Path, offload: Path) -> torch.nn.Module:
    model = DNAGPTForMultiTask.from_pretrained(folder)
    return accelerate.disk_offload(model, str(offload), execution_device=torch.device("cpu"))


@pytest.mark.parametrize("load", [automatic, with_map, dispatched, on_disk])
def test_outputs_are_equal(
    folder: Path, tmp_path: Path, load: Callable[[Path, Path], torch.nn.Module]
) -> None:
    whole = DNAGPTForMultiTask.from_pretrained(folder).eval()
    model = load(folder, tmp_path / "offload").eval()
    if load is not automatic:
        assert model.token_head.out_proj.weight.is_meta
    with torch.no_grad():
        expected, found = whole(**BATCH), model(**BATCH)
    # the last bits depend on where the weights lie in memory
    for name in ("logits", "number_predictions"):
        torch.testing.assert_close(found[name], expected[name], atol=1e-5, rtol=0)
    prompt = DNAGPTTokenizer()("<R>ACG<+><M>0.5<=>", return_tensors="pt")
    greedy = {"max_new_tokens": 5, "do_sample": False}
    assert torch.equal(model.generate(**prompt, **greedy), whole.generate(**prompt, **greedy))


def test_a_layer_stays_on_one_device(folder: Path) -> None:
    model = DNAGPTForMultiTask.from_pretrained(folder)
    sizes = accelerate.utils.compute_module_sizes(model)
    # room for the embeddings and one and a half layers, beside what is reserved for the largest
    room = sizes["token_head"] + sizes["model"] - sizes["model.layers"]
    room += sizes["model.layers.0"] * 3 // 2
    devices = accelerate.infer_auto_device_map(
        model,
        max_memory={"cpu": room, "disk": 10**9},
        no_split_module_classes=model._no_split_modules,
    )
    inside = [name for name in devices if name.startswith("model.layers.")]
    assert all(name.count(".") == 2 for name in inside), devices
    assert set(devices.values()) == {"cpu", "disk"}
