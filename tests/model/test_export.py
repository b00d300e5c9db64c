"""`torch.export` and ONNX: one graph for batches of all shapes, with the outputs of the model."""

from pathlib import Path

import pytest
import torch
from torch.export import Dim, ExportedProgram, export

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.presets import preset_config

TOKENIZER = DNAGPTTokenizer()
BATCHES = [
    ["<R>ACG<+><M>-0.5 0.25 9<=><M>", "<S>GTAGCTACGT<=><B>", "A"],
    ["<K>" + "ACGTAC" * 63],
    ["<M>1", "AC"],
    ["ACGTNN", "<R>ACGTACGGG<=>", "<R>", "TTTAAACC"],
]
NAMES = ["input_ids", "attention_mask", "number_values"]


@pytest.fixture(scope="module")
def model() -> DNAGPTForMultiTask:
    torch.manual_seed(0)
    return DNAGPTForMultiTask(preset_config("dnagpt-test", initializer_range=0.3)).eval()


def encode(texts: list[str], side: str) -> dict[str, torch.Tensor]:
    return dict(TOKENIZER(texts, padding=True, padding_side=side, return_tensors="pt"))


@pytest.fixture(scope="module")
def program(model: DNAGPTForMultiTask) -> ExportedProgram:
    model.config.update({"use_cache": False, "return_dict": False})
    inputs = encode(["<R>ATCGTAGG<+><M>-0.5 0.25<=><M>", "<S>GTAGCT<=><B>"], "left")
    axes = {0: Dim("batch", max=1024), 1: Dim("length", min=2, max=64)}
    return export(model, (), inputs, dynamic_shapes=dict.fromkeys(inputs, axes))


def assert_same(model, inputs, outputs, tolerance: float) -> None:
    real = inputs["attention_mask"].bool()
    with torch.no_grad():
        expected = model(**inputs)
    for found, right in zip(outputs, expected, strict=True):
        found = torch.as_tensor(found)
        torch.testing.assert_close(found[real], right[real], atol=tolerance, rtol=0)


@pytest.mark.parametrize("side", ["left", "right"])
def test_exported_program(model, program: ExportedProgram, side: str) -> None:
    for texts in BATCHES:
        inputs = encode(texts, side)
        with torch.no_grad():
            outputs = program.module()(**inputs)
        assert_same(model, inputs, outputs, 1e-5)


def test_a_longer_input_is_refused(program: ExportedProgram) -> None:
    # an AssertionError, before PyTorch 2.8 or so a RuntimeError
    with pytest.raises((AssertionError, RuntimeError), match="64"):
        program.module()(**encode(["ACGTAC" * 65], "right"))


def test_onnx(model, program: ExportedProgram, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    outputs = ["logits", "number_predictions"]
    written = torch.onnx.export(program, input_names=NAMES, output_names=outputs, verbose=False)
    assert written is not None
    written.save(str(tmp_path / "model.onnx"))
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"))
    assert [node.name for node in session.get_inputs()] == NAMES
    for texts in BATCHES:
        for side in ("left", "right"):
            inputs = encode(texts, side)
            arrays = {name: inputs[name].numpy() for name in NAMES}
            assert_same(model, inputs, session.run(outputs, arrays), 2e-5)
    # positions that the model does not have are an error there as well
    with pytest.raises(Exception, match="out of data bounds"):
        long = encode(["ACGTAC" * 65], "right")
        session.run(outputs, {name: long[name].numpy() for name in NAMES})
