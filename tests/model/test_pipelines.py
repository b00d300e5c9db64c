"""The pipelines of Transformers from a checkpoint folder: batches give what single records do."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, pipeline

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTForSequenceClassification, DNAGPTTokenizer
from dnagpt_hf.checkpoints.saving import save_checkpoint
from dnagpt_hf.presets import preset_config

# of 1 to 33 tokens, two with numbers
RECORDS = [
    "<R>ATCGTAGGCTTAGC",
    "<S>",
    "<K>" + "ACGTTGCAAC" * 19,
    "<R>ACGTAC<+><M>-0.5 0.25<=><B>",
    "<U>ACGTACGGTA<+><M>1e-3<=><M>",
]
PROMPTS = RECORDS[:3]
GREEDY = {"max_new_tokens": 6, "do_sample": False}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Checkpoints whose weights are large enough for the outputs to differ."""
    torch.manual_seed(0)
    parent = tmp_path_factory.mktemp("pipelines")
    config = preset_config(
        "dnagpt-test", initializer_range=0.3, id2label={0: "none", 1: "signal", 2: "other"}
    )
    tokenizer = DNAGPTTokenizer(model_max_length=64)
    models = {
        "text-generation": DNAGPTForMultiTask(config),
        "text-classification": DNAGPTForSequenceClassification(config),
    }
    written = {
        task: str(save_checkpoint(model, tokenizer, parent / task, model_card="# card\n"))
        for task, model in models.items()
    }
    return written | {"feature-extraction": written["text-generation"]}


def load(folders: dict[str, str], task: str) -> Any:
    tokenizer = AutoTokenizer.from_pretrained(folders[task], padding_side="left")
    return pipeline(task, model=folders[task], tokenizer=tokenizer)


def generator(records: list[str]) -> Iterator[str]:
    yield from records


def test_generation_in_batches(folders: dict[str, str]) -> None:
    generate = load(folders, "text-generation")
    single = [generate(prompt, **GREEDY)[0]["generated_text"] for prompt in PROMPTS]
    for size in (1, 2, 3):
        batched = list(generate(generator(PROMPTS), batch_size=size, **GREEDY))
        assert [outputs[0]["generated_text"] for outputs in batched] == single, size
    assert all(text.startswith(prompt) for text, prompt in zip(single, PROMPTS, strict=True))
    model, tokenizer = generate.model, generate.tokenizer
    ids = model.generate(**tokenizer(PROMPTS[0], return_tensors="pt"), **GREEDY)
    assert tokenizer.decode(ids[0]) == single[0]
    assert len(set(single[0])) > 3


def test_generation_does_not_go_on_behind_padding(folders: dict[str, str]) -> None:
    generate = load(folders, "text-generation")
    inputs = generate.tokenizer(PROMPTS, padding=True, padding_side="right", return_tensors="pt")
    for beams in (1, 2):
        with pytest.raises(ValueError, match=r"prompt 0 .* padding_side='left'"):
            generate.model.generate(**inputs, num_beams=beams, **GREEDY)


def test_numbers_in_generation(folders: dict[str, str]) -> None:
    generate = load(folders, "text-generation")
    prompt = RECORDS[4]
    with pytest.raises(ValueError, match="the prompt holds numbers"):
        generate(prompt, **GREEDY)
    inputs = generate.tokenizer(prompt, return_tensors="pt")
    (output,) = generate(
        prompt,
        number_values=inputs["number_values"],
        return_dict_in_generate=True,
        return_tensors=True,
        **GREEDY,
    )
    expected = generate.model.generate(**inputs, return_dict_in_generate=True, **GREEDY)
    assert output["generated_token_ids"] == expected.sequences[0].tolist()
    (output,) = generate(
        prompt,
        number_values=inputs["number_values"],
        return_dict_in_generate=True,
        **GREEDY,
    )
    # some releases of Transformers wrap the row in a list
    values = torch.tensor(output["number_values"]).flatten()
    assert torch.equal(values, expected.number_values[0])
    assert "<number>" in output["generated_text"]


@pytest.mark.parametrize("side", ["left", "right"])
def test_classification_in_batches(folders: dict[str, str], side: str) -> None:
    classify = load(folders, "text-classification")
    classify.tokenizer.padding_side = side
    single = [classify(record, top_k=None) for record in RECORDS]
    batched = list(classify(generator(RECORDS), batch_size=5, top_k=None))
    for one, other in zip(single, batched, strict=True):
        assert [label["label"] for label in one] == [label["label"] for label in other]
        scores = [[label["score"] for label in labels] for labels in (one, other)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-5)
    assert {label["label"] for label in single[0]} == {"none", "signal", "other"}
    # numbers are read
    changed = classify(RECORDS[3].replace("-0.5", "7"), top_k=None)
    assert abs(changed[0]["score"] - single[3][0]["score"]) > 1e-4


@pytest.mark.parametrize("side", ["left", "right"])
def test_features_in_batches(folders: dict[str, str], side: str) -> None:
    extract = load(folders, "feature-extraction")
    extract.tokenizer.padding_side = side
    batched = list(extract(generator(RECORDS), batch_size=5, return_tensors=True))
    for record, row in zip(RECORDS, batched, strict=True):
        single = extract(record, return_tensors=True)
        length = single.shape[1]
        row = row.reshape(1, -1, single.shape[-1])
        row = row[:, -length:] if side == "left" else row[:, :length]
        torch.testing.assert_close(row, single, atol=1e-5, rtol=0)


@pytest.mark.parametrize("task", ["text-generation", "text-classification", "feature-extraction"])
def test_too_long_is_our_error(folders: dict[str, str], task: str) -> None:
    run = load(folders, task)
    arguments = GREEDY if task == "text-generation" else {}
    with pytest.raises(ValueError, match=r"exceeds the model's 64 positions: pass truncation=True"):
        run("ACGTAC" * 65, **arguments)
    if task != "text-generation":
        assert run("ACGTAC" * 65, truncation=True) == run("ACGTAC" * 64)


PROGRAM = """
import json, sys
sys.modules["dnagpt_hf"] = None
from transformers import AutoTokenizer, pipeline
folders, records, prompts, greedy = json.loads(sys.argv[1])
results = {}
for task, folder in folders.items():
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left", trust_remote_code=True)
    run = pipeline(task, model=folder, tokenizer=tokenizer, trust_remote_code=True)
    assert type(run.model).__module__.startswith("transformers_modules.")
    given = prompts if task == "text-generation" else records
    arguments = greedy if task == "text-generation" else {}
    results[task] = list(run((record for record in given), batch_size=2, **arguments))
results["feature-extraction"] = [row[0][-1] for row in results["feature-extraction"]]
print(json.dumps(results))
"""


def test_without_the_package(folders: dict[str, str], tmp_path: Path) -> None:
    given = json.dumps([folders, RECORDS, PROMPTS, GREEDY])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, given],
        capture_output=True,
        text=True,
        env=os.environ | {"HF_HOME": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "is not supported" not in done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    generated = load(folders, "text-generation")(PROMPTS, batch_size=2, **GREEDY)
    assert found["text-generation"] == generated
    classes = load(folders, "text-classification")(RECORDS, batch_size=2)
    assert [one["label"] for one in found["text-classification"]] == [
        one["label"] for one in classes
    ]
    features = load(folders, "feature-extraction")(RECORDS, batch_size=2)
    torch.testing.assert_close(
        torch.tensor(found["feature-extraction"]),
        torch.tensor([row[0][-1] for row in features]),
        atol=1e-5,
        rtol=0,
    )


@pytest.mark.parametrize("template", ["<R>{sequence}<=><B>{label}", "<R>{sequence}<=><M>{level}"])
def test_no_head_is_invented_for_a_model_of_the_language(template: str, tmp_path: Path) -> None:
    model = DNAGPTForMultiTask(preset_config("dnagpt-test", task={"template": template}))
    folder = save_checkpoint(model, DNAGPTTokenizer(), tmp_path / "tuned", model_card="# card\n")
    with pytest.raises(LookupError, match="fine-tuned to answer in the token language") as error:
        pipeline("text-classification", model=str(folder))
    assert "\n" not in str(error.value.args[0])
    # a new head is trained on request
    head = DNAGPTForSequenceClassification.from_pretrained(
        folder, problem_type="single_label_classification", num_labels=3
    )
    assert head.score.out_features == 3
