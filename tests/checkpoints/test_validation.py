"""Damaged and unfitting checkpoint folders: one line that names folder, file and value."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from finetuning_runs import content_of, planted, write_base, write_table
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from dnagpt_hf import (
    DNAGPTForMultiTask,
    DNAGPTForSequenceClassification,
    DNAGPTModel,
    DNAGPTTokenizer,
)
from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.checkpoints.saving import init_checkpoint
from dnagpt_hf.checkpoints.validation import CheckpointFolderError
from dnagpt_hf.cli.application import app
from dnagpt_hf.presets import preset_config

Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose weights are in several files."""
    folder = tmp_path_factory.mktemp("whole") / "model"
    return init_checkpoint(
        "dnagpt-test", folder, kmer_size=3, max_position_embeddings=64, max_shard_size="40KB"
    )


@pytest.fixture
def broken(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "a.csv", planted(20))
    (tmp_path / "a.fa").write_text(">a\nACGTACGTA\n")
    return shutil.copytree(whole, tmp_path / "broken")


def change(name: str, **fields: Any) -> Damage:
    def damage(folder: Path) -> None:
        content = json.loads((folder / name).read_text()) | fields
        (folder / name).write_text(json.dumps(content))

    return damage


def write(name: str, content: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content) and None


def remove(pattern: str) -> Damage:
    def damage(folder: Path) -> None:
        for path in folder.glob(pattern):
            path.unlink()

    return damage


def cut(folder: Path) -> None:
    shard = sorted(folder.glob("*.safetensors"))[1]
    shard.write_bytes(shard.read_bytes()[:-10])


def spoil_header(folder: Path) -> None:
    shard = sorted(folder.glob("*.safetensors"))[1]
    content = shard.read_bytes()
    shard.write_bytes(content[:8] + b"?" * 20 + content[28:])


def lose_tensor(folder: Path) -> None:
    shard = sorted(folder.glob("*.safetensors"))[1]
    tensors = load_file(shard)
    tensors.pop(min(tensors))
    save_file(tensors, shard, metadata={"format": "pt"})


def pickles_alone(folder: Path) -> None:
    remove("*.safetensors*")(folder)
    torch.save({"a": torch.ones(1)}, folder / "pytorch_model.bin")


def rename_shard(folder: Path) -> None:
    path = folder / "model.safetensors.index.json"
    content = json.loads(path.read_text())
    name = min(content["weight_map"])
    content["weight_map"][name] = "../other.safetensors"
    path.write_text(json.dumps(content))


SHARD = "model-00002-of-"
DAMAGES: dict[str, tuple[Damage, tuple[str, ...]]] = {
    "no config": (remove("config.json"), ("no checkpoint folder", "has no config.json")),
    "empty": (remove("*"), ("is an empty folder", "copy the checkpoint there")),
    "config cut": (write("config.json", b"{"), ("config.json is not JSON", "again")),
    "config of bytes": (write("config.json", b"\xff\xfe"), ("config.json is not JSON",)),
    "config with a field twice": (
        write("config.json", b'{"kmer_size": 3, "kmer_size": 6}'),
        ("config.json is not JSON: 'kmer_size' stands in it twice",),
    ),
    "config list": (write("config.json", b"[]"), ("config.json holds a list",)),
    "other model": (
        change("config.json", model_type="gpt2"),
        ("config.json: model_type is 'gpt2', not 'dnagpt'",),
    ),
    "later version": (
        change("config.json", format_version=7),
        ("config.json: format_version is 7", "knows 1", "install a newer"),
    ),
    "unknown class": (
        change("config.json", architectures=["DNAGPTForEverything"]),
        ("config.json: architectures is ['DNAGPTForEverything']", "DNAGPTForMultiTask"),
    ),
    "unknown activation": (change("config.json", hidden_act="foo"), ("config.json", "foo")),
    "text for a number": (
        change("config.json", number_token_id="x"),
        ("config.json: number_token_id is 'x'", "a whole number"),
    ),
    "unknown pooling": (
        change("config.json", classifier_pooling="max"),
        ("config.json: classifier_pooling is 'max'", "choose"),
    ),
    "dropout": (
        change("config.json", hidden_dropout=-1),
        ("config.json: hidden_dropout is -1", "give 0 to 1"),
    ),
    "wrong width": (
        change("config.json", hidden_size=64, intermediate_size=128),
        ("has shape (192, 32), config.json says (192, 64)",),
    ),
    "wrong positions": (
        change("config.json", max_position_embeddings=512),
        ("model.embed_positions.weight has shape (64, 32), config.json says (512, 32)",),
    ),
    "too many layers": (
        change("config.json", num_hidden_layers=3),
        ("lacks weight model.layers.2.", "copy or download"),
    ),
    "too few layers": (
        change("config.json", num_hidden_layers=1),
        ("has the unknown weight model.layers.1.", "config.json"),
    ),
    "no shard": (remove(f"{SHARD}*"), (SHARD, "is missing", "copy or download")),
    "shard cut": (cut, (SHARD, "is cut off or damaged", "copy or download")),
    "header damaged": (spoil_header, (SHARD, "is cut off or damaged")),
    "tensor missing": (lose_tensor, ("lacks weight", "copy or download")),
    "index elsewhere": (rename_shard, ("'../other.safetensors'", "same folder")),
    "index without map": (
        write("model.safetensors.index.json", b"{}"),
        ("index.json has no weight_map",),
    ),
    "index cut": (write("model.safetensors.index.json", b'{"w'), ("index.json is not JSON",)),
    "no weights": (remove("*.safetensors*"), ("has no weights, neither model.safetensors",)),
    "pickles alone": (
        pickles_alone,
        ("pytorch_model.bin is a pickle", "never loaded", "dnagpt convert"),
    ),
    "no tokenizer": (
        remove("tokenizer_config.json"),
        ("has no tokenizer_config.json", "kmer_size is 3"),
    ),
    "tokenizer cut": (write("tokenizer_config.json", b"{"), ("tokenizer_config.json is not JSON",)),
    "longer k-mers": (
        change("tokenizer_config.json", kmer_size=6),
        ("tokenizer_config.json is of a dynamic vocabulary of 6-mers", "another checkpoint"),
    ),
    "fixed k-mers": (
        change("tokenizer_config.json", dynamic_kmer=False),
        ("tokenizer_config.json is of a fixed vocabulary of 3-mers", "another checkpoint"),
    ),
    "wrong k": (
        change("tokenizer_config.json", kmer_size="six"),
        ("tokenizer_config.json: kmer_size is 'six'",),
    ),
}


def refused(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 1, result.output
    assert result.output.startswith("dnagpt: error: ")
    assert result.output.count("\n") == 1
    return result.output


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_wrong_is_said_in_one_line(broken: Path, damage: str) -> None:
    harm, messages = DAMAGES[damage]
    harm(broken)
    with pytest.raises(CheckpointFolderError) as error:
        open_checkpoint(broken).check()
    assert str(broken) in str(error.value)
    assert all(message in str(error.value) for message in messages), str(error.value)
    assert "\n" not in str(error.value)
    # the command that loads no weights says the same
    assert str(error.value) in refused("info", broken)


@pytest.mark.parametrize("name", ["a.bin", "a.pt", "dna_gpt0.1b_m.pth", "a.ckpt", "a.pkl"])
def test_a_pickle_is_named_in_place_of_weights_or_of_all(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"weights")
    with pytest.raises(CheckpointFolderError, match=f"; {name} is a pickle, .* dnagpt convert"):
        open_checkpoint(tmp_path)


def test_the_class_that_is_loaded_says_which_weights_are_needed(
    whole: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(whole, tmp_path / "bare")
    remove("*.safetensors*")(folder)
    weights = DNAGPTForMultiTask.from_pretrained(whole).model.state_dict()
    named = {f"model.{name}": weight for name, weight in weights.items()}
    save_file(named, folder / "model.safetensors", metadata={"format": "pt"})
    checkpoint = open_checkpoint(folder)
    for model_class in (DNAGPTModel, DNAGPTForSequenceClassification):
        assert isinstance(checkpoint.load_model(model_class), model_class)
    for load in (checkpoint.check, checkpoint.load_model):
        with pytest.raises(CheckpointFolderError, match=r"lacks weight number_head\."):
            load()


def test_a_whole_folder_is_accepted(whole: Path) -> None:
    open_checkpoint(whole).check()
    open_checkpoint("dnagpt-tiny").check()


COMMANDS: dict[str, tuple[str, ...]] = {
    "predict": ("a.fa", "--template", "<R>{sequence}<=><M>"),
    "embed": ("a.fa", "-o", "a.npz"),
    "evaluate": ("a.csv", "--template", "<R>{sequence}<=><M>{level}", "-o", "out"),
    "attention": ("a.fa", "-o", "a.png"),
    "attribute": ("a.fa", "-o", "a.png", "--template", "<R>{sequence}<=><M>"),
    "generate": ("-p", "<R>", "--bases", "9"),
    "export": ("a.pth",),
    "info": (),
}
# one of each kind: before, in and behind the weights
SEVERAL = (
    "later version",
    "wrong width",
    "no shard",
    "shard cut",
    "pickles alone",
    "longer k-mers",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_it(broken: Path, command: str) -> None:
    for damage in SEVERAL:
        folder = shutil.copytree(broken, broken.with_name(damage.replace(" ", "-")))
        harm, messages = DAMAGES[damage]
        harm(folder)
        before = sorted(folder.parent.iterdir())
        output = refused(command, folder, *COMMANDS[command])
        assert str(folder) in output
        assert all(message in output for message in messages), output
        assert sorted(folder.parent.iterdir()) == before


@pytest.mark.parametrize("damage", SEVERAL)
def test_training_says_it(broken: Path, damage: str) -> None:
    from dnagpt_hf.checkpoints.opening import open_checkpoint
    from dnagpt_hf.haplotypes.format import HaplotypeFormat
    from dnagpt_hf.haplotypes.settings import HaplotypeModelArguments
    from dnagpt_hf.haplotypes.training import new_model as haplotype_model
    from dnagpt_hf.pretraining.run import new_model
    from dnagpt_hf.pretraining.settings import ModelArguments

    harm, messages = DAMAGES[damage]
    harm(broken)
    settings = content_of(broken, broken.parent / "a.csv", broken.parent / "out")
    (broken.parent / "task.yaml").write_text(json.dumps(settings))
    output = refused("finetune", "task.yaml")
    assert all(message in output for message in messages), output
    with pytest.raises(CheckpointFolderError):
        new_model(ModelArguments(), open_checkpoint(broken))
    with pytest.raises(CheckpointFolderError):
        haplotype_model(HaplotypeModelArguments(model=str(broken)), HaplotypeFormat(9))


# -- what Transformers loads by itself -------------------------------------------------------------


def test_the_auto_classes_load_no_pickle(broken: Path) -> None:
    pickles_alone(broken)
    with pytest.raises(OSError, match=r"model.safetensors"):
        AutoModelForCausalLM.from_pretrained(broken)
    with pytest.raises(ValueError, match=r"pickle.*dnagpt convert"):
        AutoModelForCausalLM.from_pretrained(broken, use_safetensors=False)


def test_the_auto_classes_name_what_does_not_fit(broken: Path) -> None:
    remove("tokenizer_config.json")(broken)
    with pytest.raises(ValueError, match=r"broken has no tokenizer_config.json"):
        AutoTokenizer.from_pretrained(broken)
    assert DNAGPTTokenizer.from_pretrained(broken, kmer_size=3, dynamic_kmer=True).kmer_size == 3
    change("config.json", format_version=7)(broken)
    with pytest.raises(ValueError, match="format_version is 7"):
        AutoConfig.from_pretrained(broken)


def test_a_tied_head_and_a_model_without_head_are_whole(tmp_path: Path) -> None:
    config = preset_config("dnagpt-test", kmer_size=3, tie_word_embeddings=True)
    for model in (DNAGPTForMultiTask(config), DNAGPTModel(config)):
        folder = tmp_path / type(model).__name__
        model.save_pretrained(folder)
        DNAGPTTokenizer(kmer_size=3).save_pretrained(folder)
        open_checkpoint(folder).check()


# -- adapters --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an adapter of a new head, and its base beside it."""
    peft = pytest.importorskip("peft")
    work = tmp_path_factory.mktemp("adapted")
    base, folder = write_base(work / "base"), work / "adapter"
    model = DNAGPTForSequenceClassification.from_pretrained(base)
    settings = {"target_modules": ["q_proj"], "modules_to_save": ["score"]}
    adapter: Any = peft.get_peft_model(model, peft.LoraConfig(init_lora_weights=False, **settings))
    adapter.peft_config["default"].base_model_name_or_path = str(base)
    adapter.save_pretrained(folder)
    model.config.architectures = ["DNAGPTForSequenceClassification"]
    model.config.save_pretrained(folder)
    DNAGPTTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("harm", "messages"),
    [
        (
            change("adapter_config.json", base_model_name_or_path="/no/such/base"),
            ("adapter_config.json: the base of this adapter, '/no/such/base', is no folder here",),
        ),
        (
            change("adapter_config.json", base_model_name_or_path=None),
            ("adapter_config.json: base_model_name_or_path is None",),
        ),
        (write("adapter_config.json", b"{"), ("adapter_config.json is not JSON",)),
        (write("adapter_model.safetensors", b"half"), ("adapter_model.safetensors is cut off",)),
        (remove("adapter_model.safetensors"), ("without adapter_model.safetensors",)),
        (remove("config.json"), ("adapter without config.json", "merge_and_unload")),
    ],
)
def test_damaged_adapters(
    adapted: Path, tmp_path: Path, harm: Damage, messages: tuple[str, ...]
) -> None:
    folder = shutil.copytree(adapted, tmp_path / "adapter")
    (tmp_path / "a.fa").write_text(">a\nACGTACGTA\n")
    harm(folder)
    for command in ("predict", "info"):
        output = refused(command, folder, *([tmp_path / "a.fa"] * (command == "predict")))
        assert str(folder) in output
        assert all(message in output for message in messages), output


def test_an_adapter_as_a_pickle_is_refused(adapted: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(adapted, tmp_path / "adapter")
    torch.save(load_file(folder / "adapter_model.safetensors"), folder / "adapter_model.bin")
    remove("adapter_model.safetensors")(folder)
    assert "adapter_model.bin is a pickle" in refused("info", folder)


def test_the_base_of_an_adapter_is_checked(adapted: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(adapted, tmp_path / "adapter")
    base = shutil.copytree(adapted.with_name("base"), tmp_path / "base")
    change("adapter_config.json", base_model_name_or_path=str(base))(folder)
    (base / "model.safetensors").write_bytes(b"half")
    assert f"{base / 'model.safetensors'} is cut off" in refused("info", folder)


def test_an_adapter_beside_all_weights_is_refused(adapted: Path, tmp_path: Path) -> None:
    """Transformers adds it to them, even if it was merged into them before."""
    folder = shutil.copytree(adapted.with_name("base"), tmp_path / "both")
    open_checkpoint(folder).check()
    shutil.copy(adapted / "adapter_config.json", folder)
    message = r"both holds all weights and adapter_config\.json, .*: remove adapter_config\.json"
    with pytest.raises(CheckpointFolderError, match=message):
        open_checkpoint(folder).check()
