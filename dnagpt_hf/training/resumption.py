"""Choice of the checkpoint from which a run resumes, and a check that it is of the same run.

Each checkpoint keeps in `run.json` the settings on which the trained weights depend, and a
fingerprint of the data. A command that is started again with one of them changed would otherwise
give the model of the earlier command.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers.trainer import TRAINER_STATE_NAME

from dnagpt_hf.checkpoints.opening import Checkpoint
from dnagpt_hf.messages import count
from dnagpt_hf.training.checkpoints import (
    RUN,
    CheckpointError,
    check_checkpoint,
    checkpoints,
    last_checkpoint,
)

logger = logging.getLogger(__name__)

# fmt: off
# of the package's own settings: without influence on the weights
_FREE = {
    "attention", "bootstrap", "cache_folder", "early_stopping", "eval_rows",
    "lora", "merge", "metric", "name", "seeds", "task", "token_loss",
}
# files, which may lie in another folder when the next job goes on
_FILES = {"data", "genomes", "haplotypes", "legend", "model", "populations", "test"}
# of TrainingArguments, whose names differ between releases; more or fewer epochs are the same run
_COMPARED = {
    "adam_beta1", "adam_beta2", "adam_epsilon", "data_seed", "label_smoothing_factor",
    "learning_rate", "lr_scheduler_type", "max_grad_norm", "optim", "seed", "warmup_ratio",
    "warmup_steps", "weight_decay",
}
# fmt: on


_DATA = "fingerprint"


def checkpoint_to_resume(training: Any, run: Mapping[str, Any]) -> Path | None:
    """Find the checkpoint from which training resumes: the stated one, or the last of the run.

    Args:
        training: the `TrainingArguments`.
        run: settings and data of the run, as [`run_settings`] collects them.

    Raises:
        CheckpointError: the stated checkpoint is not complete.
        ValueError: the last checkpoint is of a run with other settings or other data.
    """
    stated, folder = training.resume_from_checkpoint, Path(training.output_dir)
    if stated in (False, "False", "false", "none"):
        return None
    if stated in (None, True, "True", "true", "last"):
        last = last_checkpoint(folder)
        if last is not None:
            _check_same(last, run)
        return last
    check_checkpoint(Path(str(stated)))
    return Path(str(stated))


class Resumption(TrainerCallback):
    """Says from where a run resumes, and refuses what would not be the same run.

    Args:
        checkpoint: the checkpoint from which training resumes.

    Raises:
        ValueError: when training begins, if the checkpoint has more steps than are planned.
        CheckpointError: then, if the checkpoint holds weights alone.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self.is_finished = False

    def on_train_begin(
        self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Compare the steps of the checkpoint with those that are planned now."""
        done, planned = state.global_step, state.max_steps
        before = TrainerState.load_from_json(str(self.checkpoint / TRAINER_STATE_NAME)).max_steps
        if done > planned:
            raise ValueError(
                f"{self.checkpoint} has {count(done, 'step')}, more than the {planned:,} that "
                "max_steps or num_train_epochs plan: give more, or choose another output_dir"
            )
        self.is_finished = done == planned
        if self.is_finished:
            logger.warning("%s has all %s: none is left", self.checkpoint, count(done, "step"))
            return
        if not has_training_state(self.checkpoint):
            raise CheckpointError(
                f"{self.checkpoint} holds weights alone (save_only_model), so that its run cannot "
                "go on: start a new one from them (model), or begin anew "
                "(resume_from_checkpoint: none)"
            )
        logger.warning("resuming from %s: step %s of %s", self.checkpoint, f"{done:,}", planned)
        if planned != before:
            logger.warning(
                "%s were planned before: from here on, the learning rate is that of a run of %s",
                count(before, "step"),
                count(planned, "step"),
            )


def check_base_stays(training: Any, base: Checkpoint | None) -> None:
    """Refuse to write into the folder of the model that is trained further.

    Its weights would be replaced, and the same command could not resume.

    Args:
        training: the `TrainingArguments`.
        base: the model, if there is one.

    Raises:
        ValueError: it lies in `output_dir`, or is a checkpoint in it.
    """
    output = Path(training.output_dir)
    folders = [] if base is None else [base.folder.resolve()]
    folders += [] if base is None or base.base is None else [base.base.folder.resolve()]
    if any(one.resolve() in folders for one in (output, *checkpoints(output))):
        raise ValueError(
            f"output_dir {output} holds the model that is trained further, and would replace it: "
            "choose another output_dir"
        )


def has_training_state(checkpoint: Path) -> bool:
    """Test whether optimizer, schedule and random numbers are kept beside the weights."""
    # written with the other two on one condition, by every process and every kind of sharding
    return any(checkpoint.glob("rng_state*.pth"))


def run_settings(
    settings: Any, data: Mapping[str, str], base: Checkpoint | None = None
) -> dict[str, Any]:
    """Collect the settings and the data on which the weights depend, as plain data.

    Args:
        settings: of pre-training, fine-tuning, or training on haplotypes.
        data: fingerprint of each split or genome.
        base: the checkpoint whose weights are trained further.
    """
    training = settings.training
    found = {name: getattr(training, name) for name in _COMPARED if hasattr(training, name)}
    found[_DATA] = dict(data)
    if base is not None:
        # of an adapter and the checkpoint under it
        folders = [base.folder, *([] if base.base is None else [base.base.folder])]
        files = [path for folder in folders for path in sorted(folder.glob("*.safetensors"))]
        size = count(sum(path.stat().st_size for path in files), "byte")
        weights = (np.memmap(path, np.uint8, "r") for path in files)
        found["weights of the model"] = fingerprint(size, weights)
    found["total batch size"] = (
        training.per_device_train_batch_size
        * training.gradient_accumulation_steps
        * training.world_size
    )
    for one in settings:
        if is_dataclass(one) and one is not training:
            for name in {field.name for field in fields(one)} - _FREE:
                value = getattr(one, name)
                found[name] = _without_folders(value) if name in _FILES else value
    read: dict[str, Any] = json.loads(json.dumps(found, sort_keys=True, default=_plain))
    return read


def fingerprint(size: str, parts: Iterable[bytes | NDArray[Any]]) -> str:
    """Describe data by their size and a hash of their parts, in their order.

    Example:

        >>> fingerprint("2 records", [b"ACGT", b"GATTACA"])
        '2 records, hash 780e49fa723493b6'
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        content: Any = np.ascontiguousarray(part) if isinstance(part, np.ndarray) else part
        # the length keeps a part from running into the next one
        digest.update(memoryview(content).nbytes.to_bytes(8, "little"))
        digest.update(content)
    return f"{size}, hash {digest.hexdigest()}"


def _check_same(checkpoint: Path, now: Mapping[str, Any]) -> None:
    try:
        before = json.loads((checkpoint / RUN).read_text(encoding="utf-8"))
    except FileNotFoundError:  # by an earlier release
        return
    except ValueError as error:
        raise CheckpointError(f"{checkpoint / RUN} is damaged ({error}): remove it") from None
    changed = [name for name in now if name in before and before[name] != now[name]]
    remedy = f"choose another output_dir, or delete the checkpoints in {checkpoint.parent}"
    if changed == [_DATA]:
        raise ValueError(
            f"{checkpoint} is of a run on other data ({_other_data(before[_DATA], now[_DATA])}): "
            f"give the data of that run, {remedy}"
        )
    # other settings may choose other records
    changed = [name for name in changed if name != _DATA]
    if changed:
        said = ", ".join(f"{name} {_short(before[name])}" for name in changed)
        wanted = ", ".join(f"{name} {_short(now[name])}" for name in changed)
        raise ValueError(
            f"{checkpoint} is of a run with {said}, which cannot go on with {wanted}: {remedy}"
        )


def _other_data(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    return "; ".join(
        f"{name}: {before.get(name, 'nothing')} then, {now.get(name, 'nothing')} now"
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    )


def _without_folders(value: Any) -> Any:
    """Keep the last component of each path."""
    if isinstance(value, Mapping):
        return {key: _without_folders(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_folders(one) for one in value]
    return Path(value).name if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    return getattr(value, "value", None) or str(value)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}…"
