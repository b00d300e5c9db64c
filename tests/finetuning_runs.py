"""Small tables with planted signals, and fine-tunings on them, for tests."""

from __future__ import annotations

import csv
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from training_runs import Run, free_port

from dnagpt_hf.records.reading import Record
from dnagpt_hf.records.templates import Template
from dnagpt_hf.tasks.task import Task

MOTIF = "GATTAC"
CLASS = "<R>{sequence}<=><B>{label}"
NUMBER = "<R>{sequence}<+><M>{dose}<=><M>{level}"
BOTH = "<R>{sequence}<+><M>{dose}<=><B>{label}<M>{level}"
ANSWERS = {"N": "none", "A": "signal"}
Row = dict[str, Any]


def planted(count: int = 240, seed: int = 0, bases: int = 24) -> list[Row]:
    """Rows whose label says whether the motif is there, and whose level follows from their dose."""
    generator = np.random.default_rng(seed)
    rows: list[Row] = []
    for number in range(count):
        sequence = "".join(generator.choice(list("ACGT"), bases))
        if number % 2:
            start = 3 * int(generator.integers(bases // 3 - 1))
            sequence = sequence[:start] + MOTIF + sequence[start + len(MOTIF) :]
        dose = round(float(generator.normal(5, 2)), 3)
        label = "signal" if MOTIF in sequence else "none"
        rows.append({"sequence": sequence, "label": label, "dose": dose, "level": 300 - 40 * dose})
    return rows


def shuffled(rows: Sequence[Row], *columns: str, seed: int = 1) -> list[Row]:
    """Rows whose answers are those of other rows."""
    order = np.random.default_rng(seed).permutation(len(rows))
    return [
        {**row, **{column: rows[other][column] for column in columns}}
        for row, other in zip(rows, order, strict=True)
    ]


def write_table(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    rows = list(rows)
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def as_records(rows: Iterable[Mapping[str, Any]], source: str = "a.csv") -> list[Record]:
    """Rows as they are read from a table, whose header is line 1."""
    return [
        Record({name: str(value) for name, value in row.items()}, str(n), source, n, n + 1)
        for n, row in enumerate(rows, start=1)
    ]


def whole_record(task: Task, values: Mapping[str, Any]) -> str:
    """The text of a record with its answers."""
    prepared = task.prepare(values)
    for answer in task.answer_list:
        tokens = {label: token for token, label in answer.tokens.items()}
        if tokens:
            prepared[answer.column] = tokens[answer.label(prepared[answer.column])]
    return Template(task.template).fill(prepared)


def write_base(folder: Path, **config: Any) -> Path:
    """A model of two layers that reads 3-mers, so that its vocabulary is small."""
    from dnagpt_hf.checkpoints.saving import init_checkpoint

    return init_checkpoint("dnagpt-test", folder, **{"kmer_size": 3, **config})


def settings_of(base: Path, table: Path, output: Path, **stated: Any) -> Any:
    """Settings of a run of seconds."""
    from dnagpt_hf.finetuning.settings import parse_finetuning_settings

    return parse_finetuning_settings([], content_of(base, table, output, **stated), output.parent)


def content_of(base: Path, table: Path, output: Path, **stated: Any) -> dict[str, Any]:
    """What the YAML file of such a run holds."""
    return {
        "template": CLASS,
        "answers": ANSWERS,
        "data": {"files": str(table)},
        "model": str(base),
        "output_dir": str(output),
        "use_cpu": True,
        "disable_tqdm": True,
        "num_train_epochs": 2,
        "per_device_train_batch_size": 8,
        "learning_rate": 5e-3,
        "number_loss_weight": 1.0,
        "logging_steps": 1,
        "bootstrap": 0,
        **stated,
    }


def start(
    content: Mapping[str, Any],
    processes: int,
    folder: Path,
    prepare: Callable[[], None] | None = None,
) -> Run:
    """Start a fine-tuning in processes of its own, which get what torchrun would give them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["finetuning_runs", "dnagpt_hf.finetuning.run"])
    folder.mkdir(exist_ok=True)
    port = free_port()
    run = Run()
    for rank in range(processes):
        output = folder / f"output-{rank}.txt"
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "MASTER_PORT": port}
        process = context.Process(
            target=_run, args=(dict(content), place if processes > 1 else {}, output, prepare)
        )
        process.start()
        run.processes.append(process)
        run.outputs.append(output)
    return run


def finish(
    content: Mapping[str, Any],
    processes: int,
    folder: Path,
    prepare: Callable[[], None] | None = None,
) -> None:
    """Start a fine-tuning and wait for its end, which must be a good one."""
    run = start(content, processes, folder, prepare)
    status = run.wait()
    assert status == 0, run.text()


def _run(
    content: dict[str, Any],
    place: Mapping[str, int],
    output: Path,
    prepare: Callable[[], None] | None,
) -> None:
    with open(output, "wb") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    os.environ.update({name: str(number) for name, number in place.items()})
    if place:
        os.environ.update(LOCAL_WORLD_SIZE=str(place["WORLD_SIZE"]), MASTER_ADDR="127.0.0.1")
    from dnagpt_hf.finetuning.run import finetune
    from dnagpt_hf.finetuning.settings import parse_finetuning_settings

    if prepare is not None:
        prepare()
    finetune(parse_finetuning_settings([], content))


def kill_in_step(step: int) -> None:
    """Let the process die as by kill -9 when a step has its gradients, but no new weights."""
    from dnagpt_hf.finetuning.trainer import FineTuningTrainer

    make_gradients = FineTuningTrainer.training_step

    def make_gradients_and_die(trainer: Any, *args: Any, **kwargs: Any) -> Any:
        loss = make_gradients(trainer, *args, **kwargs)
        if trainer.state.global_step == step - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return loss

    FineTuningTrainer.training_step = make_gradients_and_die
