"""Publishing a checkpoint folder on the Hugging Face Hub, whole and in one commit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import (
    HfHubHTTPError,
    HTTPError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
)
from huggingface_hub.utils import HFValidationError, filter_repo_objects, validate_repo_id

from dnagpt_hf.checkpoints.bundled import is_hub_name
from dnagpt_hf.checkpoints.card import CARD, CardError, read_card
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
from dnagpt_hf.messages import on_one_line

# plain text that may stand beside the weights
_BESIDE = (
    *("generation_config.json", "tokenizer.json", "sites.legend"),
    *("data.json", "metrics.json", "results.json"),
)
# the files of a checkpoint, which go when a new one lacks them
_OWN = [
    *(CARD, CONFIG, TOKENIZER_CONFIG, *_BESIDE, ADAPTER, ADAPTER_WEIGHTS),
    *(WEIGHTS, WEIGHTS_INDEX, "model-*-of-*.safetensors"),
]
_TOKENIZER_MAP = {"AutoTokenizer": ["tokenization_dnagpt.DNAGPTTokenizer", None]}
# folders of the user's machine, as Transformers notes them
_PRIVATE_FIELDS = ("_name_or_path", "name_or_path", "is_local", "local_files_only")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class PublishingError(ValueError):
    """A checkpoint that was not published; the message names it, and says what to do."""


@dataclass(frozen=True)
class Published:
    """A checkpoint on the Hub.

    Args:
        name: ORG/NAME.
        url: address of the repository.
        commit: the commit that holds the checkpoint.
        changed: the commit is new; nothing is committed without a change.
        files: files of the checkpoint.
        removed: files of an earlier checkpoint that this one does not have.
    """

    name: str
    url: str
    commit: str
    changed: bool
    files: tuple[str, ...]
    removed: tuple[str, ...]


def push_checkpoint(
    folder: str | Path,
    name: str,
    *,
    base: str | None = None,
    private: bool = False,
    revision: str | None = None,
    message: str | None = None,
    tag: str | None = None,
    token: str | None = None,
) -> Published:
    """Check a checkpoint and upload it in one commit, so that no reader sees half of it.

    [`checkpoint_files`] lists the files. Files of an earlier checkpoint that this one does not
    have, such as shards, are removed in the same commit; files that belong to no checkpoint stay.

    Args:
        folder: a checkpoint folder, or the name of a checkpoint of this package.
        name: ORG/NAME; the repository is made if it does not exist.
        base: ORG/NAME of the base of an adapter.
        private: a new repository is private. One that is public is an error then.
        revision: branch, made from `main` if it does not exist. By default `main`.
        message: of the commit.
        tag: name for the commit, which must be new.
        token: of the Hub. By default that of `HF_TOKEN` or `hf auth login`.

    Raises:
        ValueError: the checkpoint is not whole, or its card not complete.
        PublishingError: the name, branch or tag cannot be used, or the Hub refuses or cannot be
            reached. No file of the repository was changed then.

    Example:

        >>> push_checkpoint("promoters", "ORG/promoters", tag="v1")  # doctest: +SKIP
    """
    check_name(name)
    if revision is not None and _COMMIT.fullmatch(revision):
        raise PublishingError(f"revision {revision} is a commit: give the name of a branch")
    files = checkpoint_files(folder, name, base=base)
    api = HfApi(token=token)
    with _reported(name, token or get_token()):
        url = api.create_repo(name, private=private or None, exist_ok=True)
        _check_repository(api, name, private, tag)
        if revision is not None:
            api.create_branch(name, branch=revision, exist_ok=True)
        before = api.model_info(name, revision=revision)
        there = [one.rfilename for one in before.siblings or ()]
        stale = sorted({*filter_repo_objects(there, allow_patterns=_OWN)} - files.keys())
        commit = api.create_commit(
            name,
            operations=[
                *(CommitOperationAdd(file, content) for file, content in files.items()),
                *map(CommitOperationDelete, stale),
            ],
            commit_message=message or f"Upload {Path(name).name}",
            revision=revision,
        )
        if tag is not None:
            api.create_tag(name, tag=tag, revision=commit.oid)
    changed = commit.oid != before.sha
    return Published(name, str(url), commit.oid, changed, tuple(sorted(files)), tuple(stale))


def checkpoint_files(
    source: str | Path, name: str | None = None, *, base: str | None = None
) -> Mapping[str, Path | bytes]:
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
    beside = [folder / file for file in _BESIDE if (folder / file).is_file()]
    files.update({path.name: path for path in (*code, *beside)})
    files[CARD] = _card(folder / CARD, name, base)
    return files


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
        # the name that the examples of the card load
        use = r'^(folder = "|    dnagpt (?:predict|haplotypes generate) )[^"\s]*'
        text = re.sub(use, rf"\g<1>{name}", text, flags=re.MULTILINE)
    return text.encode()


def check_name(name: str) -> None:
    """Check that a name has the form ORG/NAME of the Hub.

    Raises:
        PublishingError: it has not.

    Example:

        >>> check_name("ORG/dnagpt-m")
    """
    problem = ""
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        problem = f" ({on_one_line(error)})"
    if problem or name.count("/") != 1:
        raise PublishingError(
            f"{name!r} is no full name of a model on the Hub{problem}: write ORG/NAME, with your "
            "name or that of an organization"
        )


def _check_repository(api: HfApi, name: str, private: bool, tag: str | None) -> None:
    if private and api.model_info(name).private is False:
        raise PublishingError(
            f"{name} exists and is public, so nothing was uploaded: make it private in its "
            "settings on the Hub, or choose another name"
        )
    tags = {} if tag is None else {one.name: one for one in api.list_repo_refs(name).tags}
    if tag in tags:
        raise PublishingError(
            f"{name} has a tag {tag!r} already, of commit {tags[tag].target_commit[:8]}, so "
            "nothing was uploaded: choose another name for the tag"
        )


@contextmanager
def _reported(name: str, token: str | None) -> Iterator[None]:
    """Report every failure in one line, without the token."""
    try:
        yield
    except PublishingError:  # a ValueError that says what it has to say
        raise
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        text = f"{name} was not published: {_reason(error, name)}"
        raise PublishingError(text.replace(token, "…") if token else text) from error


def _reason(error: BaseException, name: str) -> str:
    if isinstance(error, RuntimeError) and error.__cause__ is not None:
        # the failed upload of one file
        return f"{error} {_reason(error.__cause__, name)}"
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set: unset it to publish"
    login = "log in with hf auth login, or set HF_TOKEN, with a token that may write"
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if isinstance(error, LocalTokenNotFoundError) or status == 401:
        return f"the Hub does not know who you are: {login}"
    if status == 403:
        return f"your token may not write to {name.split('/')[0]}: {login} there"
    if status is None and isinstance(error, HTTPError):
        return f"the Hub cannot be reached ({on_one_line(error)}): check the connection"
    return on_one_line(error)
