"""The application: its commands, and how errors are reported."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from typer import Option
from typer.core import TyperGroup

from dnagpt_hf.cli.checkpoints import convert, export, info, init, push
from dnagpt_hf.cli.data import data_app
from dnagpt_hf.cli.evaluate import evaluate
from dnagpt_hf.cli.generate import generate
from dnagpt_hf.cli.genomes import genomes_app
from dnagpt_hf.cli.haplotypes import haplotypes_app
from dnagpt_hf.cli.interpret import attention, attribute
from dnagpt_hf.cli.options import with_groups
from dnagpt_hf.cli.plan import plan
from dnagpt_hf.cli.predict import embed, predict
from dnagpt_hf.cli.score import score
from dnagpt_hf.cli.start import prepare
from dnagpt_hf.cli.training import CONTEXT, SettingsCommand, baseline, configs, finetune, pretrain
from dnagpt_hf.cli.variants import variants
from dnagpt_hf.messages import on_one_line

# typer reports these errors in the command itself; it exports no common base of theirs
COMMAND_ERROR: type[Exception] = typer.BadParameter.__mro__[2]
INTERRUPTED = 130
# commands by what they are for
GROUPS = {
    "Use a model": "predict generate embed score variants attention attribute evaluate",
    "Train a model": "finetune baseline pretrain haplotypes plan configs",
    "Prepare data": "genomes data",
    "Manage checkpoints": "info init convert export push",
}


class ReportingGroup(TyperGroup):
    """Commands whose errors end in one line on standard error, and the exit status 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, BrokenPipeError, COMMAND_ERROR):
            raise
        except KeyboardInterrupt:
            typer.echo("dnagpt: interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            if ctx.params["debug"]:
                raise
            typer.echo(f"dnagpt: error: {one_line(error)}", err=True)
            raise typer.Exit(1) from error

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands by groups, each with its whole first sentence."""
        for title, names in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(name, self.commands[name].get_short_help_str(300)) for name in names.split()]
                )


def one_line(error: Exception) -> str:
    """Write an error on one line.

    Example:

        >>> one_line(FileNotFoundError(2, "No such file or directory", "promoters.fa"))
        'promoters.fa: No such file or directory'
    """
    if isinstance(error, OSError) and error.strerror:
        if error.filename is not None:
            return f"{os.fsdecode(error.filename)}: {error.strerror}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            # errors of writing to files have their names
            return f"standard output: {error.strerror}"
    text = on_one_line(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out of memory: give a smaller --batch-tokens or --batch-size"
    if isinstance(error, ValueError | OSError | ImportError | FloatingPointError):
        return text
    return f"{type(error).__name__}: {text} (dnagpt --debug shows where)"


app = typer.Typer(
    name="dnagpt",
    cls=ReportingGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="A language model of DNA, numbers and instructions.",
    epilog="Exit status: 0 done, 1 an error in the data, 2 an error in the command.",
)
_COMMANDS: list[Callable[..., None]] = [convert, export, init, info, generate, predict, evaluate]
_COMMANDS += [embed, score, variants, attention, attribute, plan, configs, push]
for entry in _COMMANDS:
    app.command()(with_groups(entry))
for program in (pretrain, finetune, baseline):
    app.command(cls=SettingsCommand, context_settings=CONTEXT)(program)
app.add_typer(genomes_app)
app.add_typer(haplotypes_app)
app.add_typer(data_app)


def _version(asked: bool) -> None:
    if asked:
        from dnagpt_hf import __version__

        typer.echo(f"dnagpt {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[
        bool, Option("--debug", envvar="DNAGPT_DEBUG", help="Show where an error comes from.")
    ] = False,
    version: Annotated[
        bool, Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of all commands."""


def main() -> None:
    """Run the command line `dnagpt`."""
    prepare(sys.argv[1:])
    # Batch systems end a job with the first of these signals. As an exit, it removes half-written
    # files, and no library takes it for an error of its own.
    signal.signal(signal.SIGTERM, _exit_on_signal)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _exit_on_signal)
    app()


def _exit_on_signal(number: int, frame: FrameType | None) -> NoReturn:
    if number == signal.SIGINT:
        typer.echo("dnagpt: interrupted", err=True)
    raise SystemExit(128 + number)
