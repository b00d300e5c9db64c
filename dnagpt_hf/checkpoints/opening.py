"""Opening a checkpoint: a folder, a name on the Hub, a bundled model or an adapter, read once."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnagpt_hf.checkpoints.bundled import is_hub_name, resolve_checkpoint
from dnagpt_hf.checkpoints.validation import (
    CONFIG,
    TOKENIZER_CONFIG,
    CheckpointFolderError,
    adapter_base,
    check_weight_files,
    is_adapter,
    read_config,
    read_json,
    reported,
)
from dnagpt_hf.genomes.download.checksums import file_checksum

if TYPE_CHECKING:
    import torch

    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

logger = logging.getLogger(__name__)

# the code of a checkpoint is this package, and pickles are never loaded
_FILES_ON_THE_HUB = ["*.json", "*.safetensors", "*.legend", "*.md"]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose configuration and list of files were read and checked.

    Args:
        source: folder or name that was opened.
        folder: folder on this machine that holds the files.
        config: sizes, token roles and task of the model.
        architecture: name of the model's class, such as `"DNAGPTForMultiTask"`.
        base: checkpoint under an adapter; `None` where the folder holds all weights.
        base_hash: `weights_hash` of the base when the adapter was trained, where it is known.
    """

    source: str
    folder: Path
    config: DNAGPTConfig
    architecture: str
    base: Checkpoint | None = None
    base_hash: str | None = None

    @cached_property
    def revision(self) -> str:
        """Identify the weights: the commit on the Hub, or the starts of their files' SHA-256."""
        if self.folder.parent.name == "snapshots":
            return self.folder.name
        files = sorted(self.folder.glob("*.safetensors"))
        return "+".join(file_checksum(file, "sha256").value[:12] for file in files)

    @cached_property
    def weights_hash(self) -> str:
        """Hash the first row of each weight, which does not depend on the division into files."""
        import torch
        from safetensors import safe_open

        rows = {}
        for file in self.folder.glob("*.safetensors"):
            with safe_open(file, framework="pt") as weights:
                for name in weights.keys():  # noqa: SIM118
                    row = weights.get_slice(name)[:1].contiguous().view(torch.uint8)
                    rows[name] = row.numpy().tobytes()
        return hashlib.sha256(repr(sorted(rows.items())).encode()).hexdigest()[:16]

    @cached_property
    def tokenizer(self) -> DNAGPTTokenizer:
        """Load the tokenizer once, and check it against the configuration.

        Raises:
            CheckpointFolderError: it is missing, damaged, or of another vocabulary.
        """
        from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

        path = self.folder / TOKENIZER_CONFIG
        if not path.is_file():
            raise CheckpointFolderError(
                f"{self.folder} has no {TOKENIZER_CONFIG}: copy it from where the model came from; "
                f"its kmer_size is {self.config.kmer_size}"
            )
        read_json(path)
        with reported(f"{path}"):
            tokenizer = DNAGPTTokenizer.from_pretrained(self.folder, local_files_only=True)
        own = (tokenizer.kmer_size, tokenizer.number_token_id)
        if own != (self.config.kmer_size, self.config.number_token_id):
            kind = "dynamic" if tokenizer.dynamic_kmer else "fixed"
            raise CheckpointFolderError(
                f"{path} is of a {kind} vocabulary of {own[0]}-mers with the number position "
                f"{own[1]}, the model of {self.config.kmer_size}-mers with "
                f"{self.config.number_token_id}: it belongs to another checkpoint, copy that of "
                "this model"
            )
        return tokenizer

    def load_model(
        self,
        model_class: type[Any] | None = None,
        *,
        device: str | torch.device = "cpu",
        dtype: str | torch.dtype | None = None,
        attention: str | None = None,
        config: DNAGPTConfig | None = None,
    ) -> Any:
        """Load the weights, check them against the configuration, and merge an adapter.

        Args:
            model_class: class of the model; by default the checkpoint's own. A head that the
                checkpoint does not have gets new weights.
            device: as for [`find_device`]. `"meta"` reads the shapes alone.
            dtype: data type of the weights; by default as stored.
            attention: implementation of attention, such as `"sdpa"`.
            config: configuration in place of the checkpoint's, with other labels or another task.

        Returns:
            The model in evaluation mode.

        Raises:
            CheckpointFolderError: weights are missing, or do not fit the configuration or each
                other.
            ImportError: an adapter needs peft, which is not installed.
            ValueError: the device does not exist.
        """
        from dnagpt_hf import modeling_dnagpt

        place = find_device(device)
        own = getattr(modeling_dnagpt, self.architecture)
        model_class = model_class or own
        options: dict[str, Any] = {
            "dtype": dtype or "auto",
            "attn_implementation": attention,
            "local_files_only": True,
        }
        if self.base is not None:
            model = _merge_adapter(self, own, dtype, attention)
            if model_class is not own or config is not None:
                options.update(config=config or model.config, state_dict=model.state_dict())
                model = model_class.from_pretrained(None, **options)
            return model.eval().to(place)
        # an unknown activation or kind of attention, for example
        with reported(f"{self.folder}: no model can be made of {CONFIG} and the weights"):
            model, report = model_class.from_pretrained(
                self.folder,
                config=config or self.config,
                # shapes that differ are reported like names, in place of an error of many lines
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                device_map="meta" if place.type == "meta" else None,
                **options,
            )
        if getattr(self.config, "quantization_config", None) is not None:
            # weights in fewer bits have other shapes and names, and their library places them
            return model
        _check_weights(self.folder, model, report, heads_needed=model_class is own)
        return model.to(place)

    def check(self) -> None:
        """Check the tokenizer and the shapes of all weights, without reading the weights.

        Raises:
            CheckpointFolderError: a file is damaged, or does not fit the rest.

        Example:

            >>> open_checkpoint("dnagpt-tiny").check()
        """
        self.tokenizer  # noqa: B018
        (self.base or self).load_model(device="meta")


def open_checkpoint(
    source: str | Path | Checkpoint, *, local_files_only: bool = False
) -> Checkpoint:
    """Open a checkpoint: find its folder, and check its configuration and list of files.

    No weights are read, and nothing is downloaded for a folder.

    Args:
        source: a checkpoint folder or one of an adapter, the name of a bundled model, or a name
            on the Hub, ORG/NAME; an opened checkpoint is returned as it is.
        local_files_only: do not download what the local cache of the Hub lacks.

    Raises:
        CheckpointFolderError: there is no such checkpoint, or a file is missing or damaged; the
            message is one line that names folder, file and value.

    Example:

        >>> checkpoint = open_checkpoint("dnagpt-tiny")
        >>> checkpoint.architecture, checkpoint.config.num_hidden_layers
        ('DNAGPTForMultiTask', 4)
        >>> checkpoint.tokenizer.kmer_size
        3
        >>> model = checkpoint.load_model(device="auto", dtype="bfloat16")
    """
    if isinstance(source, Checkpoint):
        return source
    folder = _find_folder(str(source), local_files_only)
    config, architecture = read_config(folder)
    # a merged model is no adapter any more
    base_hash = config.__dict__.pop("adapter_base", None)
    base = None
    if is_adapter(folder):
        # the base of a local adapter is not downloaded unasked
        base = open_checkpoint(
            adapter_base(folder), local_files_only=local_files_only or Path(source).exists()
        )
    else:
        check_weight_files(folder)
    return Checkpoint(str(source), folder, config, architecture, base, base_hash)


def find_device(name: str | torch.device) -> torch.device:
    """Find the device of a name.

    Args:
        name: `"auto"` for CUDA, else MPS, else the CPU; or a device of PyTorch.

    Raises:
        ValueError: there is no such device.

    Example:

        >>> find_device("cpu")
        device(type='cpu')
    """
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"unknown device {name!r}: choose auto, cpu, cuda or mps") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device {name!r} does not exist here: PyTorch sees {torch.cuda.device_count()} CUDA "
            "devices"
        )
    return device


def _find_folder(source: str, local_files_only: bool) -> Path:
    folder = Path(resolve_checkpoint(source))
    # beside other folders it is one that is missing, which no network has to be asked for
    if folder.exists() or folder.parent.is_dir() or not is_hub_name(source):
        return folder
    from huggingface_hub import snapshot_download

    with reported(f"{source}: no such checkpoint folder, and none on the Hub that can be loaded"):
        found = snapshot_download(
            source,
            allow_patterns=_FILES_ON_THE_HUB,
            ignore_patterns=["*/*"],
            local_files_only=local_files_only,
        )
    return Path(found)


def _merge_adapter(
    checkpoint: Checkpoint,
    own: type[Any],
    dtype: str | torch.dtype | None,
    attention: str | None,
) -> Any:
    """Load the base as the class of the adapter, with the adapter merged into it."""
    try:
        from peft import PeftModel
    except ImportError as error:
        raise ImportError(
            f"{checkpoint.folder} holds an adapter, which needs peft: install it with "
            "pip install 'dnagpt_hf[peft]'"
        ) from error
    import torch

    base: Any = checkpoint.base
    if checkpoint.base_hash not in (None, base.weights_hash):
        logger.warning(
            "%s: its adapter was trained on other weights than those of %s, so that its answers "
            "may be wrong: put back the base of that time",
            checkpoint.folder,
            base.source,
        )
    problem = f"{checkpoint.folder}: its adapter cannot be merged into its base {base.source}"
    # PEFT first fills an adapter with random numbers; those of the caller stay as they were
    with reported(problem), torch.random.fork_rng(devices=[]):
        # the task may have other outputs than the base
        model = base.load_model(own, dtype=dtype, attention=attention, config=checkpoint.config)
        return PeftModel.from_pretrained(model, str(checkpoint.folder)).merge_and_unload()


def _check_weights(folder: Path, model: Any, report: dict[str, Any], *, heads_needed: bool) -> None:
    """Raise an error where the loading report of Transformers tells of weights that do not fit."""
    shapes = {name: (found, own) for name, found, own in report["mismatched_keys"]}
    if report["unexpected_keys"]:
        raise CheckpointFolderError(
            f"{folder} has the unknown weight {min(report['unexpected_keys'])}: the sizes in "
            f"{CONFIG} are of another {type(model).__name__}"
        )
    # in the order of the model, so that its widest sizes are named first
    for name in model.state_dict():
        if name in shapes:
            found, own = map(tuple, shapes[name])
            raise CheckpointFolderError(
                f"{folder}: weight {name} has shape {found}, {CONFIG} says {own}: the two belong "
                "to different checkpoints"
            )
    body = "" if model.base_model is model else f"{model.base_model_prefix}."
    missing = sorted(
        name for name in report["missing_keys"] if heads_needed or name.startswith(body)
    )
    if missing:
        raise CheckpointFolderError(
            f"{folder} lacks weight {missing[0]}"
            + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
            + f" of the sizes in {CONFIG}: copy or download the folder again"
        )
