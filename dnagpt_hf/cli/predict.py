"""`dnagpt predict` and `dnagpt embed`: classes, numbers and vectors for records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import BadParameter, Option

from dnagpt_hf.cli import options
from dnagpt_hf.cli.running import counter


def predict(
    model: options.Model,
    input: options.Input,
    *,
    output: options.Output = "-",
    records: options.PredictionOptions,
    keep: Annotated[
        list[str] | None,
        Option(metavar="COLUMN", help="Column of the input to repeat in the output."),
    ] = None,
    output_format: options.OutputFormat = None,
    views: options.ViewOptions,
    batches: options.BatchOptions,
    loading: options.ModelOptions,
    overwrite: options.Overwrite = False,
) -> None:
    """Predict classes or numbers for sequences and tables.

    A fine-tuned checkpoint knows its task, and needs a table with the task's columns. Without one,
    a classification head reads {sequence} alone unless --template says more. Any other model
    answers in the token language: a template that ends in <M> asks for a number, and one that ends
    in <B> or <R> for one of the --answers. A task may read each sequence in several phases of the
    k-mers and on both strands, and average the scores, which takes as many times longer.
    """
    from dnagpt_hf.checkpoints.opening import open_checkpoint
    from dnagpt_hf.records.writing import check_output, row_writer, table_format

    prompt = {**records.prompt, "views": views.choice}
    written_format = table_format(output, output_format)
    check_output(output, overwrite=overwrite)
    with records.read(input, "predicting") as rows:
        checkpoint = open_checkpoint(model)
        loaded = loading.load(checkpoint, remainder=records.remainder)
        from dnagpt_hf.tasks.examples import record_key
        from dnagpt_hf.tasks.training_overlap import TrainingOverlap

        overlap, task = TrainingOverlap(checkpoint.folder), loaded.task
        records.check_set(task, keep or [])
        labels = {answer.column for answer in task.answer_list} if task else set()
        with row_writer(output, format=written_format, overwrite=overwrite) as write:
            for prediction in loaded.iter_predictions(rows, **prompt, **vars(batches)):
                write(prediction.row(keep or []))
                record = prediction.record
                # labels are there to be compared with
                if task and prompt["template"] is None and labels <= record.values.keys():
                    overlap.add([record_key(task, record)])
        overlap.warn(input)


@dataclass(frozen=True)
class RegionOptions:
    """Windows of a genome to embed."""

    bed: Annotated[
        Path | None, Option(metavar="FILE", help="Embed these regions of a FASTA file, in windows.")
    ] = None
    chrom_aliases: options.ChromAliases = None
    window: Annotated[
        int | None,
        Option(min=1, help="Embed whole sequences of a FASTA file in windows of so many bases."),
    ] = None
    stride: Annotated[
        int | None, Option(min=1, help="Bases between windows. By default a window.")
    ] = None
    bin_size: Annotated[
        int | None, Option("--bin", min=1, help="A vector for each bin of so many bases.")
    ] = None
    species: Annotated[
        str | None, Option(metavar="TOKEN", help="Species token in front of a window, such as R.")
    ] = None


def embed(
    model: options.Model,
    input: options.Input,
    *,
    output: Annotated[
        Path,
        Option(
            "--output",
            "-o",
            metavar="FILE",
            help=".safetensors, .npz or .parquet; also .zarr for windows.",
        ),
    ],
    pooling: Annotated[
        Literal["mean", "last", "max", "token"],
        Option(help="Mean or maximum of all tokens, the last token, or a vector for every token."),
    ] = "mean",
    layer: Annotated[
        int, Option(help="0: token embeddings; n: output of layer n; -1: the last.")
    ] = -1,
    windows: RegionOptions,
    views: options.ViewOptions,
    records: options.RecordOptions,
    batches: options.BatchOptions,
    loading: options.ModelOptions,
    overwrite: options.Overwrite = False,
) -> None:
    """Embed sequences as vectors, with the names of their records or the places in a genome.

    Vectors are means over the --phases and both strands that are asked for, or that the task has.

    The file has float32 embeddings, one row for each record. With --pooling token it has one row
    for each token, input_ids, and offsets: record i has the rows offsets[i] to offsets[i + 1].
    With --bed or --window it has a row for each window, token or bin, with the name of its region,
    contig, start and end.
    """
    from dnagpt_hf.modeling_dnagpt import DNAGPTModel

    if windows != RegionOptions():
        if windows.bed is None and windows.window is None:
            raise BadParameter("--species, --bin and --stride need --window or --bed")
        if records != options.RecordOptions():
            raise BadParameter(
                "--bed and --window read the bases of a FASTA file, without options of records, "
                "such as --set and --template: the species is --species"
            )
        chosen = {"pooling": pooling, "layer": layer, **vars(windows)}
        if isinstance(views.choice, dict):
            chosen |= {name: one for name, one in vars(views).items() if one is not None}
        _embed_regions(model, input, output, chosen, batches.batch_tokens, loading, overwrite)
        return
    from dnagpt_hf.records.vectors import check_vector_format, write_vectors
    from dnagpt_hf.records.writing import check_output

    check_vector_format(output)
    check_output(output, overwrite=overwrite)
    with records.read(input, "embedding") as rows:
        loaded = loading.load(model, remainder=records.remainder, model_class=DNAGPTModel)
        records.check_set(loaded.task)
        embeddings = loaded.iter_embeddings(
            rows,
            pooling=pooling,
            layer=layer,
            views=views.choice,
            **records.prompt,
            **vars(batches),
        )
        write_vectors(
            output,
            ((one.record.name, one.input_ids, one.vectors) for one in embeddings),
            per_token=pooling == "token",
            overwrite=overwrite,
        )


def _embed_regions(
    model: str,
    fasta: str,
    output: Path,
    chosen: dict[str, Any],
    batch_tokens: int,
    loading: options.ModelOptions,
    overwrite: bool,
) -> None:
    """Embed the regions of a genome."""
    from dnagpt_hf.genomes.fasta import open_genome
    from dnagpt_hf.inference.region_embedding import (
        RegionEmbedder,
        RegionSettings,
        regions_to_embed,
    )
    from dnagpt_hf.modeling_dnagpt import DNAGPTModel
    from dnagpt_hf.records.region_vectors import check_region_vectors, write_region_vectors

    bed, chrom_aliases = chosen.pop("bed"), chosen.pop("chrom_aliases")
    if chosen["bin_size"] is not None:
        chosen["pooling"] = "bin"
    settings = RegionSettings(**chosen)
    check_region_vectors(output, overwrite=overwrite)
    genome = open_genome(fasta, chrom_aliases=chrom_aliases)
    regions = regions_to_embed(genome, bed)
    loaded = loading.load(model, model_class=DNAGPTModel)
    embedder = RegionEmbedder(loaded.model, loaded.tokenizer, settings, max_tokens=batch_tokens)
    vectors = sum(embedder.num_vectors(region.end - region.start) for region in regions)
    with counter("embedding", total=vectors, unit="vector") as bar:
        write_region_vectors(
            output,
            _counted(embedder.embed(genome, regions), bar.update),
            regions=regions,
            shape=(vectors, embedder.hidden_size),
            overwrite=overwrite,
        )


def _counted(parts: Iterable[Any], update: Callable[[int], object]) -> Iterator[Any]:
    for part in parts:
        yield part
        update(len(part.start))
