"""`dnagpt haplotypes generate`: artificial human genomes."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.cli import options
from dnagpt_hf.cli.loading import Placement, load_model
from dnagpt_hf.cli.progress import progress_bar

if TYPE_CHECKING:
    from dnagpt_hf.haplotypes.generation import GeneratedHaplotypes
    from dnagpt_hf.haplotypes.haplotypes import Haplotypes
    from dnagpt_hf.haplotypes.sites import Sites

# first field of every line of a .hapt file
LABEL = "DNAGPT"


def generate(
    folder: options.Folder,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help=".hapt, .hapt.gz, .vcf, .vcf.gz, .bcf, .npz or .npy.",
        ),
    ],
    number: Annotated[int, typer.Option(min=1, help="Genomes to generate.")] = 5000,
    temperature: Annotated[float, typer.Option(help="Below 1 safer, above 1 wilder.")] = 0.8,
    top_k: Annotated[
        int | None,
        typer.Option(min=1, help="Draw from so many tokens only.", show_default=False),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, help="Draw from tokens of this total only.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed draws the same.")] = 0,
    constrained: Annotated[
        bool,
        typer.Option(
            "--constrained",
            help="Draw alleles only. By default any token is drawn, and sequences are thrown away "
            "whose stop symbol is not in its place.",
        ),
    ] = False,
    population: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Population of all genomes, such as AFR. By default the model draws it, if it "
            "knows populations.",
            show_default=False,
        ),
    ] = None,
    prefix: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Haplotypes over the first sites, which are continued in turn.",
            show_default=False,
        ),
    ] = None,
    legend: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where the sites lie. By default the sites.legend of the checkpoint.",
            show_default=False,
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Genomes that are drawn together.")] = 64,
    max_tries: Annotated[int, typer.Option(min=1, help="Most sequences for one genome.")] = 100,
    device: options.Device = "auto",
    dtype: options.DTypeOption = None,
    threads: options.Threads = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Generate artificial human genomes with a model that was trained on haplotypes.

    The same seed gives the same genomes, whatever the batch size. What is finished is kept in
    OUTPUT.partial until all is: when a run was stopped, the same command goes on with it.
    """
    from dnagpt_hf.haplotypes.files.formats import write_haplotypes
    from dnagpt_hf.haplotypes.generation import generate_haplotypes

    checkpoint = open_checkpoint(folder)
    if checkpoint.architecture != "DNAGPTForMultiTask":
        raise ValueError(f"{folder} holds a {checkpoint.architecture}, which cannot generate")
    sites = _sites(checkpoint.folder, legend)
    _check_output(output, sites, overwrite=overwrite)
    known = None if prefix is None else _known(prefix, sites)
    model, tokenizer = load_model(checkpoint, Placement(device, dtype, threads))
    unfinished = output.with_name(f"{output.name}.partial")
    with progress_bar("generating", number) as report:
        generated = generate_haplotypes(
            model,
            tokenizer,
            number,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            batch_size=batch_size,
            constrained=constrained,
            population=population,
            known=None if known is None else known.alleles,
            sites=sites,
            max_tries=max_tries,
            unfinished=unfinished,
            on_batch=report,
        )
    write_haplotypes(generated.haplotypes, output, label=LABEL, overwrite=overwrite)
    unfinished.unlink(missing_ok=True)
    typer.echo(summary(output, generated))


def summary(output: Path, generated: GeneratedHaplotypes) -> str:
    """What was written, and how many sequences were thrown away.

    Args:
        output: name of the file.
        generated: what it holds.
    """
    haplotypes, rejected = generated.haplotypes, sum(generated.rejected.values())
    text = (
        f"{output}: {haplotypes.num_haplotypes:,} genomes of {haplotypes.num_sites:,} sites; "
        f"{rejected:,} sequences thrown away"
    )
    reasons = [f"{reason} {count:,}" for reason, count in generated.rejected.items() if count]
    return text + (f" ({', '.join(reasons)})" if reasons else "")


def _sites(folder: Path, legend: Path | None) -> Sites | None:
    """The sites of a legend, or those that the model was trained on if they are known."""
    from dnagpt_hf.haplotypes.files.hapt import open_text, read_legend
    from dnagpt_hf.haplotypes.format import LEGEND

    path = folder / LEGEND if legend is None else legend
    if legend is None and not path.is_file():
        return None
    with open_text(path) as stream:
        return read_legend(stream, str(path))


def _check_output(output: Path, sites: Sites | None, *, overwrite: bool) -> None:
    """Refuse a file that could not be written in the end, before any work is done."""
    import numpy as np

    from dnagpt_hf.atomic_files import check_new_file
    from dnagpt_hf.haplotypes.files.formats import write_haplotypes
    from dnagpt_hf.haplotypes.files.hapt import legend_path
    from dnagpt_hf.haplotypes.haplotypes import Haplotypes

    check_new_file(output, overwrite=overwrite)
    alleles = np.zeros((1, 1 if sites is None else len(sites)), np.uint8)
    one = Haplotypes(alleles, np.asarray(["genome_1"]), sites, source=str(output))
    with TemporaryDirectory() as folder:
        write_haplotypes(one, Path(folder) / output.name, label=LABEL)
        if legend_path(Path(folder) / output.name).is_file():
            check_new_file(legend_path(output), overwrite=overwrite)


def _known(prefix: Path, sites: Sites | None) -> Haplotypes:
    """Haplotypes over the first sites of the model."""
    from dnagpt_hf.haplotypes.files.formats import read_haplotypes

    known = read_haplotypes(prefix)
    if sites is not None and known.sites is not None:
        first = known.sites.first_mismatch(sites)
        if first is not None and first < known.num_sites:
            expected = sites.name(first) if first < len(sites) else "none"
            raise ValueError(
                f"{prefix}: {known.site_name(first)} is not the model's site {first + 1:,} "
                f"({expected}): a prefix holds the first sites, in their order"
            )
    return known
