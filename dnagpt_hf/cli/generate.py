"""`dnagpt generate`: DNA of exact lengths, and records of the token language."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer
from typer import Option

from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.cli import options
from dnagpt_hf.cli.running import progress_bar

if TYPE_CHECKING:
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

GeneratedFormat = Literal["fasta", "text", "jsonl"]


class Prompt(NamedTuple):
    """A text to continue, and what to call it."""

    name: str
    text: str


def generate(
    source: options.Model,
    *,
    prompt: Annotated[
        list[str] | None,
        Option(
            "--prompt",
            "-p",
            metavar="TEXT",
            help="Record to continue, such as '<R>ACGT'; may be repeated.",
        ),
    ] = None,
    input: Annotated[
        str | None,
        Option(
            "--input",
            "-i",
            metavar="FILE",
            help="Records to continue: text with one on each line, FASTA, CSV, TSV or JSON lines; "
            "- is standard input.",
        ),
    ] = None,
    template: options.Template = None,
    bases: Annotated[int | None, Option(min=1, help="New bases, exactly; nothing but DNA.")] = None,
    max_new_tokens: Annotated[
        int | None, Option(min=1, help="New tokens of any kind, numbers included.")
    ] = None,
    stop: Annotated[str | None, Option(metavar="TOKEN", help="Token that ends a record.")] = None,
    number: Annotated[int, Option(min=1, help="Continuations of each prompt.")] = 1,
    greedy: Annotated[
        bool, Option("--greedy", help="Take the most probable token each time.")
    ] = False,
    temperature: options.Temperature = 1.0,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    seed: options.Seed = 0,
    allow_n: Annotated[bool, Option("--allow-n", help="Let --bases write N.")] = False,
    batch_size: options.BatchSize = 8,
    output: Annotated[
        str, Option("--output", "-o", metavar="FILE", help="FASTA, text or .jsonl, also .gz.")
    ] = "-",
    format: options.InputFormatOption = None,
    output_format: Annotated[
        GeneratedFormat | None,
        Option(
            help="fasta: new bases alone; text: prompt and what follows; jsonl: both. By default "
            "the ending of the output tells, or fasta with --bases and text without."
        ),
    ] = None,
    loading: options.ModelOptions,
    overwrite: options.Overwrite = False,
) -> None:
    """Continue prompts with DNA of an exact length, or with any tokens and numbers."""
    from dnagpt_hf.records.writing import check_output, output_stream

    if (bases is None) == (max_new_tokens is None):
        raise typer.BadParameter("state how much to write, with --bases or --max-new-tokens")
    if (prompt is None) == (input is None):
        raise typer.BadParameter("state what to continue, with --prompt or --input")
    if temperature <= 0:
        raise typer.BadParameter(
            "must be above 0: for the limit of 0 choose --greedy", param_hint="--temperature"
        )
    if greedy and number > 1:
        raise ValueError(f"--greedy gives {number} equal continuations: leave --number out")
    if stop is not None and bases is not None:
        raise typer.BadParameter("--stop ends a record before its --bases: leave one of them out")
    only_dna = bases is not None
    written_format = _format(output, output_format, only_dna)
    check_output(output, overwrite=overwrite)
    checkpoint = open_checkpoint(source)
    if checkpoint.architecture != "DNAGPTForMultiTask":
        raise ValueError(f"{source} holds a {checkpoint.architecture}, which cannot generate")
    if input is None:
        prompts = [Prompt(f"prompt{i}", text) for i, text in enumerate(prompt or [], start=1)]
    else:
        prompts = list(_read_prompts(input, format, template, checkpoint.tokenizer, only_dna))

    loaded = loading.load(checkpoint)
    with progress_bar("generating", len(prompts) * number) as report:
        generated = loaded.generate(
            [prompt.text for prompt in prompts],
            num_bases=bases,
            max_new_tokens=max_new_tokens,
            **({"allow_n": allow_n} if only_dna else {"stop_token": stop}),
            on_batch=report,
            num_return_sequences=number,
            do_sample=not greedy,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            batch_size=batch_size,
        )
    with output_stream(output, overwrite=overwrite) as stream:
        for place, text in enumerate(generated):
            copy = place % number + 1
            stream.write(_written(prompts[place // number], copy, number, text, written_format))


def _read_prompts(
    input: str, format: str | None, template: str | None, tokenizer: DNAGPTTokenizer, only_dna: bool
) -> Iterator[Prompt]:
    from dnagpt_hf.generation import split_remainder
    from dnagpt_hf.records.reading import RecordReader
    from dnagpt_hf.records.templates import Template

    filled = Template("{sequence}" if template is None else template)
    with RecordReader(input, format=format, text_by_default=True) as reader:
        for record in reader:
            try:
                text = filled.fill(record.values)
                # read here as well, where the record is known to which an error belongs
                tokenizer(split_remainder(tokenizer, text)[0] if only_dna else text, verbose=False)
            except ValueError as error:
                raise record.error(str(error)) from error
            yield Prompt(record.name, text)


def _format(output: str, stated: str | None, only_dna: bool) -> str:
    from dnagpt_hf.records.files import format_of_name
    from dnagpt_hf.records.writing import check_ending

    if stated is None:
        check_ending(output)
        by_name = format_of_name(output)
        if by_name in ("csv", "tsv", "parquet"):
            raise ValueError(
                f"{output}: sequences are not written as {by_name}: choose fasta, text or jsonl"
            )
        stated = by_name or ("fasta" if only_dna else "text")
    if stated == "fasta" and not only_dna:
        raise ValueError(
            "FASTA holds DNA alone: generate --bases, or choose the output format text or jsonl"
        )
    return stated


def _written(prompt: Prompt, copy: int, number: int, generated: str, format: str) -> str:
    from dnagpt_hf.records.writing import fasta

    name = prompt.name if number == 1 else f"{prompt.name}_{copy}"
    if format == "fasta":
        return fasta(name, generated)
    if format == "text":
        return f"{''.join(prompt.text.splitlines())}{generated}\n"
    row = {"name": name, "prompt": prompt.text, "generated": generated}
    return json.dumps(row, ensure_ascii=False) + "\n"
