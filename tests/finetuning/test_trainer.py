"""The Trainer of fine-tuning: loss, class weights, evaluation, and the masks it lets be made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from finetuning_runs import (
    ANSWERS,
    BOTH,
    CLASS,
    NUMBER,
    Row,
    as_records,
    planted,
    settings_of,
    whole_record,
    write_base,
)
from torch import nn
from transformers import TrainingArguments

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTForSequenceClassification, DNAGPTTokenizer
from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.evaluation.evaluation import Evaluation
from dnagpt_hf.finetuning.model import head_labels, new_model
from dnagpt_hf.finetuning.trainer import (
    FineTuningTrainer,
    TaskCollator,
    balanced_weights,
    class_weights,
)
from dnagpt_hf.inference.prediction import predict_records
from dnagpt_hf.presets import preset_config, preset_tokenizer
from dnagpt_hf.tasks.dataset import TaskData, prepare_task
from dnagpt_hf.tasks.task import Head, Task

TOKENIZER: DNAGPTTokenizer = preset_tokenizer("dnagpt-test", kmer_size=3)
SEVERAL = "<R>{sequence}<+><M>{dose}<=><B>{label}<M>{level} {dose}<B>{other}"
TWO = "<R>{sequence}<=><B>{label}<B>{other}"


def several(count: int = 40) -> list[Row]:
    rows = planted(count)
    return [
        {**row, "sequence": row["sequence"][: 10 + n % 14], "other": "signal" if n % 3 else "none"}
        for n, row in enumerate(rows)
    ]


def data_of(template: str, rows: list[Row], head: Head = "language", **task: Any) -> TaskData:
    return prepare_task(
        Task(template, **{"answers": ANSWERS if "<B>" in template else {}, **task}),
        TOKENIZER,
        {"all": as_records(rows)},
        head=head,
        max_length=64,
    )


def model_of(data: TaskData, head: Head = "language", **options: Any) -> Any:
    torch.manual_seed(0)
    config = preset_config("dnagpt-test", kmer_size=3, task=data.task.as_dict(), **options)
    if head == "language":
        return DNAGPTForMultiTask(config)
    config.id2label = head_labels(data.task)
    config.problem_type = data.task.problem_type
    return DNAGPTForSequenceClassification(config)


def trainer_of(
    data: TaskData,
    folder: Path,
    head: Head = "language",
    model: Any = None,
    weights: Any = None,
    **options: Any,
) -> FineTuningTrainer:
    arguments = TrainingArguments(
        output_dir=str(folder),
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        save_strategy="no",
        **options,
    )
    return FineTuningTrainer(
        model_of(data, head) if model is None else model,
        args=arguments,
        task=data.task,
        head=head,
        class_weights=class_weights(weights, data, head),
        train_dataset=data.splits["train"],
        eval_dataset=data.splits["validation"],
        processing_class=TOKENIZER,
    )


def batch_of(data: TaskData, head: Head = "language", part: str = "train") -> Any:
    collate = TaskCollator(data.task, TOKENIZER, head)
    examples = data.splits[part]
    return collate([examples[number] for number in range(len(examples))])


def loss_of(trainer: FineTuningTrainer, batch: Any) -> float:
    with torch.no_grad():
        return float(trainer.compute_loss(trainer.model.eval(), dict(batch)))


# -- batches ---------------------------------------------------------------------------------------


def test_a_batch_ends_in_all_answers_but_the_last() -> None:
    rows = several()
    data = data_of(SEVERAL, rows)
    examples, batch = data.splits["train"], batch_of(data)
    (dose_mean, dose_deviation), *answered = data.task.standardization
    for place, name in enumerate(examples.names):
        row = rows[int(name) - 1]
        real = batch["attention_mask"][place].bool()
        text = TOKENIZER.decode(batch["input_ids"][place][real])
        token = "A" if row["label"] == "signal" else "N"
        # 0.0 stands for numbers whose values are not told
        assert text.startswith(f"<R>{row['sequence']}<+><M>")
        assert f"<=><B>{token}<M>" in text and text.endswith("<B>")
        values = batch["number_values"][place][
            batch["input_ids"][place] == TOKENIZER.number_token_id
        ]
        scaled = (row["dose"] - dose_mean) / dose_deviation
        level = (row["level"] - answered[0][0]) / answered[0][1]
        np.testing.assert_allclose(values, [scaled, level, scaled], rtol=1e-4, atol=1e-4)
        wanted = [token == "A", level, scaled, row["other"] == "signal"]
        np.testing.assert_allclose(batch["targets"][place], wanted, rtol=1e-4, atol=1e-4)
        # padding stands before the record
        assert real.int().diff().min() >= 0
    assert len(set(batch["attention_mask"].sum(1).tolist())) > 1


# -- loss ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", [CLASS, NUMBER, BOTH, SEVERAL])
def test_the_loss_is_that_of_the_model_with_labels_at_the_answers(
    tmp_path: Path, template: str
) -> None:
    """Whole records with `labels` and `number_labels`, each record alone and not padded."""
    rows = several()
    data = data_of(template, rows)
    trainer = trainer_of(data, tmp_path)
    trainer.number_loss_weight = 0.7
    task, number = data.task, int(TOKENIZER.number_token_id)
    token_losses, number_losses = [], []
    for name in data.splits["train"].names:
        row = rows[int(name) - 1]
        inputs = TOKENIZER(whole_record(task, row), return_tensors="pt")
        ids, values = inputs["input_ids"], inputs["number_values"]
        scales = torch.tensor(task.standardization, dtype=torch.float32).reshape(-1, 2)
        values[ids == number] = (values[ids == number] - scales[:, 0]) / scales[:, 1]
        answers = torch.zeros_like(ids, dtype=torch.bool)
        behind = int((ids[0] == TOKENIZER.convert_tokens_to_ids("<=>")).nonzero()[-1])
        instructions = torch.tensor([18, 19])
        answers[0, behind + 1 :] = ~torch.isin(ids[0, behind + 1 :], instructions)
        with torch.no_grad():
            output = trainer.model.eval()(
                input_ids=ids,
                number_values=values,
                labels=torch.where(answers & (ids != number), ids, -100),
                number_labels=torch.where(answers & (ids == number), values, torch.nan),
            )
        token_losses.append(float(output.token_loss))
        number_losses.append(float(output.number_loss))
    wanted = np.mean(token_losses) + 0.7 * np.mean(number_losses)
    assert loss_of(trainer, batch_of(data)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    ("template", "function"),
    [
        (CLASS, nn.CrossEntropyLoss()),
        (NUMBER, nn.MSELoss()),
        ("<R>{sequence}<=><M>{dose} {level}", nn.MSELoss()),
        (TWO, nn.BCEWithLogitsLoss()),
    ],
)
def test_the_loss_of_a_head_is_its_own(tmp_path: Path, template: str, function: Any) -> None:
    data = data_of(template, several(), "classification")
    trainer = trainer_of(data, tmp_path, "classification")
    batch = batch_of(data, "classification")
    inputs = {name: value for name, value in batch.items() if name != "targets"}
    targets = batch["targets"]
    if template == CLASS:
        targets = targets[:, 0].long()
    with torch.no_grad():
        logits = trainer.model.eval()(**inputs).logits
        own = trainer.model(**inputs, labels=targets).loss
    assert loss_of(trainer, batch) == pytest.approx(float(function(logits, targets)), rel=1e-6)
    assert loss_of(trainer, batch) == pytest.approx(float(own), rel=1e-6)


@pytest.mark.parametrize(
    ("template", "head"),
    [
        *((template, "language") for template in (CLASS, NUMBER, BOTH, SEVERAL, TWO)),
        *((template, "classification") for template in (CLASS, NUMBER, TWO)),
        ("<R>{sequence}<=><M>{level}", "language"),
    ],
)
@pytest.mark.parametrize("trained", ["all", "head"])
def test_all_that_is_trained_gets_a_gradient(
    tmp_path: Path, template: str, head: Head, trained: str
) -> None:
    """Processes that share a model wait for each of them."""
    base = write_base(tmp_path / "base")
    stated = {"template": template, "answers": ANSWERS if "<B>" in template else None}
    settings = settings_of(base, tmp_path, tmp_path, head=head, trained=trained, **stated)
    data = data_of(template, several(), head)
    model = new_model(settings.tuning, data, open_checkpoint(base))
    trainer = trainer_of(data, tmp_path, head, model=model)
    trainer.compute_loss(model.train(), batch_of(data, head)).backward()
    got = {name for name, one in model.named_parameters() if one.grad is not None}
    assert got == {name for name, one in model.named_parameters() if one.requires_grad}
    assert any(name.startswith(("token_head", "number_head", "score")) for name in got)
    assert any(name.startswith("model.layers") for name in got) == (trained == "all")


# -- class weights ---------------------------------------------------------------------------------


def test_labels_that_are_numbers_in_yaml_have_weights() -> None:
    rows = [{**row, "label": str(n % 2)} for n, row in enumerate(planted(40))]
    assert class_weights({1: 3, "0": 2}, data_of(CLASS, rows, answers={}), "language") == [[2, 3]]


def test_balanced_weights_by_hand() -> None:
    # 8 records, 3 classes: 8 / (3 · 5), 8 / (3 · 2), 8 / (3 · 1)
    targets = np.array([0, 0, 1, 0, 2, 0, 1, 0])
    assert balanced_weights(targets, 3) == pytest.approx([8 / 15, 8 / 6, 8 / 3])
    weights = np.array(balanced_weights(targets, 3))[targets]
    assert [weights[targets == one].sum() for one in range(3)] == pytest.approx([8 / 3] * 3)


@pytest.mark.parametrize("head", ["language", "classification"])
@pytest.mark.parametrize("stated", ["balanced", {"signal": 5.0}, {"signal": 5, "none": 0.5}])
def test_a_weighted_loss_by_hand(tmp_path: Path, head: Head, stated: Any) -> None:
    rows = [{**row, "label": "signal" if n % 5 == 0 else "none"} for n, row in enumerate(several())]
    data = data_of(CLASS, rows, head)
    batch = batch_of(data, head)
    targets = batch["targets"][:, 0].long()
    # classes are numbered as the answers are stated: none, signal
    counts = torch.bincount(targets).tolist()
    assert counts[0] > counts[1]
    by_class = {
        "balanced": [24 / (2 * counts[0]), 24 / (2 * counts[1])],
        "one": [1.0, 5.0],
        "two": [0.5, 5.0],
    }["balanced" if stated == "balanced" else "two" if "none" in stated else "one"]
    trainer = trainer_of(data, tmp_path, head, weights=stated)
    plain = trainer_of(data, tmp_path, head, model=trainer.model)
    losses = []
    for number in range(len(targets)):
        collate = TaskCollator(data.task, TOKENIZER, head)
        losses.append(loss_of(plain, collate([data.splits["train"][number]])))
    weights = np.array(by_class)[targets]
    wanted = (weights * losses).mean()
    assert loss_of(trainer, batch) == pytest.approx(wanted, rel=1e-5)
    assert loss_of(trainer, batch) != pytest.approx(np.mean(losses), rel=1e-4)


@pytest.mark.parametrize("positive", ["signal", "none"])
def test_weights_of_several_labels(positive: str) -> None:
    data = data_of(TWO, several(), "classification", positive=positive)
    # first of what does not hold, then of what does
    stated = class_weights({"signal": 3.0}, data, "classification")
    assert stated == [[1.0, 3.0] if positive == "signal" else [3.0, 1.0]] * 2
    balanced = class_weights("balanced", data, "classification")
    held = data.splits["train"].targets.mean(0)
    assert balanced is not None
    np.testing.assert_allclose(balanced, np.stack([0.5 / (1 - held), 0.5 / held], axis=1))


def test_weights_of_answers_that_have_labels_of_their_own() -> None:
    rows = [{**row, "other": "up" if n % 2 else "down"} for n, row in enumerate(several())]
    other = {"<0>": "up", "<1>": "down"}
    data = data_of(SEVERAL, rows, answers={"label": ANSWERS, "other": other})
    assert class_weights({"up": 2}, data, "language") == [[1, 1], None, None, [2, 1]]


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ("equal", "class_weights is 'equal': write balanced"),
        ([1, 2], r"class_weights is \[1, 2\]"),
        ({"sgnal": 2}, "name label 'sgnal': choose of none, signal"),
        ({"signal": 0}, "signal is 0: give a number above 0"),
        ({"signal": -1.0}, "signal is -1.0"),
        ({"signal": "much"}, "signal is 'much'"),
        ({"signal": float("nan")}, "signal is nan"),
    ],
)
def test_weights_that_cannot_be(stated: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        class_weights(stated, data_of(CLASS, several()), "language")


# -- evaluation ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "head"),
    [(SEVERAL, "language"), (CLASS, "classification"), (NUMBER, "classification")],
)
def test_evaluation_is_prediction(tmp_path: Path, template: str, head: Head) -> None:
    """Whatever the batches, the answers are those that prediction gives for the same records."""
    rows = several()
    data = data_of(template, rows, head)
    trainer = trainer_of(data, tmp_path, head, per_device_eval_batch_size=4)
    evaluation = trainer.evaluate_examples(data.splits["test"])
    chosen = [rows[int(name) - 1] for name in evaluation.names]
    model = trainer.model.eval()
    for number, prediction in enumerate(predict_records(model, TOKENIZER, as_records(chosen))):
        scores = [
            value
            for answer in prediction.answers.values()
            for value in (*answer.probabilities.values(), *answer.numbers.values())
        ]
        np.testing.assert_allclose(evaluation.scores[number], scores, rtol=1e-5, atol=1e-6)


def test_evaluation_leaves_the_model_in_training(tmp_path: Path) -> None:
    data = data_of(CLASS, several())
    trainer = trainer_of(data, tmp_path)
    trainer.model.train()
    trainer.evaluate_examples(data.splits["test"])
    assert all(module.training for module in trainer.model.modules())
    trainer.model.eval()
    trainer.evaluate_examples(data.splits["test"])
    assert not any(module.training for module in trainer.model.modules())


def test_metrics_are_reported_with_their_prefix(tmp_path: Path) -> None:
    data = data_of(BOTH, several())
    trainer = trainer_of(data, tmp_path)
    metrics = trainer.evaluate()
    evaluation = trainer.evaluate_examples(data.splits["validation"])
    for name, value in evaluation.metrics().items():
        assert metrics[f"eval_{name}"] == pytest.approx(value, nan_ok=True)
    assert set(trainer.metric_names()) == set(evaluation.metrics())
    assert trainer.predict(data.splits["test"]).predictions.shape == (10, 3)


def test_classes_and_targets_have_one_order(tmp_path: Path) -> None:
    """A model that is made to say `signal` has the recall of signals, whatever their place."""
    for head, tokens in [
        ("language", {"N": "none", "A": "signal"}),
        ("language", {"A": "signal", "N": "none"}),
        ("classification", {"N": "none", "A": "signal"}),
        ("classification", {"A": "signal", "N": "none"}),
        ("classification", {"N": "signal", "A": "none"}),
    ]:
        task = {"answers": tokens, "positive": "signal"}
        data = data_of(CLASS, several(), head, **task)  # type: ignore[arg-type]
        trainer = trainer_of(data, tmp_path, head)  # type: ignore[arg-type]
        place = list(tokens.values()).index("signal")
        answers = trainer._answers()
        scores = np.full((10, 2), 0.1, np.float32)
        scores[:, place] = 0.9
        evaluation = Evaluation.from_scores(data.task, answers.outputs, data.splits["test"], scores)
        metrics = evaluation.metrics()
        signals = [
            several()[int(name) - 1]["label"] == "signal" for name in data.splits["test"].names
        ]
        assert metrics["recall"] == 1
        assert metrics["accuracy"] == metrics["precision"] == np.mean(signals)
        for row, is_signal in zip(evaluation.rows(), signals, strict=True):
            assert row["predicted"] == "signal"
            assert row["target"] == ("signal" if is_signal else "none")
            assert row["probability_signal"] == pytest.approx(0.9)


# -- memory ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["language", "classification"])
def test_no_mask_is_made_where_nothing_is_padded(
    tmp_path: Path, head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records of one length are read without a mask of (length x length) by sdpa."""
    masks: list[Any] = []
    attend = nn.functional.scaled_dot_product_attention

    def recorded(*args: Any, attn_mask: Any = None, is_causal: bool = False, **kwargs: Any) -> Any:
        masks.append(attn_mask)
        assert is_causal is (attn_mask is None)
        return attend(*args, attn_mask=attn_mask, is_causal=is_causal, **kwargs)

    monkeypatch.setattr(nn.functional, "scaled_dot_product_attention", recorded)
    for rows, padded in ((planted(40), False), (several(), True)):
        data = data_of(CLASS, rows, head)
        model = model_of(data, head, attn_implementation="sdpa")
        trainer = trainer_of(data, tmp_path, head, model=model)
        loss_of(trainer, batch_of(data, head))
        assert masks and all((mask is not None) == padded for mask in masks)
        masks.clear()
        trainer.evaluate_examples(data.splits["test"])
        assert masks and (padded or all(mask is None for mask in masks))
        masks.clear()
