"""Cards of trained models: licence, base, data and figures, as people and the Hub read them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from finetuning_runs import ANSWERS, CLASS, NUMBER, settings_of, write_base
from transformers import TrainerState

from dnagpt_hf import DNAGPTConfig
from dnagpt_hf.checkpoints.card import read_card, render_model_card
from dnagpt_hf.finetuning.report import write_finetuning_card
from dnagpt_hf.haplotypes.training import _write_card as write_haplotype_card
from dnagpt_hf.pretraining.run import write_pretraining_card
from dnagpt_hf.tasks.task import Task

# of three epochs, a limit of steps left a half
STATE = TrainerState(epoch=0.5, global_step=24)
CONTENT = {"records": 48, "metrics": {"loss": 0.5, "mcc": 0.75, "auroc": float("nan")}}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_base(tmp_path / "base")


def tuned_card(base: Path, task: Task, **stated: Any) -> tuple[Any, str]:
    """Metadata and text of the card of a fine-tuning."""
    output = base.with_name("tuned")
    output.mkdir()
    settings = settings_of(base, base / "data.csv", output, **stated)
    data: Any = SimpleNamespace(
        task=task,
        splits={"train": SimpleNamespace(num_views=1)},
        report={"parts": {"train": {"records": 192}}},
    )
    config = DNAGPTConfig.from_pretrained(base)
    write_finetuning_card(settings, config, data, STATE, "test", CONTENT)
    card = read_card(output / "README.md")
    return card.data, card.text


def relicense(base: Path, released: bool | None) -> None:
    config = DNAGPTConfig.from_pretrained(base)
    card = render_model_card("base", config, origin="", released=released)
    (base / "README.md").write_text(card, encoding="utf-8")


def test_figures_of_a_fine_tuning(base: Path) -> None:
    data, text = tuned_card(base, Task(CLASS, {"label": ANSWERS}, name="motifs"))
    assert [
        (one.dataset_name, one.dataset_split, one.metric_type, one.metric_value)
        for one in data.eval_results
    ] == [("motifs", "test", "loss", 0.5), ("motifs", "test", "mcc", 0.75)]
    assert {(one.task_type, one.task_name) for one in data.eval_results} == {
        ("text-classification", "classification of DNA: label")
    }
    assert (data.license, data.datasets, data.base_model) == ("apache-2.0", None, None)
    for part in ("On the test split of the data", "Not measured:", "| mcc | 0.7500 |"):
        assert part in text
    assert "- learning rate: `0.005`" in text
    assert "- epochs: `0.5`\n- steps: `24`" in text
    assert str(base.parent) not in text and f"Fine-tuned from `{base.name}`" in text
    assert '- records: `{"train": 192}`' in text


@pytest.mark.parametrize(
    ("stated", "pipeline", "auto_class"),
    [
        ({}, "text-generation", "AutoModelForCausalLM"),
        ({"head": "classification"}, "text-classification", "AutoModelForSequenceClassification"),
    ],
)
def test_the_pipeline_is_that_of_the_head(
    base: Path, stated: dict[str, Any], pipeline: str, auto_class: str
) -> None:
    data, text = tuned_card(base, Task(CLASS, {"label": ANSWERS}, name="motifs"), **stated)
    assert data.pipeline_tag == pipeline
    assert f"model = {auto_class}.from_pretrained(" in text


def test_a_dataset_of_the_hub_is_named(base: Path) -> None:
    task = Task(NUMBER, name="levels")
    data, _ = tuned_card(base, task, data={"train": {"dataset": "org/levels"}})
    assert data.datasets == ["org/levels"]
    assert {(one.task_type, one.dataset_type) for one in data.eval_results} == {
        ("other", "org/levels")
    }


@pytest.mark.parametrize(
    ("released", "stated", "licence", "text"),
    [
        (True, {}, "other", "they may not be used commercially"),
        (True, {"from_scratch": True}, "apache-2.0", "The weights are under the same license"),
        (None, {}, "unknown", "Find it out, and state it here"),
    ],
)
def test_the_licence_follows_the_weights(
    base: Path, released: bool | None, stated: dict[str, Any], licence: str, text: str
) -> None:
    relicense(base, released)
    data, card = tuned_card(base, Task(CLASS, {"label": ANSWERS}), **stated)
    assert data.license == licence
    assert text in card


def test_pre_training_on_from_weights_of_the_authors(base: Path, tmp_path: Path) -> None:
    relicense(base, True)
    settings: Any = SimpleNamespace(
        model=SimpleNamespace(model=str(base), preset="dnagpt-tiny"),
        data=SimpleNamespace(genomes="/data/genomes.yaml"),
        training=SimpleNamespace(output_dir=str(tmp_path)),
    )
    figures = {"yeast_bits_per_base": 1.95}
    write_pretraining_card(settings, DNAGPTConfig.from_pretrained(base), 12, figures)
    card = read_card(tmp_path / "README.md")
    assert card.data.get("license_name") == "polyform-noncommercial-1.0.0"
    assert "| yeast_bits_per_base | 1.9500 |" in card.text
    assert "- steps: `12`" in card.text
    assert "- genomes: `genomes.yaml`" in card.text and str(base) not in card.text


def test_haplotypes(base: Path, tmp_path: Path) -> None:
    settings: Any = SimpleNamespace(
        model=SimpleNamespace(model="dnagpt-tiny", from_scratch=True),
        training=SimpleNamespace(
            output_dir=str(tmp_path),
            learning_rate=1e-3,
            train_batch_size=8,
            seed=0,
        ),
    )
    results = {"train": {"haplotypes": 4004, "sites": 805}, "test": {"bits_per_site": 0.25}}
    config = DNAGPTConfig.from_pretrained(base)
    config.haplotypes = {"num_sites": 805}
    write_haplotype_card(settings, config, STATE, results)
    card = read_card(tmp_path / "README.md")
    assert card.data.get("license") == "apache-2.0"
    assert "| train | 4,004 | 805 |  |" in card.text
    assert f"dnagpt haplotypes generate {tmp_path.name} --number" in card.text
    assert "model.generate(" not in card.text
    assert "| test |  |  | 0.2500 |" in card.text
