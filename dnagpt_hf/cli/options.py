"""Options that several commands have, alone and in groups.

A group is a dataclass. A command that has one among its parameters, and is wrapped by
[`with_groups`], has an option for each of its fields.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, BadParameter, Option

from dnagpt_hf.cli import running

if TYPE_CHECKING:
    from dnagpt_hf.checkpoints.opening import Checkpoint
    from dnagpt_hf.loaded_model import LoadedModel
    from dnagpt_hf.records.reading import Record
    from dnagpt_hf.tasks.task import Task
    from dnagpt_hf.tasks.views import ViewChoice

DType = Literal["float32", "float16", "bfloat16"]
Side = Literal["left", "right"]
Remainder = Literal["error", "drop", "pad"]
InputFormat = Literal["fasta", "csv", "tsv", "jsonl", "text", "parquet"]
TableFormat = Literal["csv", "tsv", "jsonl"]

Model = Annotated[
    str,
    Argument(
        metavar="MODEL",
        help="A checkpoint folder, the name of a bundled model, or ORG/NAME on the Hub.",
    ),
]
Input = Annotated[
    str,
    Argument(
        metavar="INPUT",
        help="FASTA, CSV, TSV, JSON lines or text, plain or compressed with gzip or bgzip, or "
        "parquet; - is standard input.",
    ),
]
InputFormatOption = Annotated[
    InputFormat | None,
    Option("--format", help="Format of the input. By default its name or its first line tells."),
]
Template = Annotated[
    str | None,
    Option(
        metavar="TEXT",
        help="Text of the token language with columns in braces, for example "
        "'<R>{sequence}<+><M>{halflife}<=><M>'. A FASTA record has sequence, name and description.",
    ),
]
Columns = Annotated[
    list[str] | None,
    Option(
        metavar="NEW=OLD", help="Rename a column of the input, as sequence=Sequence; repeatable."
    ),
]
Set = Annotated[
    list[str] | None,
    Option(
        metavar="COLUMN=VALUE",
        help="Add a column with one value for all records, as species=R; repeatable.",
    ),
]
ChromAliases = Annotated[
    Path | None,
    Option(
        metavar="FILE",
        help="Other names of each contig on a line, separated by tabs. With and without chr names "
        "are the same anyway.",
    ),
]
Device = Annotated[str, Option(metavar="NAME", help="auto, cpu, or cuda (also cuda:1).")]
DTypeOption = Annotated[
    DType | None, Option("--dtype", help="Data type of the weights. By default as stored.")
]
BatchSize = Annotated[int, Option(min=1, help="Most records of a batch.")]
BatchTokens = Annotated[int, Option(min=1, help="Most tokens of a batch, with padding.")]
Temperature = Annotated[float, Option(help="Below 1 safer, above 1 wilder.")]
TopK = Annotated[int | None, Option(min=1, help="Draw from so many tokens only.")]
TopP = Annotated[
    float | None, Option(min=0.0, max=1.0, help="Draw from tokens of this total only.")
]
Seed = Annotated[int, Option(help="The same seed draws the same.")]
Output = Annotated[
    str, Option("--output", "-o", metavar="FILE", help=".csv, .tsv or .jsonl, also with .gz.")
]
OutputFormat = Annotated[
    TableFormat | None, Option(help="By default the ending of the output tells, or csv.")
]
Overwrite = Annotated[bool, Option("--overwrite", help="Replace an output that exists.")]


@dataclass(frozen=True)
class ModelOptions:
    """Options of a command that loads a model."""

    device: Device = "auto"
    dtype: DTypeOption = None
    threads: Annotated[int | None, Option(min=1, help="Processor threads.")] = None

    def load(self, source: str | Checkpoint, **options: Any) -> LoadedModel:
        """Load a model; further options are those of [`~dnagpt_hf.load`]."""
        from dnagpt_hf import loaded_model

        if self.threads is not None:
            import torch

            torch.set_num_threads(self.threads)
        return loaded_model.load(source, device=self.device, dtype=self.dtype, **options)


@dataclass(frozen=True)
class BatchOptions:
    """Sizes of batches."""

    batch_size: BatchSize = 64
    batch_tokens: BatchTokens = 16_384


Phases = Annotated[
    Literal["first", "all"] | None,
    Option(
        help="Mean over all phases of the k-mers, which takes k times as long, or the first. By "
        "default as the task says, or the first."
    ),
]
Strand = Annotated[
    Literal["forward", "both"] | None,
    Option(
        help="Mean of both strands, which takes twice as long, or one. By default as the task "
        "says, or forward."
    ),
]


@dataclass(frozen=True)
class ViewOptions:
    """Ways in which sequences are read; predictions are means over them."""

    views: Annotated[
        Literal["first"] | None,
        Option(help="Read sequences as they stand alone: --phases first --strand forward."),
    ] = None
    phases: Phases = None
    strand: Strand = None

    @property
    def choice(self) -> ViewChoice:
        """The argument `views` of the functions that read records."""
        stated = {"phases": self.phases, "strands": self.strand}
        named = {name: value for name, value in stated.items() if value is not None}
        if self.views is not None and named:
            raise BadParameter("--views first stands for --phases and --strand: give one of them")
        return self.views or named or None


@dataclass(frozen=True)
class RecordOptions:
    """Options of a command that reads records for a model."""

    template: Template = None
    columns: Columns = None
    set: Set = None
    format: InputFormatOption = None
    truncate: Annotated[
        Side | None,
        Option(help="Cut sequences that are too long at this end. By default they are an error."),
    ] = None
    remainder: Annotated[
        Remainder | None,
        Option(
            help="In a vocabulary of 6-mers only: drop the bases that fill no token, or pad them "
            "with N. By default as the checkpoint says."
        ),
    ] = None

    @property
    def prompt(self) -> dict[str, Any]:
        """Arguments of the functions that turn records into prompts."""
        return {"template": self.template, "truncation": self.truncate}

    @property
    def changes(self) -> tuple[dict[str, str], dict[str, str]]:
        """Columns to rename, and columns to add."""
        return parse_pairs("columns", self.columns), parse_pairs("set", self.set)

    def check_set(self, task: Task | None, kept: Sequence[str] = ()) -> None:
        """Refuse added columns that nothing reads, such as a species that the template states.

        Args:
            task: task of the model, whose template is read if none is stated.
            kept: columns that are written.

        Raises:
            ValueError: a column of `--set` is in neither of them.
        """
        template = self.template or (task.template if task else "{sequence}")
        for column in self.changes[1]:
            if f"{{{column}}}" not in template and column not in (*kept, "name", "id"):
                raise ValueError(
                    f"--set {column}: the template {template!r} has no such column, so that it "
                    "would change nothing: leave it out, or state another --template"
                )

    @contextmanager
    def read(self, input: str, description: str) -> Iterator[Iterator[Record]]:
        """Open the records of a file, with a progress bar over its bytes as they are read."""
        from dnagpt_hf.records.reading import RecordReader, change_columns

        changes = self.changes
        with RecordReader(input, format=self.format) as reader:
            size = reader.size
            with running.progress_bar(description, size, unit="B", unit_scale=True) as report:

                def counted() -> Iterator[Record]:
                    for record in reader:
                        yield record
                        report(reader.position)

                yield change_columns(counted(), *changes)


@dataclass(frozen=True)
class PredictionOptions(RecordOptions):
    """Options of a command that reads records whose answers a model predicts."""

    answers: Annotated[
        str | None,
        Option(
            metavar="TOKEN=LABEL,…",
            help="Tokens that may follow the template, and what they mean: A=false,N=true. "
            "By default those of the checkpoint.",
        ),
    ] = None

    @property
    def prompt(self) -> dict[str, Any]:
        """Arguments of the functions that predict answers of records."""
        texts = None if self.answers is None else self.answers.split(",")
        answers = None if texts is None else parse_pairs("answers", texts)
        return {**super().prompt, "answers": answers}


def parse_pairs(option: str, texts: list[str] | None) -> dict[str, str]:
    """Read what an option says about names: `NAME=VALUE`, each name once.

    Args:
        option: name of the option, for errors.
        texts: what is said; a name may be a token, such as `<=>`.

    Raises:
        ValueError: a text has no equals sign, or a name stands twice.

    Example:

        >>> parse_pairs("columns", ["sequence=Sequence", "label=class"])
        {'sequence': 'Sequence', 'label': 'class'}
        >>> parse_pairs("answers", ["A=false", "<=>=true"])
        {'A': 'false', '<=>': 'true'}
    """
    values: dict[str, str] = {}
    for text in texts or []:
        found = re.fullmatch(r"\s*(<[^>]*>|[^=]+?)\s*=\s*(.+?)\s*", text)
        if found is None:
            form, example = _PAIRS[option]
            raise ValueError(f"--{option}: {text!r} is not of the form {form}, as in {example}")
        if found[1] in values:
            raise ValueError(f"--{option}: {text!r}: {found[1]!r} stands twice")
        values[found[1]] = found[2]
    return values


# form and example of the options that state pairs
_PAIRS = {
    "columns": ("NEW=OLD", "sequence=Sequence"),
    "set": ("COLUMN=VALUE", "species=R"),
    "answers": ("TOKEN=LABEL", "A=false,N=true"),
    "contig": ("NAME or NAME=NAME", "chrX or chrX=X"),
}


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Make a command whose options are also the fields of its groups.

    Args:
        command: function of which some parameters are annotated with a dataclass.

    Returns:
        The function that Typer is to see: it has the fields as parameters, and calls the command
        with the groups that it makes of them.
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {}
    flat: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        if is_dataclass(parameter.annotation):
            groups[name] = parameter.annotation
            flat += _parameters(groups[name])
        else:
            flat.append(parameter)

    @wraps(command)
    def run(**values: Any) -> None:
        running.check_outputs(values)
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
        command(**values)

    # options have names, so that one without a default may stand behind one with it
    named = [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in flat]
    run.__signature__ = signature.replace(parameters=named)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in flat}
    return run


def _parameters(group: type[Any]) -> Iterator[inspect.Parameter]:
    """List the parameters of a group; metadata of its fields may hold the help of an option."""
    parameters = inspect.signature(group, eval_str=True).parameters
    for field in fields(group):
        parameter = parameters[field.name]
        if field.metadata:
            option = Option(f"--{field.name.replace('_', '-')}", **field.metadata)
            parameter = parameter.replace(annotation=Annotated[parameter.annotation, option])
        yield parameter
