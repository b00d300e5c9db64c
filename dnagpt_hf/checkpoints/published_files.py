"""The files of a checkpoint that are published: checked, and with nothing private in them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from dnagpt_hf.checkpoints.bundled import is_hub_name
from dnagpt_hf.checkpoints.card_metadata import CARD, CardError, read_card
from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.checkpoints.saving import CODE
from dnagpt_hf.checkpoints.validation import (
    ADAPTER,
    ADAPTER_WEIGHTS,
    CONFIG,
    TOKENIZER_CONFIG,
    WEIGHTS,
    WEIGHTS_INDEX,
    CheckpointFolderError,
    check_weight_files,
    read_json,
)
from dnagpt_hf.configuration_dnagpt import AUTO_MAP

CheckpointFiles: TypeAlias = Mapping[str, Path | bytes]

DATA_REPORT = "data.json"
# plain text that may stand beside the weights
BESIDE = (
    *("generation_config.json", "tokenizer.json", "sites.legend"),
    *(DATA_REPORT, "metrics.json", "results.json"),
)
_WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
_OWN = {CARD, CONFIG, TOKENIZER_CONFIG, WEIGHTS_INDEX, ADAPTER, ADAPTER_WEIGHTS, *BESIDE}
_TOKENIZER_MAP = {"AutoTokenizer": ["tokenization_dnagpt.DNAGPTTokenizer", None]}
# folders and files of the user's machine, as Transformers and the data report note them
_PRIVATE_FIELDS = ("_name_or_path", "name_or_path", "is_local", "local_files_only", "data")


def checkpoint_files(
    source: str | Path, name: str | None = None, *, base: str | None = None
) -> CheckpointFiles:
    """Check a checkpoint, and list the files of it that are published.

    These are the weights as safetensors or an adapter, configurations, the three Python files, the
    card, and figures of a fine-tuning. State of training, predictions and all other files stay
    where they are. A folder without code gets that of this package.

    Args:
        source: a checkpoint folder, or the name of a bundled model.
        name: ORG/NAME that it will have on the Hub, which the card then loads it by.
        base: ORG/NAME of the base of an adapter.

    Returns:
        A path or, for a file that is written anew, its content, by the name of the file.

    Raises:
        CheckpointFolderError: something is missing, damaged, or does not fit the rest.
        CardError: the card is missing, incomplete, or leaves the license open.

    Example:

        >>> files = checkpoint_files("dnagpt-tiny")
        >>> sorted(files)[:4]
        ['README.md', 'config.json', 'configuration_dnagpt.py', 'generation_config.json']
    """
    checkpoint = open_checkpoint(source)
    checkpoint.check()
    folder = checkpoint.folder
    files: dict[str, Path | bytes] = {}
    if checkpoint.base is not None:
        base_on_hub = base or read_json(folder / ADAPTER)["base_model_name_or_path"]
        if not is_hub_name(base_on_hub):
            raise CheckpointFolderError(
                f"{folder} holds an adapter of {base_on_hub!r}, which others cannot load: publish "
                "the base first, and give its ORG/NAME (--base)"
            )
        files[ADAPTER] = _edited(folder / ADAPTER, base_model_name_or_path=base_on_hub)
        files[ADAPTER_WEIGHTS] = folder / ADAPTER_WEIGHTS
    elif base is not None:
        raise CheckpointFolderError(f"{folder} holds all its weights, and needs no base {base}")
    else:
        weights = check_weight_files(folder)
        index = [] if weights == [folder / WEIGHTS] else [folder / WEIGHTS_INDEX]
        files.update({path.name: path for path in weights + index})
    files[CONFIG] = _edited(folder / CONFIG, auto_map=AUTO_MAP)
    files[TOKENIZER_CONFIG] = _edited(folder / TOKENIZER_CONFIG, auto_map=_TOKENIZER_MAP)
    # files of two versions of the code are not mixed
    own_code = [folder / path.name for path in CODE]
    code = own_code if all(path.is_file() for path in own_code) else CODE
    beside = [folder / file for file in BESIDE if (folder / file).is_file()]
    files.update({path.name: path for path in (*code, *beside)})
    files[CARD] = _card(folder / CARD, name, base)
    if DATA_REPORT in files:
        files[DATA_REPORT] = _edited(folder / DATA_REPORT)
    return files


def belongs_to_checkpoint(file: str) -> bool:
    """Tell a file of a checkpoint, which goes when a new one lacks it, from other files.

    Example:

        >>> belongs_to_checkpoint("model-00001-of-00002.safetensors")
        True
        >>> belongs_to_checkpoint("LICENSE")
        False
    """
    return file in _OWN or _WEIGHTS.fullmatch(file) is not None


def _edited(path: Path, **fields: Any) -> bytes:
    """Read a file of fields without those that are private, and set others."""
    kept = {key: value for key, value in read_json(path).items() if key not in _PRIVATE_FIELDS}
    text = json.dumps({**kept, **fields}, indent=2, sort_keys=True, ensure_ascii=False)
    return f"{text}\n".encode()


def _card(path: Path, name: str | None, base: str | None) -> bytes:
    card = read_card(path)
    if card.data.get("license") == "unknown":
        raise CardError(f"{path}: license is unknown: find out what it is, and write it there")
    text = path.read_text(encoding="utf-8")
    if base is not None:
        card.data["base_model"] = base
        text = str(card)
    if name is not None:
        # the name that the example of the card loads
        text = re.sub(r'^folder = "[^"\n]*"$', f'folder = "{name}"', text, flags=re.MULTILINE)
    return text.encode()
