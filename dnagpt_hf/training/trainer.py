"""Transformers' `Trainer` with checkpoints that are either complete or ignored."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import ProgressCallback, Trainer
from transformers.trainer import TRAINER_STATE_NAME

from dnagpt_hf.atomic_files import named_write_errors, new_files, write_json
from dnagpt_hf.checkpoints.saving import share_weights
from dnagpt_hf.messages import count, on_one_line
from dnagpt_hf.training.checkpoints import (
    RUN,
    CheckpointError,
    last_checkpoint,
    loading,
    remove_later_checkpoints,
    rotate_checkpoints,
    seal_checkpoint,
)
from dnagpt_hf.training.resumption import Resumption, has_training_state

logger = logging.getLogger(__name__)


DIVERGED = "the training has diverged, so give a lower learning_rate"


class CheckpointingTrainer(Trainer):
    """`Trainer` for all trainings of a DNAGPT.

    - Weights of linear layers decay; embeddings and norms do not.
    - A checkpoint counts once it is complete, and only then are older ones deleted.

    Args:
        model: a DNAGPT model.
        args: of `Trainer`, whose `args`, `train_dataset` and `processing_class` (the
            tokenizer) must be given.
        run: settings that every checkpoint keeps, so that no other run resumes from it.
    """

    def __init__(
        self, model: Any, *args: Any, run: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        use_cache = model.config.use_cache
        super().__init__(model, *args, **kwargs)
        # Trainer switches the cache off in the configuration that is saved, and the checkpoint
        # would generate without it; the forward of training does not use it anyway
        model.config.use_cache = use_cache
        if self.args.n_gpu > 1:
            raise ValueError(
                f"one process sees {self.args.n_gpu} GPUs: start one process for each, with "
                "torchrun --nproc-per-node or accelerate launch"
            )
        self._run = run
        self._resumption: Resumption | None = None
        self._model_class = type(self.accelerator.unwrap_model(self.model))

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """List the weights of linear layers."""
        return [
            f"{name}.weight" if name else "weight"
            for name, module in model.named_modules()
            if isinstance(module, nn.Linear)
        ]

    def train(self, resume_from_checkpoint: str | None = None, *args: Any, **kwargs: Any) -> Any:
        resumption = Resumption(Path(resume_from_checkpoint)) if resume_from_checkpoint else None
        if resumption is not None:
            self.add_callback(resumption)
        self._resumption = resumption
        # Trainer deletes old checkpoints before the new one is complete, and at the end the last
        # one, which tells a run that is started again that it has finished
        self._checkpoints_kept = self.args.save_total_limit
        self.args.save_total_limit = None
        try:
            return super().train(resume_from_checkpoint, *args, **kwargs)
        except (KeyboardInterrupt, SystemExit):
            if self.args.should_save:
                self._say_how_to_go_on()
            raise
        finally:
            for callback in self.callback_handler.callbacks:
                # the message of an error would stand behind the bar, and the bar once more below
                if isinstance(callback, ProgressCallback) and callback.training_bar is not None:
                    callback.training_bar.close()
            if resumption is not None:
                self.remove_callback(resumption)
            self.args.save_total_limit = self._checkpoints_kept

    def create_scheduler(self, num_training_steps: int, *args: Any, **kwargs: Any) -> Any:
        warmup = self.args.get_warmup_steps(num_training_steps)
        if warmup > num_training_steps:
            logger.warning(
                "warmup_steps is %s, but the run has %s: its learning rate ends at %.3g of %s; "
                "state fewer, as --warmup_steps %d",
                f"{warmup:,}",
                count(num_training_steps, "step"),
                self.args.learning_rate * num_training_steps / warmup,
                self.args.learning_rate,
                num_training_steps // 10,
            )
        return super().create_scheduler(num_training_steps, *args, **kwargs)

    def _say_how_to_go_on(self) -> None:
        last = last_checkpoint(Path(str(self.args.output_dir)))
        if last is None:
            how = "begins anew, since there is no checkpoint yet"
        elif has_training_state(last):
            how = f"resumes from {last}"
        else:
            how = f"cannot resume, since {last} holds weights alone (save_only_model)"
        logger.warning(
            "interrupted after %s: the same command %s", count(self.state.global_step, "step"), how
        )

    @property
    def _was_finished(self) -> bool:
        return self._resumption is not None and self._resumption.is_finished

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> tuple[list[Any], Any]:
        # Trainer looks at max_steps after a step only, and would take one more
        return ([], None) if self._was_finished else super().get_batch_samples(*args, **kwargs)

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        if not self._was_finished:
            super()._maybe_log_save_evaluate(*args, **kwargs)

    @contextmanager
    def _stopped_clock(self) -> Iterator[None]:
        """Exclude time that is not spent on training from figures of speed."""
        yield

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        with self._stopped_clock():
            try:
                if self.args.should_save:
                    # files of an earlier run would be mixed with those of this one
                    shutil.rmtree(folder, ignore_errors=True)
                self.accelerator.wait_for_everyone()
                with named_write_errors(folder, folder):
                    super()._save_checkpoint(model, trial)
                    self.accelerator.wait_for_everyone()
                    if self.args.should_save:
                        if self._run is not None:
                            write_json(folder / RUN, self._run)
                        seal_checkpoint(folder)
                        remove_later_checkpoints(folder)
            except (OSError, RuntimeError, SafetensorError) as error:
                raise self._not_saved(folder, error) from error
            limit = self._checkpoints_kept
            # Transformers keeps all checkpoints where the limit is 0 or less
            if limit is not None and limit > 0 and self.args.should_save:
                rotate_checkpoints(folder.parent, limit, self.state.best_model_checkpoint)

    def _save(
        self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None
    ) -> None:
        # FSDP2 gives a model a class of its own, and save_pretrained would write the source of that
        # class in place of the model's
        model = self.accelerator.unwrap_model(self.model)
        wrapped = type(model)
        model.__class__ = self._model_class
        try:
            # every process comes here, but one of them writes the files
            if not self.args.should_save:
                super()._save(output_dir, state_dict)
                return
            self._check_weights(self.model.state_dict() if state_dict is None else state_dict)
            with new_files(output_dir or str(self.args.output_dir)) as partial:
                super()._save(str(partial), state_dict)
                share_weights(partial)
        finally:
            model.__class__ = wrapped

    def _check_weights(self, weights: Mapping[str, Any]) -> None:
        """Refuse to save a model that diverged; the log of Trainer has no losses that are NaN."""
        for name, weight in weights.items():
            if not torch.isfinite(weight).all():
                # for DeepSpeed, Trainer takes a ValueError for a state that cannot be gathered
                raise FloatingPointError(
                    f"weight {name} is not finite in step {self.state.global_step}, and is not "
                    f"saved: {DIVERGED}"
                )

    def save_state(self) -> None:
        if self.is_world_process_zero():
            with new_files(str(self.args.output_dir)) as partial:
                self.state.save_to_json(str(partial / TRAINER_STATE_NAME))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        with loading(resume_from_checkpoint):
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with loading(checkpoint or ""):
            super()._load_optimizer_and_scheduler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with loading(checkpoint or ""):
            super()._load_rng_state(checkpoint)

    def _not_saved(self, folder: Path, error: Exception) -> CheckpointError:
        shutil.rmtree(folder, ignore_errors=True)
        last = last_checkpoint(folder.parent)
        reason = getattr(error, "strerror", None) or on_one_line(error)
        kept = "start the same command again"
        if last is not None:
            kept += f", which resumes from {last}"
        return CheckpointError(f"{folder} could not be written ({reason}): make room and {kept}")
