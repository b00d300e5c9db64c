"""Records of a task as examples."""

from __future__ import annotations

from typing import Any

import pytest
from finetuning_runs import ANSWERS, BOTH, CLASS, NUMBER, as_records, planted

from dnagpt_hf import DNAGPTTokenizer
from dnagpt_hf.records.files import RecordError
from dnagpt_hf.tasks.examples import (
    Examples,
    encode_records,
    gaps_between_answers,
    prompt_encoder,
)
from dnagpt_hf.tasks.task import Task


def encode(task: Task, rows: list[dict[str, Any]], **options: Any) -> Examples:
    options = {"max_length": 64, **options}
    return encode_records(task, DNAGPTTokenizer(), as_records(rows), **options)[1]


def text(examples: Examples, number: int) -> str:
    example = examples[number]
    return DNAGPTTokenizer().decode(example["input_ids"], number_values=example["number_values"])


def test_prompts_and_targets() -> None:
    rows = planted(6)
    task = Task(BOTH, answers=ANSWERS)
    language = encode(task, rows)
    head = encode(task, rows, head="classification")
    assert len(language) == 6
    for number, row in enumerate(rows):
        prompt = f"<R>{row['sequence']}<+><M>{row['dose']}"
        assert text(language, number) == f"{prompt}<=><B>"
        assert text(head, number) == prompt
        wanted = [float(row["label"] == "signal"), row["level"]]
        assert language[number]["targets"].tolist() == wanted
    record = language.records[2]
    assert (record.source, record.line, record.values) == ("a.csv", 4, {})


def test_labels_that_are_not_stated_get_tokens() -> None:
    rows = [{"sequence": "ACGT", "label": label} for label in ("b", "a", "b", "c")]
    records = as_records(rows)
    task, examples = encode_records(Task(CLASS), DNAGPTTokenizer(), records, max_length=64)
    assert task.answer_list[0].tokens == {"<0>": "a", "<1>": "b", "<2>": "c"}
    assert examples.targets[:, 0].tolist() == [1, 0, 1, 2]


def test_numbers_that_are_answered_are_transformed() -> None:
    task = Task.from_dict({"template": NUMBER, "transforms": {"level": "log10(x)"}})
    examples = encode(task, [{"sequence": "ACGT", "dose": 2, "level": 1000}])
    assert examples.targets.tolist() == [[3.0]]


def test_selected_examples_are_the_same() -> None:
    rows = [{**row, "sequence": row["sequence"][: 3 + 2 * n]} for n, row in enumerate(planted(8))]
    examples = encode(Task(BOTH, answers=ANSWERS), rows, group="label")
    chosen = examples.select([5, 0, 5])
    for place, number in enumerate((5, 0, 5)):
        assert text(chosen, place) == text(examples, number)
        assert (chosen[place]["targets"] == examples[number]["targets"]).all()
        assert chosen.names[place] == examples.names[number]
        assert chosen.records[place] is examples.records[number]
        assert chosen.keys[place] == examples.keys[number]
    assert len(examples.select([])) == 0


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"sequence": "ACGT", "dose": 1}, "there is no column 'level', only sequence, dose"),
        ({"dose": 1, "level": 1}, "there is no column 'sequence'"),
        ({"sequence": "ACGT", "level": 1}, "there is no column 'dose'"),
        ({"sequence": "ACGT", "dose": 1, "level": "high"}, "'level' holds 'high', not a finite"),
        ({"sequence": "ACGT", "dose": 1, "level": "nan"}, "'level' holds 'nan', a missing value"),
        ({"sequence": "ACGT", "dose": "", "level": 1}, "column 'dose' is empty"),
        ({"sequence": "A" * 400, "dose": 1, "level": 1}, "exceed the model's 64 positions"),
        ({"sequence": "", "dose": 1, "level": 1}, "its sequence is empty"),
        ({"sequence": "ACG!", "dose": 1, "level": 1}, "sequence: character '!' at position 4"),
    ],
)
def test_what_is_wrong_is_named(row: dict[str, Any], message: str) -> None:
    rows = [{"sequence": "ACGT", "dose": 1, "level": 1}, row]
    with pytest.raises(RecordError, match=rf"^a\.csv, record 2 \(line 3\): .*{message}"):
        encode(Task(NUMBER), rows)


@pytest.mark.parametrize(("label", "problem"), [("maybe", "none of the answers"), ("", "answers")])
def test_a_label_outside_the_answers_is_named(label: str, problem: str) -> None:
    with pytest.raises(RecordError, match=rf"record 1 \(line 2\): .*{problem}"):
        encode(Task(CLASS, answers=ANSWERS), [{"sequence": "ACGT", "label": label}])
    with pytest.raises(RecordError, match=r"record 1 .*column 'label' holds .*a missing value"):
        encode(Task(CLASS), [{"sequence": "ACGT", "label": ""}])


def test_answers_need_positions() -> None:
    """Of 64, one answer takes none, and two take what stands before the last."""
    task, tokenizer = Task(BOTH, answers=ANSWERS), DNAGPTTokenizer()
    assert gaps_between_answers(task, tokenizer) == [[], [18]]
    assert prompt_encoder(task, tokenizer, max_length=64).max_length == 62
    one = Task(CLASS, answers=ANSWERS)
    assert prompt_encoder(one, tokenizer, max_length=64).max_length == 64
    # <R> … <+><M> number <=><B>
    fitting = {**planted(1)[0], "sequence": "A" * (6 * 56)}
    examples = encode(task, [fitting])
    assert examples.lengths.tolist() == [62]
    with pytest.raises(RecordError, match="exceed the model's 62 positions"):
        encode(task, [{**fitting, "sequence": "A" * (6 * 56 + 1)}])
    cut = encode(task, [{**fitting, "sequence": "A" * 6 + "C" * 6 * 56}], truncation="left")
    assert text(cut, 0).startswith(f"<R>{'C' * 6 * 56}<+>")


# -- keys ------------------------------------------------------------------------------------------


def keys(task: Task, rows: list[dict[str, Any]]) -> list[bytes]:
    return encode(task, rows).keys


def test_keys_are_of_what_is_read() -> None:
    task = Task.from_dict(
        {"template": CLASS, "sequences": {"sequence": {"cut_out": [2, 4]}}, "answers": ANSWERS}
    )
    rows = [{"sequence": s, "label": "none"} for s in ("AAGGCC", "AATTCC", "AAGGCT", "aaggcc")]
    first, second, third, fourth = keys(task, rows)
    assert first == second == fourth != third


def test_numbers_alone_have_no_other_strand() -> None:
    rows = [{"x": x, "y": y} for x, y in ((12, 3), (21, 3), (12, 4), (1, 23))]
    found = keys(Task("<M>{x} {y}<=><M>{y}"), rows)
    assert len(set(found)) == 4
    tokens = [{"s": token, "y": 1} for token in ("R", "S", "R")]
    first, second, third = keys(Task("<{s}><=><M>{y}"), tokens)
    assert first == third != second


def test_every_record_has_as_many_numbers() -> None:
    rows = [{"x": "1 2", "y": 1}, {"x": "1 2", "y": 1}, {"x": "1", "y": 1}]
    examples = encode(Task("<M>{x}<=><M>{y}"), rows)
    wanted = r"^a\.csv, record 3 \(line 4\): it holds 1 number, where the training data have 2"
    with pytest.raises(ValueError, match=wanted):
        examples.number_table()


def test_groups_are_read() -> None:
    rows = [{"sequence": "ACGT", "label": "none", "chromosome": name} for name in ("1", "X")]
    examples = encode(Task(CLASS, answers=ANSWERS), rows, group="chromosome")
    assert [one.values["chromosome"] for one in examples.records] == ["1", "X"]
    with pytest.raises(RecordError, match="there is no column 'contig' to keep records together"):
        encode(Task(CLASS, answers=ANSWERS), rows, group="contig")


def test_no_records() -> None:
    with pytest.raises(ValueError, match="the data hold no records"):
        encode(Task(CLASS), [])
