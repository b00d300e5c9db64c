"""DNAGPT for Hugging Face Transformers: a language model of DNA, numbers and instructions.

Importing this package makes the Auto classes of Transformers know DNAGPT, so that
`AutoModel.from_pretrained("dnagpt-m")` works without `trust_remote_code`. PyTorch and Transformers
are imported when something that needs them is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dnagpt_hf.registration import register_when_imported

if TYPE_CHECKING:
    from dnagpt_hf.checkpoints.bundled import bundled as bundled
    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig as DNAGPTConfig
    from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask as DNAGPTForMultiTask
    from dnagpt_hf.modeling_dnagpt import (
        DNAGPTForSequenceClassification as DNAGPTForSequenceClassification,
    )
    from dnagpt_hf.modeling_dnagpt import DNAGPTModel as DNAGPTModel
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer as DNAGPTTokenizer

__version__ = "0.1.0"

_MODULES = {
    "DNAGPTConfig": "configuration_dnagpt",
    "DNAGPTForMultiTask": "modeling_dnagpt",
    "DNAGPTForSequenceClassification": "modeling_dnagpt",
    "DNAGPTModel": "modeling_dnagpt",
    "DNAGPTTokenizer": "tokenization_dnagpt",
    "bundled": "checkpoints.bundled",
}
__all__ = ["__version__", *_MODULES]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)


register_when_imported()
