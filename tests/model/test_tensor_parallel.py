"""The tensor-parallel plan: two processes that hold half of each layer give the same logits."""

import subprocess
import sys
import textwrap

import torch

from dnagpt_hf import DNAGPTForMultiTask
from dnagpt_hf.presets import preset_config

WORKER = """
    import sys, torch
    from torch.distributed.tensor import DTensor
    from dnagpt_hf import DNAGPTForMultiTask

    folder = sys.argv[1]
    torch.distributed.init_process_group("gloo")
    model = DNAGPTForMultiTask.from_pretrained(folder, tp_plan="auto").eval()
    weight = model.model.layers[0].self_attn.q_proj.weight
    # some releases of Transformers keep the part of a rank as it is
    part = weight.to_local() if isinstance(weight, DTensor) else weight
    assert part.shape[0] * 2 == model.config.hidden_size, "the layer is not split"
    inputs = torch.load(f"{folder}/inputs.pt")
    with torch.no_grad():
        outputs = model(**inputs)
    if torch.distributed.get_rank() == 0:
        torch.save((outputs.logits, outputs.number_predictions), f"{folder}/outputs.pt")
    torch.distributed.destroy_process_group()
"""


def test_two_processes_give_the_logits_of_one(tmp_path):
    torch.manual_seed(0)
    model = DNAGPTForMultiTask(preset_config("dnagpt-test", initializer_range=0.3)).eval()
    model.save_pretrained(tmp_path)
    ids = torch.randint(34, 1000, (2, 12))
    ids[:, 4] = model.config.number_token_id
    mask = torch.ones_like(ids)
    mask[1, :3] = 0
    inputs = {
        "input_ids": ids,
        "attention_mask": mask,
        "number_values": torch.full(ids.shape, 0.5),
    }
    torch.save(inputs, tmp_path / "inputs.pt")
    worker = tmp_path / "worker.py"
    worker.write_text(textwrap.dedent(WORKER))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*launcher, "--nproc-per-node", "2", worker, tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    logits, numbers = torch.load(tmp_path / "outputs.pt")
    with torch.no_grad():
        expected = model(**inputs)
    real = mask.bool()
    torch.testing.assert_close(logits[real], expected.logits[real], atol=2e-5, rtol=0)
    torch.testing.assert_close(numbers[real], expected.number_predictions[real], atol=2e-5, rtol=0)
