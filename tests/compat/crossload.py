"""Write and check checkpoints in an environment without the package, by remote code alone.

    python crossload.py write SOURCE FOLDER     # load SOURCE, save it as FOLDER, note what it gives
    python crossload.py check WORK FOLDER...    # load each FOLDER, compare, save in WORK, compare

The last line printed is JSON: for each folder a list of what differs. `matrix.py` runs this.
Where PyTorch is missing, configuration and tokenizer alone are written and compared.
"""

import importlib.util
import json
import multiprocessing
import shutil
import sys
import traceback
from pathlib import Path
from typing import Any

RECORDS = ["<R>ATCGTAGGCTTAGC", "<R>ACGTAC<+><M>-0.5 1e-3<=><B>", "<S>GGCNTA<=>"]
PROMPT = "<R>ACGTACGGA<+><M>0.5<=><M>"
FIELDS = ("vocab_size", "hidden_size", "num_hidden_layers", "kmer_size", "task", "id2label")
EXPECTED = "expected.json"
TENSORS = "expected.safetensors"
# Environments share one release of PyTorch or differ in it: sums may be taken in another order.
TOLERANCE = 1e-4

Found = tuple[dict[str, Any], dict[str, Any]]


def load(folder: Path) -> dict[str, Any]:
    """Everything that the Auto classes make of the two folders inside `folder`."""
    from transformers import AutoConfig, AutoTokenizer

    multi_task, classifier = (str(folder / name) for name in ("multi-task", "classifier"))
    loaded = {
        "config": AutoConfig.from_pretrained(classifier, trust_remote_code=True),
        "tokenizer": AutoTokenizer.from_pretrained(multi_task, trust_remote_code=True),
    }
    if importlib.util.find_spec("torch") and list(Path(multi_task).glob("*.safetensors")):
        import transformers

        for name, place in (
            ("AutoModel", multi_task),
            ("AutoModelForCausalLM", multi_task),
            ("AutoModelForSequenceClassification", classifier),
        ):
            model, info = getattr(transformers, name).from_pretrained(
                place, trust_remote_code=True, output_loading_info=True
            )
            wrong = {
                key: sorted(map(str, info[key])) for key in ("missing_keys", "mismatched_keys")
            }
            if any(wrong.values()):
                raise ValueError(f"{name} finds {wrong}")
            loaded[name] = model.eval()
    return loaded


def observe(loaded: dict[str, Any]) -> Found:
    """What configuration, tokenizer and models give: plain values, and tensors."""
    tokenizer = loaded["tokenizer"]
    batch = dict(tokenizer(RECORDS, padding=True))
    values = {name: getattr(loaded["config"], name) for name in FIELDS}
    values["id2label"] = {str(key): label for key, label in values["id2label"].items()}
    values |= {name: [list(row) for row in rows] for name, rows in batch.items()}
    values["text"] = tokenizer.batch_decode(
        batch["input_ids"], number_values=batch["number_values"]
    )
    tensors = {}
    if "AutoModel" in loaded:
        tensors = _outputs(loaded, batch)
        sequence, numbers, text = _generate(loaded["AutoModelForCausalLM"], tokenizer)
        values |= {"generated": sequence, "generated text": text}
        tensors["generated numbers"] = numbers
    return values, tensors


def _outputs(loaded: dict[str, Any], batch: dict[str, Any]) -> dict[str, Any]:
    import torch

    inputs = {name: torch.tensor(rows) for name, rows in batch.items()}
    tensors = {}
    with torch.no_grad():
        tensors["hidden states"] = loaded["AutoModel"](**inputs).last_hidden_state
        output = loaded["AutoModelForCausalLM"](**inputs)
        tensors["token logits"] = output.logits
        tensors["number predictions"] = output.number_predictions
        classifier = loaded["AutoModelForSequenceClassification"]
        tensors["class logits"] = classifier(**inputs).logits
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _generate(model: Any, tokenizer: Any) -> tuple[list[int], Any, str]:
    """A greedy continuation that begins with a number."""
    output = model.generate(
        **tokenizer([PROMPT], return_tensors="pt"),
        max_new_tokens=6,
        do_sample=False,
        return_dict_in_generate=True,
    )
    sequence = output.sequences[0].tolist()
    text = tokenizer.decode(sequence, number_values=output.number_values[0].tolist())
    return sequence, output.number_values, text


def save(loaded: dict[str, Any], folder: Path) -> None:
    """Save what was loaded, as anyone does who knows `save_pretrained` alone."""
    loaded["config"].save_pretrained(folder / "classifier")
    for name, place in (
        ("tokenizer", "multi-task"),
        ("AutoModelForCausalLM", "multi-task"),
        ("AutoModelForSequenceClassification", "classifier"),
    ):
        if name in loaded:
            loaded[name].save_pretrained(folder / place)


def record(found: Found, folder: Path) -> None:
    """Keep beside the checkpoint what its writer saw."""
    values, tensors = found
    (folder / EXPECTED).write_text(json.dumps(values), encoding="utf-8")
    if tensors:
        from safetensors.torch import save_file

        save_file(tensors, folder / TENSORS)


def differences(found: Found, folder: Path) -> list[str]:
    """In what the outputs differ from those that the writer of `folder` recorded."""
    values, tensors = found
    expected = json.loads((folder / EXPECTED).read_text(encoding="utf-8"))
    wrong = [
        f"{name}: {values[name]!r} and not {expected[name]!r}"
        for name in expected
        if name in values and values[name] != expected[name]
    ]
    if tensors:
        from safetensors.torch import load_file

        for name, tensor in load_file(folder / TENSORS).items():
            same_shape = tensors[name].shape == tensor.shape
            largest = float((tensors[name] - tensor).abs().max()) if same_shape else float("inf")
            if not largest <= TOLERANCE:
                wrong.append(f"{name}: deviates by {largest:.2g}")
    return wrong


def check(folder: Path, work: Path) -> list[str]:
    """Load a folder, compare, save it, load that, compare again; what is wrong, in words."""
    try:
        loaded = load(folder)
        wrong = differences(observe(loaded), folder)
        again = work / f"{folder.name}-again"
        save(loaded, again)
        _lay_code_beside_config(folder, again)
        wrong += [f"saved again, {text}" for text in differences(observe(load(again)), folder)]
        wrong += _changed_code(folder, again)
    except Exception as error:
        traceback.print_exc()
        return [f"{type(error).__name__}: {error}"]
    return wrong


def check_each(folders: tuple[str, ...], work: Path) -> dict[str, list[str]]:
    """Check each in a process of its own: Auto classes keep to the first code that they load."""
    if importlib.util.find_spec("torch"):
        import torch  # noqa: F401
    import transformers  # noqa: F401 - imported once, before the processes part

    tasks = [(Path(folder), work) for folder in folders]
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        return dict(zip(folders, pool.starmap(check, tasks, chunksize=1), strict=True))


def _lay_code_beside_config(folder: Path, again: Path) -> None:
    """Without models nothing saves the code of the configuration: it is laid there."""
    for place in ("multi-task", "classifier"):
        if not list((again / place).glob("*.safetensors")):
            for name in ("config.json", "configuration_dnagpt.py"):
                if not (again / place / name).exists():
                    shutil.copy(folder / "classifier" / name, again / place / name)


def _changed_code(folder: Path, again: Path) -> list[str]:
    return [
        f"saved again, {path.name} has changed"
        for path in again.rglob("*_dnagpt.py")
        if path.read_bytes() != (folder / path.relative_to(again)).read_bytes()
    ]


def main(command: str, first: str, *folders: str) -> None:
    if importlib.util.find_spec("dnagpt_hf"):
        raise SystemExit("the package can be imported here: remote code would not be used")
    if command == "write":
        (folder,) = map(Path, folders)
        loaded = load(Path(first))
        save(loaded, folder)
        _lay_code_beside_config(Path(first), folder)
        record(observe(loaded), folder)
        print(json.dumps({}))
    else:
        print(json.dumps(check_each(folders, Path(first))))


if __name__ == "__main__":
    main(*sys.argv[1:])
