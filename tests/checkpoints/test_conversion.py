"""Conversion between the original files and checkpoint folders."""

import argparse
import itertools
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from dnagpt_hf import (
    DNAGPTConfig,
    DNAGPTForMultiTask,
    DNAGPTForSequenceClassification,
    DNAGPTTokenizer,
)
from dnagpt_hf.atomic_files import DestinationError
from dnagpt_hf.checkpoints.conversion import convert_checkpoint, export_checkpoint
from dnagpt_hf.checkpoints.original import ConversionError, original_shapes, read_state_dict
from dnagpt_hf.presets import preset_config, tokenizer_of, vocabulary_fields, vocabulary_size
from tests.parity import load_cases, make_state_dict

State = dict[str, torch.Tensor]


def sizes(kmer_size: int, dynamic: bool, **fields: int) -> DNAGPTConfig:
    small = {"hidden_size": 8, "num_hidden_layers": 2, "max_position_embeddings": 16}
    return DNAGPTConfig(
        **vocabulary_fields(kmer_size, dynamic), num_attention_heads=1, **{**small, **fields}
    )


# 3-mers of all lengths, to keep the files of these tests small
SIZES = sizes(3, dynamic=True)
HEADS = ("number_embedding", "mlm_head", "num_regression")


def random_state(dtype: torch.dtype = torch.float32, config: DNAGPTConfig = SIZES) -> State:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(shape, generator=generator).to(dtype)
        for name, shape in original_shapes(config).items()
    }


def without(state: State, *heads: str) -> State:
    return {name: tensor for name, tensor in state.items() if name.partition(".")[0] not in heads}


def saved(path: Path, content: object, **kwargs: Any) -> Path:
    torch.save(content, path, **kwargs)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return saved(tmp_path / "original.pth", random_state())


def assert_equal_states(one: State, other: State) -> None:
    assert list(one) == list(other)
    for name, tensor in one.items():
        assert tensor.dtype == other[name].dtype, name
        assert torch.equal(tensor, other[name]), name


def convert(source: Path, **kwargs: Any) -> Path:
    folder = source.with_name("converted")
    return convert_checkpoint(source, folder, num_attention_heads=2, **kwargs).folder


# Round trips


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("max_shard_size", ["5GB", 4_000])
def test_export_gives_back_the_file(
    tmp_path: Path, dtype: torch.dtype, max_shard_size: int | str
) -> None:
    state = random_state(dtype)
    source = saved(tmp_path / "original.pth", state)
    folder = convert(source, max_shard_size=max_shard_size)
    assert (folder / "model.safetensors").is_file() == (max_shard_size == "5GB")
    exported = torch.load(export_checkpoint(folder, tmp_path / "back.pth"), weights_only=True)
    assert_equal_states(state, exported)
    # A slice would carry the rows that pad the vocabulary along.
    assert all(t.untyped_storage().nbytes() == t.nbytes for t in exported.values())


def test_the_saved_model_is_exported_like_the_converted_one(source: Path, tmp_path: Path) -> None:
    model = DNAGPTForMultiTask.from_pretrained(convert(source))
    model.save_pretrained(tmp_path / "again", max_shard_size="10KB")
    tokenizer_of(model.config).save_pretrained(tmp_path / "again")
    exported = export_checkpoint(tmp_path / "again", tmp_path / "back.pth")
    assert_equal_states(random_state(), torch.load(exported, weights_only=True))


def test_tied_embeddings_are_exported(tmp_path: Path) -> None:
    config = preset_config("dnagpt-test", tie_word_embeddings=True)
    model = DNAGPTForMultiTask(config)
    model.save_pretrained(tmp_path / "tied")
    tokenizer_of(config).save_pretrained(tmp_path / "tied")
    exported = torch.load(export_checkpoint(tmp_path / "tied", tmp_path / "tied.pth"))
    assert torch.equal(exported["mlm_head.3.weight"], exported["transformer.wte.weight"])
    assert exported["mlm_head.3.weight"].shape[0] == config.number_token_id


def test_all_parameters_are_those_of_the_model(source: Path) -> None:
    folder = convert(source)
    model, report = DNAGPTForMultiTask.from_pretrained(folder, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    state, ours = random_state(), model.state_dict()
    rows = SIZES.number_token_id
    assert torch.equal(ours["model.embed_tokens.weight"][:rows], state["transformer.wte.weight"])
    assert not ours["model.embed_tokens.weight"][rows:].any()
    assert not ours["token_head.out_proj.weight"][rows:].any()
    query, key, value = state["transformer.h.1.attn.c_attn.weight"].split(8)
    assert torch.equal(ours["model.layers.1.self_attn.q_proj.weight"], query)
    assert torch.equal(ours["model.layers.1.self_attn.k_proj.weight"], key)
    assert torch.equal(ours["model.layers.1.self_attn.v_proj.weight"], value)


# What is accepted


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        OrderedDict,
        lambda state: {"model": state, "epoch": 3, "optimizer": {"state": {0: torch.ones(2)}}},
        lambda state: {"model": OrderedDict(state), "args": argparse.Namespace(lr=1e-4)},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {"model": {f"_orig_mod.{n}": tensor for n, tensor in state.items()}},
        lambda state: {f"module._orig_mod.{name}": tensor for name, tensor in state.items()},
        lambda state: {name: torch.nn.Parameter(tensor) for name, tensor in state.items()},
        lambda state: dict(reversed(state.items())),
    ],
)
@pytest.mark.parametrize("archive", [True, False])
def test_every_form_of_file_is_read(tmp_path: Path, wrap: Any, archive: bool) -> None:
    state = random_state()
    source = saved(tmp_path / "original.pth", wrap(state), _use_new_zipfile_serialization=archive)
    exported = export_checkpoint(convert(source), tmp_path / "back.pth")
    assert_equal_states(state, torch.load(exported, weights_only=True))


@pytest.mark.parametrize(
    "heads", [c for n in range(4) for c in itertools.combinations(HEADS, n)], ids="+".join
)
def test_a_file_may_lack_heads(
    tmp_path: Path, heads: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    state = without(random_state(), *heads)
    source = saved(tmp_path / "original.pth", state)
    result = convert_checkpoint(source, tmp_path / "converted", num_attention_heads=2)
    assert result.new_heads == heads
    card = (result.folder / "README.md").read_text()
    assert (result.warning is None) == (not heads)
    for head in HEADS:
        assert (head in (result.warning or "")) == (head in heads)
        assert (head in caplog.text) == (head in card) == (head in heads)
    model, report = DNAGPTForMultiTask.from_pretrained(result.folder, output_loading_info=True)
    assert not report["missing_keys"]
    assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())
    exported = torch.load(export_checkpoint(result.folder, tmp_path / "back.pth"))
    assert_equal_states(state, {name: exported[name] for name in state})


def test_new_heads_are_initialised_as_the_model_would(tmp_path: Path) -> None:
    source = saved(tmp_path / "original.pth", without(random_state(), *HEADS))

    def heads_of(folder: str, **kwargs: Any) -> State:
        options = {"num_attention_heads": 2, **kwargs}
        convert_checkpoint(source, tmp_path / folder, **options)
        tensors: State = {}
        for file in (tmp_path / folder).glob("*.safetensors"):
            tensors |= load_file(file)
        return {
            name: tensor
            for name, tensor in tensors.items()
            if "number_" in name or name.startswith("token_head")
        }

    first = heads_of("one")
    assert len(first) == 9
    assert_equal_states(
        dict(sorted(first.items())), dict(sorted(heads_of("two", max_shard_size=2_000).items()))
    )
    other = heads_of("three", seed=1)
    assert torch.equal(first["token_head.norm.weight"], torch.ones(8))
    assert not torch.equal(first["token_head.in_proj.weight"], first["number_head.in_proj.weight"])
    assert not torch.equal(first["token_head.in_proj.weight"], other["token_head.in_proj.weight"])
    rows = first["token_head.out_proj.weight"][: SIZES.number_token_id]
    assert rows.std().item() == pytest.approx(0.02, rel=0.1)
    assert not first["token_head.out_proj.weight"][SIZES.number_token_id :].any()


def test_dtype_can_be_changed(tmp_path: Path) -> None:
    state = random_state()
    state["transformer.ln_f.weight"] = state["transformer.ln_f.weight"].double()
    source = saved(tmp_path / "original.pth", state)
    with pytest.raises(ConversionError, match=r"transformer.ln_f.weight is torch.float64.*dtype="):
        convert(source)
    folder = convert(source, dtype="bfloat16")
    assert json.loads((folder / "config.json").read_text())["dtype"] == "bfloat16"
    assert {t.dtype for t in load_file(folder / "model.safetensors").values()} == {torch.bfloat16}
    with pytest.raises(ValueError, match=r"'int8'.*float16"):
        convert(source, dtype="int8", overwrite=True)


@pytest.mark.parametrize(("kmer_size", "dynamic"), [(1, True), (2, False), (4, True), (6, False)])
def test_vocabulary_is_found_by_its_size(tmp_path: Path, kmer_size: int, dynamic: bool) -> None:
    rows = vocabulary_size(kmer_size, dynamic)
    small = sizes(kmer_size, dynamic, max_position_embeddings=5, intermediate_size=12)
    source = saved(tmp_path / "original.pth", random_state(config=small))
    result = convert_checkpoint(source, tmp_path / "converted", num_attention_heads=1)
    assert (result.config.kmer_size, result.config.dynamic_kmer) == (kmer_size, dynamic)
    assert result.config.number_token_id == rows
    assert result.config.max_position_embeddings == 5
    assert result.config.intermediate_size == 12
    tokenizer = DNAGPTTokenizer.from_pretrained(result.folder)
    assert (tokenizer.kmer_size, tokenizer.dynamic_kmer) == (kmer_size, dynamic)
    assert tokenizer.number_token_id == rows
    assert tokenizer.model_max_length == 5


def test_heads_of_known_models_need_not_be_given(tmp_path: Path) -> None:
    known = sizes(1, True, hidden_size=768, num_hidden_layers=12, intermediate_size=1)
    source = saved(tmp_path / "original.pth", random_state(torch.float16, known))
    result = convert_checkpoint(source, tmp_path / "converted")
    assert result.config.num_attention_heads == 12
    result = convert_checkpoint(source, tmp_path / "other", num_attention_heads=6)
    assert result.config.num_attention_heads == 6


# What is refused


class Hostile:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.proof}",)


@pytest.mark.parametrize("kind", ["archive", "legacy", "pickle", "beside the weights"])
def test_code_in_a_file_is_never_run(tmp_path: Path, kind: str) -> None:
    proof, path = tmp_path / "ran", tmp_path / "hostile.pth"
    hostile = Hostile(proof)
    if kind == "archive":
        torch.save({"transformer.wte.weight": hostile}, path)
    elif kind == "legacy":
        torch.save({"model": hostile}, path, _use_new_zipfile_serialization=False)
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(hostile))
    else:
        torch.save({"model": random_state(), "optimizer": hostile}, path)
    with pytest.raises(ConversionError, match=r"hostile.pth holds .*not loaded") as error:
        convert(path)
    assert "\n" not in str(error.value)
    assert os.listdir(tmp_path) == ["hostile.pth"]


def wrong_files(folder: Path) -> dict[str, bytes]:
    archive, legacy = folder / "a", folder / "l"
    torch.save(random_state(), archive)
    torch.save(random_state(), legacy, _use_new_zipfile_serialization=False)
    save_file(random_state(), folder / "s")
    with zipfile.ZipFile(folder / "z", "w") as zipped:
        zipped.writestr("readme.txt", "hello")
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), folder / "j")
    content = {
        "empty": b"",
        "text": b"ATTTACCGGT\n",
        "web page": b"<!DOCTYPE html><html>quota exceeded</html>",
        "zip": (folder / "z").read_bytes(),
        "TorchScript": (folder / "j").read_bytes(),
        "safetensors": (folder / "s").read_bytes(),
        "half an archive": archive.read_bytes()[: archive.stat().st_size // 2],
        "archive without its last bytes": archive.read_bytes()[:-100],
        "half a legacy file": legacy.read_bytes()[: legacy.stat().st_size // 2],
        "noise after the magic": b"\x80\x02" + bytes(range(256)),
        "a number": pickle.dumps(3, protocol=2),
    }
    for path in folder.iterdir():
        path.unlink()
    return content


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    for kind, content in wrong_files(tmp_path).items():
        path = tmp_path / "given.pth"
        path.write_bytes(content)
        with pytest.raises(ConversionError) as error:
            convert(path)
        assert str(path) in str(error.value), kind
        assert "\n" not in str(error.value), kind
        assert os.listdir(tmp_path) == ["given.pth"], kind


def test_a_header_of_safetensors_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(struct.pack("<Q", 2) + b"{}")
    with pytest.raises(ConversionError, match="safetensors"):
        convert(tmp_path / "w.pth")
    with pytest.raises(ConversionError, match="no such file"):
        convert(tmp_path / "nothing.pth")
    with pytest.raises(ConversionError, match="no such file"):
        convert(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.ones(2)], "holds a list"),
        ({}, "missing key transformer.wte.weight"),
        ({"model": {}}, "missing key transformer.wte.weight"),
        ({"state_dict": {"a": torch.ones(1)}}, "'state_dict' is a dict"),
        ({"epoch": 3}, "'epoch' is a int"),
        ({3: torch.ones(1)}, "entry 3 "),
        ({"a": torch.ones(2, 2).to_sparse()}, "'a' is a Tensor, not a dense tensor"),
        ({"bert.pooler.weight": torch.ones(1)}, "it has bert.pooler.weight"),
    ],
)
def test_other_content_is_refused(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        convert(saved(tmp_path / "original.pth", content))


@pytest.mark.parametrize("name", random_state())
def test_a_missing_key_is_named(tmp_path: Path, name: str) -> None:
    state = random_state()
    del state[name]
    with pytest.raises(ConversionError) as error:
        convert(saved(tmp_path / "original.pth", state))
    assert f"missing key {name}" in str(error.value)
    assert os.listdir(tmp_path) == ["original.pth"]


@pytest.mark.parametrize("name", random_state())
def test_a_wrong_shape_is_named_with_both_shapes(tmp_path: Path, name: str) -> None:
    state = random_state()
    shape = tuple(state[name].shape)
    state[name] = torch.zeros(*shape[:-1], shape[-1] + 3)
    with pytest.raises(ConversionError) as error:
        convert(saved(tmp_path / "original.pth", state))
    assert "has shape" in str(error.value)
    if name != "transformer.wte.weight":
        # The width is measured there, so that a wrong one shows at the next weight.
        assert name in str(error.value)
        assert str(shape) in str(error.value) and str(tuple(state[name].shape)) in str(error.value)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (
            "transformer.h.2.ln_1.weight",
            "missing key transformer.h.2.attn.c_attn.weight and 4 more",
        ),
        ("transformer.h.7.ln_1.weight", "unexpected key transformer.h.7.ln_1.weight"),
        ("transformer.h.0.attn.c_attn.bias", "transformer.h.0.attn.c_attn.bias: .* no biases"),
        ("lm_head.weight", "unexpected key lm_head.weight"),
        ("module.transformer.ln_f.weight", "unexpected key module.transformer.ln_f.weight"),
        ("mlm_head.4.weight", "unexpected key mlm_head.4.weight"),
    ],
)
def test_an_unexpected_key_is_named(tmp_path: Path, extra: str, message: str) -> None:
    state = {**random_state(), extra: torch.ones(8)}
    with pytest.raises(ConversionError, match=message):
        convert(saved(tmp_path / "original.pth", state))


def test_integers_are_no_weights(tmp_path: Path) -> None:
    state = random_state()
    state["transformer.wpe.weight"] = state["transformer.wpe.weight"].long()
    with pytest.raises(ConversionError, match=r"transformer.wpe.weight is torch.int64"):
        convert(saved(tmp_path / "original.pth", state), dtype="float32")


def test_an_unknown_vocabulary_lists_those_that_exist(tmp_path: Path) -> None:
    rows = {"transformer.wte.weight": torch.zeros(100, 8)}
    source = saved(tmp_path / "original.pth", random_state() | rows)
    with pytest.raises(ConversionError, match=r"100 rows.*19,564.*15,659"):
        convert(source)


def test_the_kind_of_vocabulary_can_be_insisted_on(source: Path) -> None:
    with pytest.raises(ConversionError, match="189 rows, which is no vocabulary of the fixed kind"):
        convert(source, dynamic_kmer=False)
    assert convert(source, dynamic_kmer=True).is_dir()


@pytest.mark.parametrize("heads", [None, 3, 0, -2])
def test_the_number_of_heads_must_be_given_and_fit(source: Path, heads: int | None) -> None:
    with pytest.raises(ConversionError, match="--num-heads"):
        convert_checkpoint(source, source.with_name("converted"), num_attention_heads=heads)


def test_a_preset_must_have_the_sizes_of_the_file(source: Path) -> None:
    with pytest.raises(ConversionError, match="not those of dnagpt-h"):
        convert(source, preset="dnagpt-h")
    with pytest.raises(ValueError, match="unknown preset 'dnagpt-z'"):
        convert(source, preset="dnagpt-z")


# Destinations


def test_an_existing_folder_is_kept_unless_asked(source: Path) -> None:
    folder = convert(source)
    (folder / "notes.txt").touch()
    before = (folder / "model.safetensors").stat().st_mtime_ns
    with pytest.raises(DestinationError, match="converted exists"):
        convert(source)
    with pytest.raises(ConversionError):
        convert(saved(source.with_name("bad.pth"), {}), overwrite=True)
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
    assert (folder / "notes.txt").exists()
    convert(source, overwrite=True)
    assert not (folder / "notes.txt").exists()


def test_a_failure_while_writing_leaves_nothing(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("transformers.modeling_utils.safe_save_file", full)
    with pytest.raises(OSError, match="No space"):
        convert(source)
    assert os.listdir(source.parent) == [source.name]
    monkeypatch.undo()
    folder = convert(source)
    monkeypatch.setattr("dnagpt_hf.checkpoints.conversion.torch.save", full)
    with pytest.raises(OSError, match="No space"):
        export_checkpoint(folder, source.with_name("back.pth"))
    assert sorted(os.listdir(source.parent)) == ["converted", source.name]


def test_the_source_is_not_overwritten(source: Path) -> None:
    folder = convert(source)
    inside = folder / "original.pth"
    source.rename(inside)
    with pytest.raises(ConversionError, match="lies in the folder"):
        convert_checkpoint(inside, folder, num_attention_heads=2, overwrite=True)
    with pytest.raises(DestinationError, match=r"original\.pth exists"):
        export_checkpoint(folder, inside)
    assert_equal_states(random_state(), read_state_dict(inside))
    export_checkpoint(folder, inside, overwrite=True)
    assert_equal_states(random_state(), read_state_dict(inside))


# Export of other folders


def test_a_classifier_is_not_exported(tmp_path: Path) -> None:
    config = preset_config("dnagpt-test")
    DNAGPTForSequenceClassification(config).save_pretrained(tmp_path / "classifier")
    tokenizer_of(config).save_pretrained(tmp_path / "classifier")
    with pytest.raises(ConversionError, match="holds DNAGPTForSequenceClassification"):
        export_checkpoint(tmp_path / "classifier", tmp_path / "back.pth")
    assert os.listdir(tmp_path) == ["classifier"]


def test_broken_folders_are_not_exported(source: Path, tmp_path: Path) -> None:
    back = tmp_path / "back.pth"
    with pytest.raises(ConversionError, match=r"nothing: no such checkpoint folder"):
        export_checkpoint(tmp_path / "nothing", back)
    folder = convert(source, max_shard_size=4_000)
    shards = sorted(folder.glob("*.safetensors"))
    tensors = load_file(shards[0])
    name = next(iter(tensors))
    save_file({**tensors, "extra": torch.ones(1)}, shards[0])
    with pytest.raises(ConversionError, match="unknown weight extra"):
        export_checkpoint(folder, back)
    save_file({key: tensor for key, tensor in tensors.items() if key != name}, shards[0])
    with pytest.raises(ConversionError, match=f"lacks weight {name}"):
        export_checkpoint(folder, back)
    save_file({**tensors, name: torch.ones(2, 2)}, shards[0])
    with pytest.raises(ConversionError, match=r"shape .*config.json says"):
        export_checkpoint(folder, back)
    shards[0].write_bytes(b"half")
    with pytest.raises(ConversionError, match=shards[0].name):
        export_checkpoint(folder, back)
    shards[0].unlink()
    with pytest.raises(ConversionError, match=shards[0].name):
        export_checkpoint(folder, back)
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(ConversionError, match="model_type is 'gpt2'"):
        export_checkpoint(folder, back)
    (folder / "config.json").write_text("{")
    with pytest.raises(ConversionError, match="not JSON"):
        export_checkpoint(folder, back)
    assert not back.exists()


# Memory


MEASURE = """
import sys, threading, time
from pathlib import Path
from dnagpt_hf.checkpoints.conversion import convert_checkpoint

def anonymous():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024

start = peak = anonymous()
done = threading.Event()

def watch():
    global peak
    while not done.is_set():
        peak = max(peak, anonymous())
        time.sleep(0.002)

watcher = threading.Thread(target=watch, daemon=True)
watcher.start()
convert_checkpoint(sys.argv[1], sys.argv[2], num_attention_heads=4, max_shard_size=sys.argv[3])
done.set()
watcher.join()
sys.stdout.write(f"\\n{peak - start}")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_far_below_that_of_the_weights(tmp_path: Path) -> None:
    shapes = original_shapes(sizes(2, True, hidden_size=512, num_hidden_layers=8))
    source = saved(tmp_path / "original.pth", {n: torch.zeros(s) for n, s in shapes.items()})
    assert source.stat().st_size > 100e6
    command = [sys.executable, "-c", MEASURE, str(source), str(tmp_path / "out"), "10MB"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    # 25 MB of queries, keys and values, a shard, and what is imported meanwhile
    assert int(done.stdout.split()[-1]) < 60e6


# Parity with the original implementation


@pytest.fixture(scope="module", params=["tiny-dynamic", "tiny-fixed"])
def parity(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    cases, logits = load_cases()
    entry = next(model for model in cases["models"] if model["name"] == request.param)
    state, folder = make_state_dict(entry), tmp_path_factory.mktemp("parity")
    source = saved(folder / "original.pth", {"model": state})
    result = convert_checkpoint(
        source,
        folder / "converted",
        num_attention_heads=entry["num_heads"],
        max_shard_size="1MB",
    )
    return {
        "cases": [case for case in cases["cases"] if case["model"] == request.param],
        "stride": cases["logits_stride"],
        "logits": logits,
        "state": state,
        "folder": result.folder,
        "model": DNAGPTForMultiTask.from_pretrained(result.folder).eval(),
        "tokenizer": DNAGPTTokenizer.from_pretrained(result.folder),
    }


def text_of(case: dict[str, Any], tokenizer: DNAGPTTokenizer) -> str:
    """The text of a case, with its numbers in place.

    Two cases end in a remainder that the fixed vocabulary has no token for. The original read it
    as id 0, which is `<0>`; here that is an error, and `<0>` must be written out.
    """
    if 0 in case["input_ids"]:
        with pytest.raises(ValueError, match="no token"):
            tokenizer(case["text"])
        return tokenizer.decode(case["input_ids"])
    return case.get("inline_text", case["text"])


def test_parity_of_logits_and_numbers(parity: dict[str, Any]) -> None:
    tokenizer, model = parity["tokenizer"], parity["model"]
    rows = tokenizer.number_token_id
    for case in parity["cases"]:
        inputs = tokenizer(text_of(case, tokenizer), return_tensors="pt")
        ids = [i for i in inputs["input_ids"][0].tolist() if i != rows]
        assert ids == case["input_ids"], case["key"]
        with torch.no_grad():
            output = model(**inputs)
        logits = output.logits[0, case["logits_positions"], :rows][:, :: parity["stride"]]
        expected = parity["logits"][f"{case['key']}.logits"]
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0, msg=case["key"])
        if "prediction" in case:
            found = output.number_predictions[0, case["prediction_position"]].item()
            assert found == pytest.approx(case["prediction"], abs=1e-4), case["key"]


def test_parity_of_greedy_continuations(parity: dict[str, Any]) -> None:
    tokenizer, model = parity["tokenizer"], parity["model"]
    for case in parity["cases"]:
        if "greedy_ids" not in case:
            continue
        inputs = tokenizer(text_of(case, tokenizer), return_tensors="pt")
        new = len(case["greedy_ids"]) - len(case["input_ids"])
        ids = model.generate(**inputs, max_new_tokens=new, do_sample=False)[0].tolist()
        assert ids == case["greedy_ids"], case["key"]
        assert tokenizer.decode(ids) == case["greedy_text"], case["key"]


def test_parity_of_a_padded_batch(parity: dict[str, Any]) -> None:
    tokenizer, model = parity["tokenizer"], parity["model"]
    cases = parity["cases"]
    texts = [text_of(case, tokenizer) for case in cases]
    for side in ("left", "right"):
        inputs = tokenizer(texts, return_tensors="pt", padding=True, padding_side=side)
        with torch.no_grad():
            output = model(**inputs)
        for row, case in enumerate(cases):
            real = inputs["attention_mask"][row].bool()
            logits = output.logits[row][real][case["logits_positions"], :: parity["stride"]]
            expected = parity["logits"][f"{case['key']}.logits"]
            found = logits[:, : expected.shape[1]]
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0, msg=case["key"])


def test_parity_weights_survive_the_round_trip(parity: dict[str, Any], tmp_path: Path) -> None:
    exported = export_checkpoint(parity["folder"], tmp_path / "back.pth")
    assert_equal_states(parity["state"], torch.load(exported, weights_only=True))
