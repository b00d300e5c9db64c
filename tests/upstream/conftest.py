"""Makes the tests that `download.py` unpacked importable, as the package `transformers_tests`."""

import sys
from pathlib import Path

import pytest
from upstream.download import RELEASE, folder_of

HERE = Path(__file__).parent
sys.path.insert(0, str(folder_of(RELEASE)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.upstream)
