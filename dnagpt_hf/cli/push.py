"""`dnagpt push`: publishing a checkpoint folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dnagpt_hf.cli import options
from dnagpt_hf.cli.loading import quiet_transformers


def push(
    folder: options.Folder,
    name: Annotated[
        str, typer.Argument(metavar="ORG/NAME", help="Name of the repository on the Hub.")
    ],
    private: Annotated[
        bool, typer.Option("--private", help="A new repository is seen by its owners alone.")
    ] = False,
    revision: Annotated[
        str | None,
        typer.Option(
            metavar="BRANCH",
            help="Branch, made from main if it does not exist. By default main.",
            show_default=False,
        ),
    ] = None,
    message: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Message of the commit.", show_default=False),
    ] = None,
    tag: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A new name for the commit.", show_default=False),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            metavar="ORG/NAME",
            help="Name on the Hub of the model that an adapter belongs to.",
            show_default=False,
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            help="Of the Hub. By default that of HF_TOKEN or hf auth login, which do not show it "
            "in the list of processes.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check, and list what would be uploaded.")
    ] = False,
) -> None:
    """Publish a checkpoint on the Hugging Face Hub.

    What belongs to the checkpoint is checked and uploaded in one commit: weights as safetensors,
    configurations, code, card, and figures of a fine-tuning. Nothing else of the folder is, and no
    pickle.
    """
    from dnagpt_hf.checkpoints.published_files import checkpoint_files
    from dnagpt_hf.checkpoints.publishing import check_name, push_checkpoint

    quiet_transformers()
    if dry_run:
        check_name(name)
        files = checkpoint_files(folder, name, base=base)
        for file, content in sorted(files.items()):
            typer.echo(f"{_size(content):>14,}  {file}")
        typer.echo(f"{sum(map(_size, files.values())):>14,}  bytes in all; nothing was uploaded")
        return
    published = push_checkpoint(
        folder,
        name,
        base=base,
        private=private,
        revision=revision,
        message=message,
        tag=tag,
        token=token,
    )
    if not published.changed:
        typer.echo(f"{published.url}: nothing has changed since commit {published.commit[:8]}")
        return
    removed = f"; removed {', '.join(published.removed)}" if published.removed else ""
    typer.echo(
        f"{published.url}: {len(published.files)} files, commit {published.commit[:8]}{removed}"
    )


def _size(content: Path | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size
