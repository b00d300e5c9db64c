"""DNAGPT for Hugging Face Transformers: a language model of DNA, numbers and instructions.

    import dnagpt_hf

    model = dnagpt_hf.load("dnagpt-tiny-pas")
    model.predict("windows.fasta").to_pandas()

Importing this package makes the Auto classes of Transformers know DNAGPT, so that
`AutoModel.from_pretrained("dnagpt-m")` works without `trust_remote_code`. A name of the package is
imported, and PyTorch and Transformers with it, when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dnagpt_hf.registration import register_when_imported

if TYPE_CHECKING:
    from dnagpt_hf.checkpoints.bundled import bundled as bundled
    from dnagpt_hf.checkpoints.conversion import convert_checkpoint as convert_checkpoint
    from dnagpt_hf.checkpoints.conversion import export_checkpoint as export_checkpoint
    from dnagpt_hf.checkpoints.opening import Checkpoint as Checkpoint
    from dnagpt_hf.checkpoints.opening import open_checkpoint as open_checkpoint
    from dnagpt_hf.checkpoints.publishing import push_checkpoint as push_checkpoint
    from dnagpt_hf.checkpoints.saving import init_checkpoint as init_checkpoint
    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig as DNAGPTConfig
    from dnagpt_hf.finetuning.baseline import baseline as baseline
    from dnagpt_hf.finetuning.run import finetune as finetune
    from dnagpt_hf.finetuning.sft_trainer import DNAGPTSFTTrainer as DNAGPTSFTTrainer
    from dnagpt_hf.generation.sequences import generate_dna as generate_dna
    from dnagpt_hf.generation.sequences import generate_records as generate_records
    from dnagpt_hf.genomes.fasta import open_genome as open_genome
    from dnagpt_hf.haplotypes.evaluation import evaluate_haplotypes as evaluate_haplotypes
    from dnagpt_hf.haplotypes.files.formats import read_haplotypes as read_haplotypes
    from dnagpt_hf.haplotypes.files.formats import write_haplotypes as write_haplotypes
    from dnagpt_hf.haplotypes.generation import generate_haplotypes as generate_haplotypes
    from dnagpt_hf.haplotypes.haplotypes import Haplotypes as Haplotypes
    from dnagpt_hf.haplotypes.sites import Sites as Sites
    from dnagpt_hf.haplotypes.training import train_haplotypes as train_haplotypes
    from dnagpt_hf.inference.prediction import Predictions as Predictions
    from dnagpt_hf.interpretation.figures import attention_grid as attention_grid
    from dnagpt_hf.interpretation.figures import track_figure as track_figure
    from dnagpt_hf.likelihoods.alleles import Variant as Variant
    from dnagpt_hf.likelihoods.figures import logo_figure as logo_figure
    from dnagpt_hf.likelihoods.figures import saturation_figure as saturation_figure
    from dnagpt_hf.likelihoods.scores import SequenceScores as SequenceScores
    from dnagpt_hf.loaded_model import LoadedModel as LoadedModel
    from dnagpt_hf.loaded_model import load as load
    from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask as DNAGPTForMultiTask
    from dnagpt_hf.modeling_dnagpt import (
        DNAGPTForSequenceClassification as DNAGPTForSequenceClassification,
    )
    from dnagpt_hf.modeling_dnagpt import DNAGPTModel as DNAGPTModel
    from dnagpt_hf.presets import get_preset as get_preset
    from dnagpt_hf.presets import preset_config as preset_config
    from dnagpt_hf.presets import preset_tokenizer as preset_tokenizer
    from dnagpt_hf.pretraining.collator import DNAGPTDataCollator as DNAGPTDataCollator
    from dnagpt_hf.pretraining.run import pretrain as pretrain
    from dnagpt_hf.records.reading import Record as Record
    from dnagpt_hf.records.reading import RecordReader as RecordReader
    from dnagpt_hf.records.reading import to_records as to_records
    from dnagpt_hf.tasks.task import Task as Task
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer as DNAGPTTokenizer

__version__ = "0.1.0"

_MODULES = {
    "Checkpoint": "checkpoints.opening",
    "DNAGPTConfig": "configuration_dnagpt",
    "DNAGPTDataCollator": "pretraining.collator",
    "DNAGPTForMultiTask": "modeling_dnagpt",
    "DNAGPTForSequenceClassification": "modeling_dnagpt",
    "DNAGPTModel": "modeling_dnagpt",
    "DNAGPTSFTTrainer": "finetuning.sft_trainer",
    "DNAGPTTokenizer": "tokenization_dnagpt",
    "Haplotypes": "haplotypes.haplotypes",
    "LoadedModel": "loaded_model",
    "Predictions": "inference.prediction",
    "Record": "records.reading",
    "RecordReader": "records.reading",
    "Sites": "haplotypes.sites",
    "SequenceScores": "likelihoods.scores",
    "Task": "tasks.task",
    "Variant": "likelihoods.alleles",
    "attention_grid": "interpretation.figures",
    "baseline": "finetuning.baseline",
    "bundled": "checkpoints.bundled",
    "convert_checkpoint": "checkpoints.conversion",
    "evaluate_haplotypes": "haplotypes.evaluation",
    "export_checkpoint": "checkpoints.conversion",
    "finetune": "finetuning.run",
    "generate_dna": "generation.sequences",
    "generate_haplotypes": "haplotypes.generation",
    "generate_records": "generation.sequences",
    "get_preset": "presets",
    "init_checkpoint": "checkpoints.saving",
    "load": "loaded_model",
    "logo_figure": "likelihoods.figures",
    "open_checkpoint": "checkpoints.opening",
    "open_genome": "genomes.fasta",
    "preset_config": "presets",
    "preset_tokenizer": "presets",
    "pretrain": "pretraining.run",
    "push_checkpoint": "checkpoints.publishing",
    "read_haplotypes": "haplotypes.files.formats",
    "saturation_figure": "likelihoods.figures",
    "to_records": "records.reading",
    "track_figure": "interpretation.figures",
    "train_haplotypes": "haplotypes.training",
    "write_haplotypes": "haplotypes.files.formats",
}
__all__ = ["__version__", *_MODULES]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)


register_when_imported()
