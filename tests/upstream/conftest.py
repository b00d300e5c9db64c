"""Makes the tests that `download.py` unpacked importable, as the package `transformers_tests`.

A test of Transformers that is skipped for no reason of the list below fails here, so that what a
new release asks of models is noticed.
"""

import sys
from collections.abc import Generator, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from transformers.utils import logging
from upstream.download import RELEASE, folder_of

HERE = Path(__file__).parent
sys.path.insert(0, str(folder_of(RELEASE)))

ACCELERATOR = "needs a GPU"
NOT_COMPOSITE = "is for models that are made of several"
NO_ROTATION = "is for rotary positions, and those of DNAGPT are learned"
NO_EXPERTS = "is for mixtures of experts"
# Patterns of names to the reason why the test says nothing about DNAGPT
SKIPPED = {
    "*_deepspeed*": ACCELERATOR,
    "*_flash*": ACCELERATOR,
    "*_kernels*": ACCELERATOR,
    "test_can_load_with_*device*": ACCELERATOR,
    "test_cpu_offload": ACCELERATOR,
    "test_disk_offload_*": ACCELERATOR,
    "test_flex_attention_with_grads": ACCELERATOR,
    "test_model_parallelism": ACCELERATOR,
    "test_multi_gpu_data_parallel_forward": ACCELERATOR,
    "test_sdpa_can_compile_dynamic": ACCELERATOR,
    "test_torch_compile_for_training": ACCELERATOR,
    "*_composite_model*": NOT_COMPOSITE,
    "test_internal_model_config_and_subconfig_are_same": NOT_COMPOSITE,
    "test_model_rope_*": NO_ROTATION,
    "test_vision_axial_rope": NO_ROTATION,
    "test_eager_matches_batched_and_grouped_inference_*": NO_EXPERTS,
    "test_moe_models_record_router_logits": NO_EXPERTS,
    "test_output_router_logits_from_config": NO_EXPERTS,
    "test_can_load_from_already_mapped_keys": "weights have one set of names",
    "test_reverse_loading_mapping": "weights have one set of names",
    "test_encoder_decoder_loss_no_double_shift": "is for encoders with decoders",
    "test_generation_tester_mixin_inheritance": "its module is not in the source distribution",
    "test_keep_in_fp32_modules*": "no weight must stay in float32",
    "test_resize_position_vector_embeddings": "a longer model is pre-trained, not resized",
    "test_sliding_window_mask": "attention sees all earlier positions",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.upstream)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    is_known = any(fnmatch(item.name, pattern) for pattern in SKIPPED)
    if report.skipped and HERE in item.path.parents and not is_known:
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.name} is skipped for a reason that is not listed: {reason}"
    return report


@pytest.fixture(autouse=True)
def loud() -> Iterator[None]:
    """The tests of Transformers read its warnings."""
    before = logging.get_verbosity()
    logging.set_verbosity_warning()
    yield
    logging.set_verbosity(before)
