"""What of a checkpoint folder is published: its files by name, checked and ready for others."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from dnagpt_hf import configuration_dnagpt, modeling_dnagpt, tokenization_dnagpt
from dnagpt_hf.checkpoints.bundled import is_hub_name
from dnagpt_hf.checkpoints.card_metadata import CARD, CardError, read_card
from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.checkpoints.validation import (
    ADAPTER,
    ADAPTER_WEIGHTS,
    CONFIG,
    TOKENIZER_CONFIG,
    WEIGHTS,
    WEIGHTS_INDEX,
    CheckpointFolderError,
    check_weight_files,
)

CheckpointFiles: TypeAlias = Mapping[str, Path | bytes]

CODE = tuple(
    Path(str(module.__file__))
    for module in (configuration_dnagpt, modeling_dnagpt, tokenization_dnagpt)
)
DATA_REPORT = "data.json"
# what may stand beside the weights: all of it plain text, and none of it names the user's files
BESIDE = (
    *("generation_config.json", "tokenizer.json", "sites.legend"),
    *(DATA_REPORT, "metrics.json", "results.json"),
)
_WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
_OWN = {CARD, CONFIG, TOKENIZER_CONFIG, WEIGHTS_INDEX, ADAPTER, ADAPTER_WEIGHTS, *BESIDE}
_TOKENIZER_MAP = {"AutoTokenizer": ["tokenization_dnagpt.DNAGPTTokenizer", None]}
# what Transformers notes on where a folder was loaded from
_PLACES = ("_name_or_path", "name_or_path", "is_local", "local_files_only")


def checkpoint_files(
    source: str | Path, name: str | None = None, *, base: str | None = None
) -> CheckpointFiles:
    """The files of a checkpoint that are published, once it is known that they are whole.

    These are the weights as safetensors or an adapter, configurations, the three Python files, the
    card, and figures of a fine-tuning. State of training, predictions and all other files stay
    where they are. A folder without code gets that of this package.

    Args:
        source: a checkpoint folder, or the name of a bundled model.
        name: ORG/NAME that it will have on the Hub, which the card then loads it by.
        base: ORG/NAME of the base of an adapter.

    Returns:
        A path or, for what is written anew, the content, by the name of the file.

    Raises:
        CheckpointFolderError: something is missing, damaged, or does not fit the rest.
        CardError: the card is missing, incomplete, or leaves the licence open.

    Example:

        >>> files = checkpoint_files("dnagpt-tiny")
        >>> sorted(files)[:4]
        ['README.md', 'config.json', 'configuration_dnagpt.py', 'generation_config.json']
    """
    checkpoint = open_checkpoint(source)
    checkpoint.check()
    folder, is_adapter = checkpoint.folder, checkpoint.base is not None
    if base is not None and not is_adapter:
        raise CheckpointFolderError(f"{folder} holds all its weights, and needs no base {base}")
    files: dict[str, Path | bytes] = {}
    if is_adapter:
        files[ADAPTER] = _adapter_config(folder, base)
        files[ADAPTER_WEIGHTS] = folder / ADAPTER_WEIGHTS
    else:
        weights = check_weight_files(folder)
        files.update({path.name: path for path in weights})
        if [path.name for path in weights] != [WEIGHTS]:
            files[WEIGHTS_INDEX] = folder / WEIGHTS_INDEX
    files[CONFIG] = _with_map(folder / CONFIG, configuration_dnagpt.AUTO_MAP)
    files[TOKENIZER_CONFIG] = _with_map(folder / TOKENIZER_CONFIG, _TOKENIZER_MAP)
    files.update({path.name: path for path in _code(folder)})
    files[CARD] = _card(folder / CARD, name, base)
    files.update({file: folder / file for file in BESIDE if (folder / file).is_file()})
    if DATA_REPORT in files:
        files[DATA_REPORT] = _without_places(folder / DATA_REPORT)
    return files


def belongs_to_checkpoint(file: str) -> bool:
    """Whether a file of that name is part of a checkpoint, and goes when a new one lacks it.

    Example:

        >>> belongs_to_checkpoint("model-00001-of-00002.safetensors")
        True
        >>> belongs_to_checkpoint("LICENSE")
        False
    """
    return file in _OWN or _WEIGHTS.fullmatch(file) is not None


def _code(folder: Path) -> list[Path]:
    """The three Python files; files of two versions are not mixed."""
    own = [folder / path.name for path in CODE]
    return own if all(path.is_file() for path in own) else list(CODE)


def _with_map(path: Path, auto_map: Mapping[str, Any]) -> bytes:
    """A configuration that names the code beside it, and not where it was loaded from."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    fields = {key: value for key, value in fields.items() if key not in _PLACES}
    return _json({**fields, "auto_map": dict(auto_map)})


def _without_places(path: Path) -> bytes:
    """The counts of `data.json`, and not which files of this machine were read."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    return _json({key: value for key, value in fields.items() if key != "data"})


def _adapter_config(folder: Path, base: str | None) -> bytes:
    fields = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))
    stated = fields.get("base_model_name_or_path")
    if not is_hub_name(base or stated):
        raise CheckpointFolderError(
            f"{folder} holds an adapter of {base or stated!r}, which others cannot load: publish "
            "the base first, and give its ORG/NAME (--base)"
        )
    return _json({**fields, "base_model_name_or_path": base or stated})


def _card(path: Path, name: str | None, base: str | None) -> bytes:
    card = read_card(path)
    if card.data.get("license") == "unknown":
        raise CardError(f"{path}: license is unknown: find out what it is, and write it there")
    text = path.read_text(encoding="utf-8")
    if base is not None:
        card.data["base_model"] = base
        text = str(card)
    if name is not None:
        # what is loaded in the example of the card
        text = re.sub(r'^folder = "[^"\n]*"$', f'folder = "{name}"', text, flags=re.MULTILINE)
    return text.encode()


def _json(fields: Mapping[str, Any]) -> bytes:
    return (json.dumps(fields, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
