"""The parts of a task: divided, freed of duplicates, described."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from finetuning_runs import ANSWERS, BOTH, CLASS, NUMBER, Row, as_records, planted

from dnagpt_hf import DNAGPTTokenizer
from dnagpt_hf.tasks.dataset import TaskData, prepare_task
from dnagpt_hf.tasks.examples import read_examples
from dnagpt_hf.tasks.task import Task

COMPLEMENT = str.maketrans("ACGT", "TGCA")
TOKENIZER = DNAGPTTokenizer()


def prepare(task: Task, rows: Any, **options: Any) -> TaskData:
    parts = rows if isinstance(rows, dict) else {"all": rows}
    records = {part: iter(as_records(one, f"{part}.csv")) for part, one in parts.items()}
    return prepare_task(task, TOKENIZER, records, **{"max_length": 64, **options})


def names(data: TaskData) -> dict[str, list[str]]:
    return {part: examples.names for part, examples in data.splits.items()}


def test_every_record_is_in_exactly_one_part() -> None:
    rows = planted(200)
    data = prepare(Task(CLASS, answers=ANSWERS), rows)
    parts = names(data)
    together = [name for part in parts.values() for name in part]
    assert sorted(together, key=int) == [str(number) for number in range(1, 201)]
    assert {part: len(one) for part, one in parts.items()} == {
        "train": 120,
        "validation": 30,
        "test": 50,
    }
    assert data.report["records read"] == 200
    # and each with its own sequence and label
    for examples in data.splits.values():
        for place, name in enumerate(examples.names):
            row = rows[int(name) - 1]
            ids = examples[place]["input_ids"]
            assert TOKENIZER.decode(ids) == f"<R>{row['sequence']}<=><B>"
            assert examples.targets[place, 0] == list(ANSWERS.values()).index(row["label"])


def test_a_class_that_is_not_in_the_training_split(caplog: pytest.LogCaptureFixture) -> None:
    rows = planted(60)
    rare = [{**row, "label": "rare"} for row in rows[50:]]
    prepare(Task(CLASS), {"train": rows[:30], "validation": rows[30:50], "test": rare})
    (warning,) = caplog.messages
    assert warning.startswith("label: label 'rare' of the test split has no record in the training")


def test_classes_are_as_frequent_in_each_part() -> None:
    rows = [
        {**row, "label": "signal" if n % 10 == 0 else "none"} for n, row in enumerate(planted())
    ]
    data = prepare(Task(CLASS), rows)
    for part, size in (("train", 144), ("validation", 36), ("test", 60)):
        balance = data.report["parts"][part]["label"]
        assert balance["signal"] == pytest.approx(size / 10, abs=1)
        assert sum(balance.values()) == pytest.approx(size, abs=1)


def test_a_split_is_a_function_of_its_seed() -> None:
    task, rows = Task(CLASS), planted(100)
    assert names(prepare(task, rows, seed=3)) == names(prepare(task, rows, seed=3))
    assert names(prepare(task, rows, seed=3)) != names(prepare(task, rows, seed=4))
    # how a model answers, or what it reads, does not change who is tested
    head = prepare(task, rows, seed=3, head="classification", max_length=40, truncation="left")
    assert names(head) == names(prepare(task, rows, seed=3))


def test_groups_stay_together() -> None:
    rows = [{**row, "chromosome": str(number % 7)} for number, row in enumerate(planted(140))]
    data = prepare(Task(CLASS), rows, group="chromosome")
    of_part = [
        {record.values["chromosome"] for record in examples.records}
        for examples in data.splits.values()
    ]
    assert sum(map(len, of_part)) == 7 and set.union(*of_part) == {str(n) for n in range(7)}


@pytest.mark.parametrize("given", [("train",), ("train", "test"), ("train", "validation"), None])
def test_parts_that_are_given(given: tuple[str, ...] | None) -> None:
    given = given or ("train", "validation", "test")
    rows = {part: planted(60, seed) for seed, part in enumerate(given)}
    data = prepare(Task(CLASS), rows)
    assert sum(map(len, data.splits.values())) == 60 * len(given)
    for part in given:
        files = {record.source for record in data.splits[part].records}
        assert files == {f"{part}.csv"}
    if given == ("train",):
        assert set(data.splits) == {"train", "validation", "test"}
    elif given == ("train", "test"):
        # validation is taken from the training part, 1.5 of 7.5
        assert len(data.splits["validation"]) == 12
        assert {record.source for record in data.splits["validation"].records} == {"train.csv"}


# -- duplicates ------------------------------------------------------------------------------------


def other_strand(sequence: str) -> str:
    return sequence.translate(COMPLEMENT)[::-1]


@pytest.mark.parametrize("change", [str, str.lower, other_strand])
@pytest.mark.parametrize("level", [1, 2])
def test_sequences_that_stand_twice_are_kept_once(change: Any, level: int) -> None:
    rows = planted(60)
    again = [{**row, "sequence": change(row["sequence"])} for row in rows[:20]]
    task = Task(CLASS, answers=ANSWERS)
    data = prepare(task, [*rows, *again * level])
    assert data.report["duplicates within"] == 20 * level
    together = sorted((n for part in names(data).values() for n in part), key=int)
    assert together == [str(number) for number in range(1, 61)]
    # of parts that are given, those to be measured on stay whole
    other = planted(20, 1)
    train = [*again, *rows[40:], *other]
    parts = prepare(task, {"train": train, "validation": [*rows[:10], *other[:5]], "test": rows})
    assert parts.report["duplicates across"] == 20 + 20 + 10 + 5
    assert {part: len(one) for part, one in parts.splits.items()} == {
        "train": 15,
        "validation": 5,
        "test": 60,
    }


def test_no_sequence_is_in_two_parts() -> None:
    generator = np.random.default_rng(0)
    rows = planted(300, bases=6)
    for row in rows:
        row["label"] = generator.choice(["none", "signal"])
    for policy, most in (("remove", 1), ("keep", 300)):
        data = prepare(Task(NUMBER), rows, duplicate_records=policy)
        seen = Counter(key for part in data.splits.values() for key in part.keys)
        assert max(seen.values()) <= most
    assert max(seen.values()) > 1
    assert data.report["duplicate records"] == "keep"


def test_contradictory_labels_go() -> None:
    rows = planted(40)
    contradicting = [{**rows[0], "label": "signal" if rows[0]["label"] == "none" else "none"}]
    data = prepare(Task(CLASS, answers=ANSWERS), [*rows, *contradicting])
    assert data.report["duplicates contradictory"] == 2
    assert "1" not in [name for part in names(data).values() for name in part]
    # numbers are measured with noise: they do not contradict each other
    numbers = prepare(Task(NUMBER), [*rows, {**rows[0], "level": -1}])
    assert numbers.report["duplicates contradictory"] == 0
    assert numbers.report["duplicates within"] == 1


def test_duplicates_as_an_error() -> None:
    rows = planted(40)
    with pytest.raises(ValueError, match=r"^all\.csv, record 41 \(line 42\): its sequence, or its"):
        prepare(Task(CLASS), [*rows, rows[3]], duplicate_records="error")


# -- what cannot be used ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (
            [*planted(30), {**planted(31)[30], "label": "rare"}],
            {},
            r"^all\.csv, record 31 \(line 32\): class 'rare' has 1 of 31 records, too few",
        ),
        ([{**row, "label": "none"} for row in planted(9)], {}, "holds 1 labels"),
        ({"validation": planted(9)}, {}, "the train split would be empty"),
        (
            {"train": planted(9), "test": planted(9)},
            {},
            "the train split would be empty without 9 duplicates",
        ),
        (
            {"train": planted(9), "validation": [], "test": planted(9, 1)},
            {},
            "validation split would be",
        ),
        ({"train": planted(9), "validation": planted(9, 1), "test": []}, {}, "test split would be"),
        ([], {}, "the data hold no records"),
        (planted(30), {"fractions": [1, 0, 1]}, "the validation split would be empty"),
        (planted(30), {"fractions": [1, 1, 1, 1]}, r"split is \[1, 1, 1, 1\]"),
        (planted(30), {"fractions": [1]}, r"split is \[1\]"),
        (planted(30), {"group": "chromosome"}, "no column 'chromosome' to keep records together"),
    ],
)
def test_one_clear_error(rows: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prepare(Task(CLASS), rows, **options)


@pytest.mark.parametrize("parts", [{"all": []}, {"train": [], "test": planted(5)}])
def test_no_records_where_columns_are_named_by_their_beginning(parts: dict[str, list[Row]]) -> None:
    with pytest.raises(ValueError, match="the data hold no records"):
        prepare(Task("<M>{do…}<=><M>{level}"), parts)


# -- columns, labels, numbers ----------------------------------------------------------------------


def test_columns_named_by_their_beginning() -> None:
    rows = [{**row, "half_1": n, "half_2": 2 * n} for n, row in enumerate(planted(40))]
    data = prepare(Task("<R>{sequence}<+><M>{half…}<=><M>{level}"), rows)
    assert data.task.template == "<R>{sequence}<+><M>{half_1} {half_2}<=><M>{level}"
    assert len(data.task.standardization) == 3
    # the first record, from which they were read, is there too
    assert sum(map(len, data.splits.values())) == 40


def test_labels_that_are_not_stated_are_numbered_in_order() -> None:
    rows = [{**row, "label": "cab"[n % 3]} for n, row in enumerate(planted(60))]
    data = prepare(Task(CLASS), rows)
    assert data.task.answer_list[0].tokens == {"<0>": "a", "<1>": "b", "<2>": "c"}
    for examples in data.splits.values():
        for name, target in zip(examples.names, examples.targets[:, 0], strict=True):
            assert "abc"[int(target)] == rows[int(name) - 1]["label"]


def test_numbers_are_standardised_by_the_training_part_alone() -> None:
    train, test = planted(50), planted(50, 1)
    for row in test:
        row["dose"] += 1000
    data = prepare(Task(NUMBER), {"train": train, "validation": planted(9, 2), "test": test})
    doses, levels = (np.array([row[name] for row in train]) for name in ("dose", "level"))
    for (mean, deviation), values in zip(data.task.standardization, (doses, levels), strict=True):
        assert mean == pytest.approx(values.mean(), rel=1e-6)
        assert deviation == pytest.approx(values.std(), rel=1e-6)
    assert data.splits["test"].number_table().min() > 100
    # targets are put out as they were given
    assert data.splits["train"].targets[:, 0].tolist() == levels.tolist()


def test_numbers_as_they_are() -> None:
    data = prepare(Task(NUMBER), planted(50), standardize=False)
    assert data.task.standardization == ()
    numbers = data.splits["train"].number_table()
    assert numbers.mean() == pytest.approx(5, abs=1)


def test_the_report() -> None:
    rows = planted(100)
    report = prepare(Task(BOTH, answers=ANSWERS), rows).report
    train = report["parts"]["train"]
    assert train["records"] == 60
    # <R>, four 6-mers, <+><M>, the number, <=><B>
    assert train["tokens"] == {"least": 10, "median": 10.0, "most": 10}
    assert sum(train["label"].values()) == 60
    assert train["level"]["least"] < train["level"]["mean"] < train["level"]["most"]


# -- missing values --------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["", "NA", "nan", "None", "null", "<NA>", "#N/A"])
@pytest.mark.parametrize("column", ["label", "dose", "level"])
@pytest.mark.parametrize("answers", [ANSWERS, {}])
def test_records_without_a_value_are_left_out_and_counted(
    column: str, missing: str, answers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    rows = planted(60)
    for row in rows[5:12]:
        row[column] = missing
    data = prepare(Task(BOTH, answers=answers), rows)
    assert sum(map(len, data.splits.values())) == 53
    assert (data.report["records read"], data.report["records without a value"]) == (
        60,
        {column: 7},
    )
    assert data.task.answer_list[0].labels == ("none", "signal")
    assert f"left out 7 records without a value of {column}" in caplog.text
    examples = read_examples(data.task, TOKENIZER, as_records(rows), max_length=64)
    assert examples.names == [str(number) for number in range(1, 61) if not 6 <= number <= 12]


def test_values_that_look_missing() -> None:
    """A stated label may be called None, and NA is DNA."""
    rows = [{"sequence": f"{'NA' * n}", "label": label} for n in (1, 2) for label in ("None", "NA")]
    task = Task(CLASS, answers={"N": "None", "A": "NA"})
    examples = read_examples(task, TOKENIZER, as_records(rows), max_length=64)
    assert examples.targets[:, 0].tolist() == [0, 1, 0, 1]


def test_a_group_is_never_missing() -> None:
    rows = [{**row, "gene": "NA" if n == 7 else "g"} for n, row in enumerate(planted(40))]
    with pytest.raises(ValueError, match=r"record 8 .*column 'gene', which keeps records together"):
        prepare(Task(CLASS), rows, group="gene")


# -- heads -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("positive", [None, "no"])
def test_several_labels_are_held_or_not(positive: str | None) -> None:
    rows = [
        {**row, "a": "yes" if n % 3 else "no", "b": "no" if n % 2 else "yes"}
        for n, row in enumerate(planted(60))
    ]
    task = Task("<R>{sequence}<=><B>{a}<B>{b}", answers={"N": "no", "A": "yes"}, positive=positive)
    data = prepare(task, rows, head="classification")
    for examples in data.splits.values():
        for name, targets in zip(examples.names, examples.targets, strict=True):
            row = rows[int(name) - 1]
            wanted = [float(row[column] == (positive or "yes")) for column in ("a", "b")]
            assert targets.tolist() == wanted


def test_records_for_a_task_that_was_trained() -> None:
    data = prepare(Task(BOTH), planted(60))
    examples = read_examples(data.task, TOKENIZER, as_records(planted(60)), max_length=64)
    (mean, deviation), _ = data.task.standardization
    wanted = [(row["dose"] - mean) / deviation for row in planted(60)]
    numbers = examples.number_table()[:, 0]
    np.testing.assert_allclose(numbers, wanted, rtol=1e-5, atol=1e-6)
    assert list(data.task.answer_list[0].labels) == ["none", "signal"]
    with pytest.raises(ValueError, match="has no column behind <=>"):
        read_examples(Task("{sequence}<=><B>"), TOKENIZER, [], max_length=64)
    with pytest.raises(ValueError, match="the data hold no records"):
        read_examples(data.task, TOKENIZER, [], max_length=64)
