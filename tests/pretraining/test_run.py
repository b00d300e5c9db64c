"""Pre-training from a manifest to a checkpoint folder, as a user runs it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.cli import app
from dnagpt_hf.genomes.bases import GenomeError
from dnagpt_hf.presets import preset_config
from dnagpt_hf.pretraining.dataset import join_sequences, stack_sequences
from dnagpt_hf.pretraining.run import (
    evaluation_sequences,
    open_genomes,
    pretrain,
    read_genomes,
    sequence_collator,
)
from dnagpt_hf.pretraining.settings import parse_settings

SETTINGS = {
    "preset": "dnagpt-test",
    "config": {"num_hidden_layers": 1, "kmer_size": 2},
    "max_steps": 4,
    "rows_per_epoch": 16,
    "per_device_train_batch_size": 4,
    "per_device_eval_batch_size": 4,
    "eval_rows": 6,
    "eval_strategy": "steps",
    "eval_steps": 2,
    "save_steps": 2,
    "logging_steps": 1,
    "use_cpu": True,
    "disable_tqdm": True,
}


def random_dna(length: int, seed: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


@pytest.fixture
def genomes(tmp_path: Path) -> Path:
    """A manifest of two species with a held-out contig each."""
    for name, seed in (("yeast", 1), ("human", 2)):
        records = [f">{contig}\n{random_dna(2000, seed + i)}\n" for i, contig in enumerate("abM")]
        (tmp_path / f"{name}.fa").write_text("".join(records) + f">empty\n{'N' * 200}\n")
    manifest = tmp_path / "genomes.yaml"
    manifest.write_text(
        "species:\n"
        "  - {name: yeast, token: <U>, files: [yeast.fa], leave_out: [M], held_out: [b]}\n"
        "  - {name: human, token: <R>, files: [human.fa], leave_out: [M], held_out: [b]}\n"
    )
    return manifest


def write_config(folder: Path, genomes: Path, **settings: Any) -> Path:
    path = folder / "config.json"
    stated = {**SETTINGS, "genomes": str(genomes), "output_dir": str(folder / "model"), **settings}
    # JSON is YAML
    path.write_text(json.dumps(stated))
    return path


def test_the_command_writes_a_checkpoint_folder(tmp_path: Path, genomes: Path) -> None:
    config = write_config(tmp_path, genomes)
    result = CliRunner().invoke(app, ["pretrain", str(config), "--seed", "3"])
    assert result.exit_code == 0, result.output
    assert "trained for 4 steps" in result.output
    folder = tmp_path / "model"
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    assert model.config.num_hidden_layers == 1
    assert tokenizer.kmer_size == 2
    assert tokenizer.model_max_length == 64
    assert torch.isfinite(model(**tokenizer("<U>ACGT", return_tensors="pt")).logits).all()
    assert "| yeast_bits_per_base |" in (folder / "README.md").read_text()
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    assert len([entry for entry in history if "bits_per_base" in entry]) == 4
    assert len([entry for entry in history if "eval_human_order_accuracy" in entry]) == 2
    # the contig of N is not trained on
    assert (
        "empty"
        in json.loads((folder / "genomes.json").read_text())["species"][0]["undetermined_parts"]
    )


def test_the_same_command_again_goes_on(tmp_path: Path, genomes: Path) -> None:
    settings = {**SETTINGS, "genomes": str(genomes), "output_dir": str(tmp_path / "model")}
    whole = pretrain(parse_settings([], {**settings, "output_dir": str(tmp_path / "whole")}))
    pretrain(parse_settings(["--max_steps", "2"], settings))
    resumed = pretrain(parse_settings([], settings))
    losses = [
        [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        for trainer in (whole.trainer, resumed.trainer)
    ]
    assert len(losses[1]) == 4
    assert losses[0][0] == losses[1][0]
    with pytest.raises(
        ValueError, match=r"is of a run with .*, which cannot .* learning_rate 0\.5"
    ):
        pretrain(parse_settings(["--learning_rate", "0.5"], settings))
    yeast = tmp_path / "yeast.fa"
    content = yeast.read_text()
    # more bases, and another base in place of the first one
    for changed in (content + ">added\n" + "ACGGT" * 40 + "\n", f">a\n{'T' * 5}{content[8:]}"):
        yeast.write_text(changed)
        with pytest.raises(
            ValueError, match=r"of a run on other data \(yeast: .* bytes, hash .* now\)"
        ):
            pretrain(parse_settings([], settings))


def test_a_genome_that_is_not_read_is_told_by_a_sample(tmp_path: Path, genomes: Path) -> None:
    arguments = parse_settings(
        [], {**SETTINGS, "genomes": str(genomes), "check_genomes": False}
    ).data

    def found() -> Mapping[str, str]:
        return read_genomes(open_genomes(arguments), arguments, tmp_path)[1]

    before, yeast = found(), tmp_path / "yeast.fa"
    yeast.write_text(yeast.read_text().replace("ACG", "GTT"))
    after = found()
    assert before["human"] == after["human"] and before["yeast"] != after["yeast"]


def test_a_model_can_be_trained_further(tmp_path: Path, genomes: Path) -> None:
    first = {**SETTINGS, "genomes": str(genomes), "output_dir": str(tmp_path / "first")}
    pretrain(parse_settings([], first))
    second = {**first, "output_dir": str(tmp_path / "second"), "model": str(tmp_path / "first")}
    with pytest.raises(ValueError, match="config and model exclude each other"):
        pretrain(parse_settings([], second))
    trained = pretrain({**second, "config": None}, max_steps=1)
    assert trained.steps == 1
    assert trained.trainer.model.config.kmer_size == 2
    # the model of that name has other weights now
    pretrain(
        {**first, "output_dir": str(tmp_path / "first"), "resume_from_checkpoint": "none"}, seed=5
    )
    with pytest.raises(ValueError, match=r'of a run with weights of the model "[\d,]+ bytes, hash'):
        pretrain({**second, "config": None}, max_steps=1)


def test_evaluation_rows_are_held_out_and_filled_up(tmp_path: Path, genomes: Path) -> None:
    settings = parse_settings([], {**SETTINGS, "genomes": str(genomes)})
    species = open_genomes(settings.data)
    rows = evaluation_sequences(species, DNAGPTTokenizer(), settings.data, 64, multiple_of=4)
    assert rows is not None
    assert {name: len(dataset) for name, dataset in rows.items()} == {"yeast": 8, "human": 8}
    assert (rows["yeast"][7]["labels"] == -100).all()
    assert np.isnan(rows["yeast"][7]["number_labels"]).all()
    held_out = species[0].held_out[0][:].tobytes().decode()
    text = DNAGPTTokenizer().decode_dna(rows["yeast"][0]["input_ids"][1:9])
    complement = text[::-1].translate(str.maketrans("ACGT", "TGCA"))
    assert any(one in held_out for one in (text, text[::-1], complement, complement[::-1]))


def test_rows_are_joined_for_flash_attention() -> None:
    model = DNAGPTForMultiTask(preset_config("dnagpt-test"))
    assert sequence_collator(model) is stack_sequences
    model.config._attn_implementation = "flash_attention_2"
    assert sequence_collator(model) is join_sequences


def test_bad_input_ends_before_training(tmp_path: Path, genomes: Path) -> None:
    yeast = tmp_path / "yeast.fa"
    good = yeast.read_text()
    for content, message in (
        (good.replace("\n", "\n!", 1), r"yeast\.fa: record a: '!' at position 1"),
        ("", r"yeast\.fa is empty"),
    ):
        yeast.write_text(content)
        for derived in tmp_path.glob("*.fai"):
            derived.unlink()
        with pytest.raises(GenomeError, match=message):
            pretrain(parse_settings([], {**SETTINGS, "genomes": str(genomes)}))
    yeast.unlink()
    result = CliRunner().invoke(app, ["pretrain", str(write_config(tmp_path, genomes))])
    assert result.exit_code == 1
    assert "yeast.fa is missing" in result.output
    assert not (tmp_path / "model").exists()


def test_rows_longer_than_the_model_are_refused(tmp_path: Path, genomes: Path) -> None:
    settings = {**SETTINGS, "genomes": str(genomes), "output_dir": str(tmp_path / "model")}
    with pytest.raises(ValueError, match="positions is 65, more than the model's 64"):
        pretrain(parse_settings(["--positions", "65"], settings))


def test_unknown_token_loss_is_refused(tmp_path: Path, genomes: Path) -> None:
    settings = {**SETTINGS, "genomes": str(genomes), "output_dir": str(tmp_path / "model")}
    with pytest.raises(ValueError, match="invalid choice: 'fast'"):
        pretrain(parse_settings(["--token_loss", "fast"], settings))


def test_the_order_of_the_data_has_a_seed_of_its_own(tmp_path: Path, genomes: Path) -> None:
    rows = []
    for seed, data_seed in ((1, None), (1, 2), (3, 1), (1, 1)):
        output = tmp_path / f"{seed}-{data_seed}"
        stated = {**SETTINGS, "genomes": str(genomes), "output_dir": str(output), "max_steps": 1}
        stated |= {"seed": seed, "data_seed": data_seed, "eval_strategy": "no"}
        rows.append(pretrain(stated).trainer.train_dataset[0]["input_ids"].tolist())
    assert rows[0] == rows[2] == rows[3] != rows[1]
