"""Publishing a checkpoint folder on the Hugging Face Hub, whole and in one commit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import (
    HfHubHTTPError,
    HTTPError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
)
from huggingface_hub.utils import HFValidationError, validate_repo_id

from dnagpt_hf.checkpoints.published_files import belongs_to_checkpoint, checkpoint_files
from dnagpt_hf.messages import on_one_line

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

    `dnagpt_hf.checkpoints.published_files.checkpoint_files` lists the files. Files of an earlier
    checkpoint that this one does not have, such as shards, are removed in the same commit; files
    that belong to no checkpoint stay. (`upload_folder` of huggingface_hub would upload a large
    folder in several commits.)

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
        stale = sorted(file for file in there if belongs_to_checkpoint(file) and file not in files)
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
