"""What all tests share: no network, one thread, a tiny model and its tokenizer."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import torch

    from dnagpt_hf import DNAGPTConfig, DNAGPTForMultiTask, DNAGPTTokenizer

# Libraries read these when they are imported, so they are set before, and imports stand below in
# the fixtures. The processes of a test run share the cores: one thread for each.
HOME = tempfile.mkdtemp(prefix="dnagpt-tests-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
os.environ.update(HF_HOME=HOME, HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")
# the command line sets the same for its own process
os.environ.update(HF_HUB_DISABLE_PROGRESS_BARS="1", TRANSFORMERS_VERBOSITY="error")
os.environ.pop("HF_MODULES_CACHE", None)


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """A test that opens a connection to another machine fails."""
    connect = socket.socket.connect

    def connect_locally(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            pytest.fail(f"a test opened a connection to {address}")
        connect(self, address)

    def resolve_locally(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in (None, "", "127.0.0.1", "::1", "localhost", socket.gethostname()):
            pytest.fail(f"a test looked up the host {host}")
        return resolve(host, *args, **kwargs)

    resolve = socket.getaddrinfo
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_locally)
        patch.setattr(socket, "getaddrinfo", resolve_locally)
        yield


@pytest.fixture
def tiny_config() -> DNAGPTConfig:
    """Two layers of width 32 with 64 positions."""
    from dnagpt_hf.presets import preset_config

    return preset_config("dnagpt-test")


@pytest.fixture
def tiny_model(tiny_config: DNAGPTConfig) -> DNAGPTForMultiTask:
    """A model with random weights, the same in every test, in evaluation mode."""
    import torch

    from dnagpt_hf import DNAGPTForMultiTask

    torch.manual_seed(0)
    return DNAGPTForMultiTask(tiny_config).eval()


@pytest.fixture(scope="session")
def tiny_tokenizer() -> DNAGPTTokenizer:
    """The tokenizer of that model."""
    from dnagpt_hf.presets import preset_tokenizer

    return preset_tokenizer("dnagpt-test")


@pytest.fixture(scope="session")
def parity_cases() -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The cases of the original implementation and their logits, if DNAGPT_PARITY names them."""
    from parity import load_cases

    return load_cases()
