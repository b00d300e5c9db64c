"""Runs of `examples/pretrain.py` for tests: one or more processes, on small genomes.

Processes are forked from one that has imported everything, which saves seconds for each of them.
They get the environment that torchrun gives.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import runpy
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np

PROGRAM = Path(__file__).parent.parent / "examples" / "pretrain.py"
CONFIGS = PROGRAM.parent / "configs"
# rows of an epoch as the settings state them: no multiple of a step of four
ROWS = 14


def write_genomes(folder: Path) -> Path:
    """Two species of 6,000 bases, and the manifest that names them."""
    letters = np.frombuffer(b"ACGT", np.uint8)
    for seed, name in enumerate(("yeast", "human")):
        bases = np.random.default_rng(seed).choice(letters, (2, 50, 60))
        contigs = [b"\n".join(row.tobytes() for row in contig) for contig in bases]
        (folder / f"{name}.fa").write_bytes(b">1\n%b\n>2\n%b\n" % tuple(contigs))
    manifest = folder / "manifest.yaml"
    manifest.write_text(
        "species:\n"
        "  - {name: yeast, token: <U>, files: [yeast.fa], held_out: ['2:1-900']}\n"
        "  - {name: human, token: <R>, files: [human.fa]}\n"
    )
    return manifest


def write_weights(folder: Path) -> Path:
    """A model to start from: ZeRO-3 draws new weights of its own in another order."""
    import torch

    from dnagpt_hf import DNAGPTForMultiTask
    from dnagpt_hf.presets import preset_config, preset_tokenizer

    torch.manual_seed(0)
    DNAGPTForMultiTask(preset_config("dnagpt-test")).save_pretrained(folder)
    preset_tokenizer("dnagpt-test").save_pretrained(folder)
    return folder


def arguments(manifest: Path, output: Path, **settings: Any) -> list[str]:
    """A command line of two epochs with four steps of four rows each."""
    defaults: dict[str, Any] = {
        "preset": "dnagpt-test",
        "genomes": manifest,
        "output_dir": output,
        "rows_per_epoch": ROWS,
        "num_train_epochs": 2,
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-2,
        "warmup_steps": 0,
        "logging_steps": 1,
        "save_strategy": "no",
        "disable_tqdm": True,
        "seed": 1,
    }
    # an option without a value is given as None
    return [
        part
        for name, value in {**defaults, **settings}.items()
        for part in (f"--{name}", *([] if value is None else [str(value)]))
    ]


@dataclass
class Run:
    """The processes of a run, and the file to which each writes what it has to say."""

    processes: list[BaseProcess] = field(default_factory=list)
    outputs: list[Path] = field(default_factory=list)

    def wait(self, seconds: float = 240) -> int:
        """The first exit status that is not 0, or 0."""
        end = time.monotonic() + seconds
        for process in self.processes:
            process.join(max(0, end - time.monotonic()))
        if any(process.is_alive() for process in self.processes):
            for process in self.processes:
                process.kill()
            raise TimeoutError(self.text())
        return next((one.exitcode for one in self.processes if one.exitcode), 0)

    def text(self) -> str:
        """What the processes wrote."""
        return "\n".join(output.read_text(errors="replace") for output in self.outputs)


def start(
    command: Sequence[str],
    processes: int,
    folder: Path,
    prepare: Callable[[], None] | None = None,
) -> Run:
    """Start a run.

    Args:
        command: arguments of the program.
        processes: how many.
        folder: where they write what they have to say, and the numbers of the rows they read.
        prepare: called in each process before the program.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["training_runs", "dnagpt_hf.pretraining.run", "deepspeed"])
    folder.mkdir(exist_ok=True)
    port = free_port()
    run = Run()
    for rank in range(processes):
        output = folder / f"output-{rank}.txt"
        process = context.Process(
            target=_run, args=(list(command), rank, processes, port, output, prepare)
        )
        process.start()
        run.processes.append(process)
        run.outputs.append(output)
    return run


def finish(
    command: Sequence[str],
    processes: int,
    folder: Path,
    prepare: Callable[[], None] | None = None,
) -> str:
    """Start a run and wait for its end, which must be a good one; returns what it wrote."""
    run = start(command, processes, folder, prepare)
    status = run.wait()
    assert status == 0, run.text()
    return run.text()


def _run(
    command: list[str],
    rank: int,
    processes: int,
    port: int,
    output: Path,
    prepare: Callable[[], None] | None,
) -> None:
    with open(output, "wb") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    if processes > 1:
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "MASTER_PORT": port}
        os.environ.update({name: str(number) for name, number in place.items()})
        os.environ.update(LOCAL_WORLD_SIZE=str(processes), MASTER_ADDR="127.0.0.1")
    _record(output.with_name(f"rows-{rank}.txt"), output.with_name(f"indexes-{rank}.txt"))
    if prepare is not None:
        prepare()
    if "--deepspeed" in command or "ACCELERATE_USE_DEEPSPEED" in os.environ:
        _share_models_on_processors()
        import deepspeed

        # it would compile a kernel for sums in shared memory
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    elif "--fsdp" in command or "ACCELERATE_USE_FSDP" in os.environ:
        _share_models_on_processors()
    else:
        command = [*command, "--use_cpu"]
    sys.argv = [str(PROGRAM), *command]
    runpy.run_path(str(PROGRAM), run_name="__main__")


def _share_models_on_processors() -> None:
    """Let accelerate share models without GPUs, where it would take DDP and not say so."""
    from accelerate.state import DistributedType, PartialState
    from transformers import training_args

    os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
    training_args.is_torch_bf16_gpu_available = lambda: True
    PartialState._prepare_backend = lambda *_, **__: ("gloo", DistributedType.MULTI_GPU)


def _record(rows: Path, indexes: Path) -> None:
    """Write down the number of each training row that is read, and each index that is made."""
    from dnagpt_hf.genomes import fasta as genome_files
    from dnagpt_hf.pretraining import run as pretraining
    from dnagpt_hf.pretraining.dataset import PretrainingDataset

    read, write_index = PretrainingDataset.__getitem__, genome_files.write_index

    def recorded(dataset: PretrainingDataset, index: int) -> Any:
        if len(dataset) == ROWS:
            with open(rows, "a") as stream:
                stream.write(f"{index}\n")
        return read(dataset, index)

    def recorded_index(plain: Path, index: Path, source: Path) -> None:
        with open(indexes, "a") as stream:
            stream.write(f"{source.name}\n")
        write_index(plain, index, source)

    PretrainingDataset.__getitem__ = recorded
    genome_files.write_index = recorded_index
    # spares every process a second of matrix products
    pretraining.measured_matmul_rate = lambda *_: 1e12


def set_environment(variables: Mapping[str, str]) -> None:
    os.environ.update(variables)


def kill_in_step(step: int) -> None:
    """Let the process die as by kill -9 when a step has its gradients, but no new weights."""
    from dnagpt_hf.pretraining.trainer import PretrainingTrainer

    make_gradients = PretrainingTrainer.training_step

    def make_gradients_and_die(trainer: Any, *args: Any, **kwargs: Any) -> Any:
        loss = make_gradients(trainer, *args, **kwargs)
        if trainer.state.global_step == step - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return loss

    PretrainingTrainer.training_step = make_gradients_and_die


def kill_while_saving(step: int) -> None:
    """Let the process die as by kill -9 when half of a checkpoint is written."""
    from dnagpt_hf.pretraining.trainer import PretrainingTrainer

    save = PretrainingTrainer._save_optimizer_and_scheduler

    def save_and_die(trainer: Any, folder: str) -> None:
        if trainer.state.global_step == step:
            (Path(folder) / "optimizer.pt").write_bytes(b"half of")
            os.kill(os.getpid(), signal.SIGKILL)
        save(trainer, folder)

    PretrainingTrainer._save_optimizer_and_scheduler = save_and_die


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def rows_read(folder: Path, rank: int = 0) -> list[int]:
    """The numbers of the training rows that a process has read."""
    return [int(line) for line in (folder / f"rows-{rank}.txt").read_text().split()]


def logged(folder: Path, name: str = "loss") -> list[float]:
    """A figure of all steps."""
    state = json.loads((folder / "trainer_state.json").read_text())
    return [entry[name] for entry in state["log_history"] if name in entry]
