"""Every argument of Transformers is carried out, refused, or without a meaning here."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from finetuning_runs import CLASS
from transformers import TrainingArguments

from dnagpt_hf.finetuning.settings import parse_finetuning_settings
from dnagpt_hf.haplotypes.settings import parse_haplotype_settings
from dnagpt_hf.pretraining.settings import parse_settings
from dnagpt_hf.training.settings import REFUSED


def names(text: str) -> list[str]:
    return text.split()


# the trainers of this package read them, or leave what they do to Trainer
CARRIED_OUT = names("""
accelerator_config activation_checkpointing activation_checkpointing_kwargs adam_beta1 adam_beta2
adam_epsilon auto_find_batch_size bf16 data_seed dataloader_drop_last dataloader_in_order
dataloader_multiprocessing_context dataloader_num_workers dataloader_persistent_workers
dataloader_pin_memory dataloader_prefetch_factor ddp_backend ddp_broadcast_buffers
ddp_bucket_cap_mb ddp_find_unused_parameters ddp_static_graph ddp_timeout debug deepspeed
disable_tqdm enable_jit_checkpoint eval_delay eval_on_start eval_steps eval_strategy fp16 fsdp
fsdp_config full_determinism gradient_accumulation_steps gradient_checkpointing
gradient_checkpointing_kwargs hub_always_push hub_model_id hub_private_repo hub_revision
hub_strategy hub_token ignore_data_skip include_num_input_tokens_seen learning_rate
load_best_model_at_end local_rank log_level log_level_replica log_on_each_node logging_first_step
logging_nan_inf_filter logging_steps logging_strategy lr_scheduler_kwargs lr_scheduler_type
max_grad_norm max_steps neftune_noise_alpha num_train_epochs optim optim_args optim_target_modules
output_dir parallelism_config per_device_eval_batch_size per_device_train_batch_size project
push_to_hub report_to restore_callback_states_from_checkpoint
resume_from_checkpoint run_name save_on_each_node save_only_model save_steps save_strategy
save_total_limit seed skip_memory_metrics tf32 torch_compile torch_compile_backend
torch_compile_mode torch_empty_cache_steps trackio_bucket_id trackio_space_id
trackio_static_space_id use_cpu warmup_ratio warmup_steps weight_decay
""")
# refused where they have no effect, and carried out where they have one
BY_KIND = names("""
greater_is_better length_column_name metric_for_best_model remove_unused_columns
train_sampling_strategy
""")
# without influence on what is learned or measured: of functions that these trainers are not given,
# of scripts, of the cache that training does not use, and of losses that are means over all targets
IRRELEVANT = names("""
average_tokens_across_devices batch_eval_metrics do_eval do_predict do_train
eval_accumulation_steps eval_do_concat_batches eval_use_gather_object include_for_metrics
label_names prediction_loss_only use_cache
""")
VALUES: dict[str, Any] = {
    "bf16_full_eval": True,
    "fp16_full_eval": True,
    "label_smoothing_factor": 0.1,
    "liger_kernel_config": {"rope": True},
    "use_liger_kernel": True,
}


def test_every_argument_was_looked_at() -> None:
    """A new release may bring arguments: find the list to which each belongs."""
    known = {*CARRIED_OUT, *BY_KIND, *IRRELEVANT, *REFUSED}
    assert len(known) == sum(map(len, (CARRIED_OUT, BY_KIND, IRRELEVANT, REFUSED)))
    assert {one.name for one in fields(TrainingArguments)} - known == set()


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("kind", ["pretrain", "finetune", "haplotypes"])
def test_what_is_not_carried_out_is_refused(tmp_path: Path, kind: str, name: str) -> None:
    stated = {name: VALUES[name], "output_dir": str(tmp_path), "use_cpu": True}
    with pytest.raises(ValueError, match=f"{name} is .*, but .*: leave it out") as error:
        if kind == "pretrain":
            parse_settings([], {**stated, "genomes": "genomes.yaml", "preset": "dnagpt-test"})
        elif kind == "finetune":
            parse_finetuning_settings([], {**stated, "template": CLASS, "data": "a.csv"})
        else:
            parse_haplotype_settings([], {**stated, "haplotypes": "real.hapt"})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "stated", [{"train_sampling_strategy": "sequential"}, {"length_column_name": "bases"}]
)
def test_the_order_of_packed_sequences_is_their_own(tmp_path: Path, stated: Any) -> None:
    (name,) = stated
    own = {"genomes": "genomes.yaml", "preset": "dnagpt-test", "output_dir": str(tmp_path)}
    with pytest.raises(ValueError, match=f"{name} is .* order of their own: leave it out"):
        parse_settings([], {**own, "use_cpu": True, **stated})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("greater_is_better", "follows from the metric"),
        ("remove_unused_columns", "would remove the targets"),
    ],
)
def test_what_a_fine_tuning_decides_itself(tmp_path: Path, name: str, said: str) -> None:
    own = {"template": CLASS, "data": "a.csv", "output_dir": str(tmp_path), "use_cpu": True}
    with pytest.raises(ValueError, match=f"{name} {said}: leave it out"):
        parse_finetuning_settings([], {**own, name: True})


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"max_steps": 0}, "max_steps is 0: give 1 or more, or leave it out"),
        ({"num_train_epochs": 0}, "num_train_epochs is 0: give more than 0"),
        ({"num_train_epochs": -1}, "num_train_epochs is -1: give more than 0"),
        ({"gradient_accumulation_steps": 0}, "gradient_accumulation_steps is 0: give 1 or more"),
        ({"per_device_eval_batch_size": 0}, "per_device_eval_batch_size is 0: give 1 or more"),
    ],
)
def test_a_training_of_nothing_is_refused(tmp_path: Path, stated: Any, said: str) -> None:
    own = {"template": CLASS, "data": "a.csv", "output_dir": str(tmp_path), "use_cpu": True}
    with pytest.raises(ValueError, match=said):
        parse_finetuning_settings([], {**own, **stated})
    with pytest.raises(ValueError, match=said):
        parse_settings([], {"genomes": "a.yaml", "output_dir": str(tmp_path), **stated})


def test_paths_have_home_folders_and_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USER", "me")
    stated: Any = {"template": CLASS, "data": {"train": ["~/a.csv", "/data/${USER}/b.csv"]}}
    settings = parse_finetuning_settings(["--output_dir=$HOME/run"], stated)
    assert settings.training.output_dir == str(tmp_path / "run")
    data: Any = settings.data.data
    assert data == {"train": [str(tmp_path / "a.csv"), "/data/me/b.csv"]}
    pretraining = parse_settings(["--genomes", "~/g.yaml"], {"cache_folder": "$HOME"})
    assert pretraining.data.genomes == str(tmp_path / "g.yaml")
    assert pretraining.data.cache_folder == str(tmp_path)
    haplotypes = parse_haplotype_settings(stated={"haplotypes": "~/a.vcf", "output_dir": "~/run"})
    assert haplotypes.data.haplotypes == str(tmp_path / "a.vcf")
    assert haplotypes.training.output_dir == str(tmp_path / "run")
    with pytest.raises(ValueError, match=r"^\$NOWHERE/a: there is no environment variable \$NOWH"):
        parse_settings(["--genomes", "$NOWHERE/a"])
