"""`dnagpt haplotypes`: training on haplotypes, and generating, evaluating and converting them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnagpt_hf.cli import options
from dnagpt_hf.cli.running import progress_bar
from dnagpt_hf.cli.training import CONTEXT, SettingsCommand
from dnagpt_hf.haplotypes.files.options import ReadingOptions
from dnagpt_hf.messages import count, markdown_table

if TYPE_CHECKING:
    from dnagpt_hf.haplotypes.generation import GeneratedHaplotypes
    from dnagpt_hf.haplotypes.haplotypes import Haplotypes
    from dnagpt_hf.haplotypes.sites import Sites

# first field of every line of a .hapt file of generated haplotypes
LABEL = "DNAGPT"
READ = ".hapt (also .gz or in a .zip), .vcf, .vcf.gz, .bcf, .npy or .npz"
WRITTEN = ".hapt (with a .legend beside it), .hapt.gz, .vcf, .vcf.gz, .bcf, .npy or .npz"

haplotypes_app = typer.Typer(
    name="haplotypes",
    no_args_is_help=True,
    help="Train on phased haplotypes; generate, evaluate and convert them.",
)


@haplotypes_app.command(cls=SettingsCommand, context_settings=CONTEXT)
def train(
    context: typer.Context,
    haplotypes: Annotated[
        Path, typer.Argument(metavar="HAPLOTYPES", help=f"Phased haplotypes: {READ}.")
    ],
) -> None:
    """Train a model to write haplotypes.

    A run that was stopped resumes when the same command is given again. Example:

    \b
    dnagpt haplotypes train chr15.vcf.gz --region 15:27379578-29650000 \\
      --min_maf 0.01 --test 0.2 --output_dir genomes
    """
    from dnagpt_hf.haplotypes.settings import parse_haplotype_settings

    settings = parse_haplotype_settings(context.args, {"haplotypes": str(haplotypes)})
    from dnagpt_hf.haplotypes.training import train_haplotypes

    results = train_haplotypes(settings)
    if not settings.training.should_save:
        return
    typer.echo(f"{settings.training.output_dir}:")
    for name, split in results.items():
        typer.echo(f"{name:>12} {split['haplotypes']:,} haplotypes of {split['sites']:,} sites")
        for metric, value in split.items():
            if metric not in ("haplotypes", "sites"):
                typer.echo(f"{'':>12} {value:.4f} {metric.replace('_', ' ')}")


@haplotypes_app.command()
@options.with_groups
def generate(
    model_options: options.ModelOptions,
    source: options.Model,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help=f"{WRITTEN}.")],
    number: Annotated[int, typer.Option(min=1, help="Genomes to generate.")] = 5000,
    temperature: options.Temperature = 0.8,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    seed: options.Seed = 0,
    constrained: Annotated[
        bool,
        typer.Option(
            "--constrained",
            help="Draw alleles only. By default any token is drawn, and sequences that are no "
            "haplotypes are rejected.",
        ),
    ] = False,
    population: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Population of all genomes, such as AFR. By default the model draws it, if it "
            "knows populations.",
        ),
    ] = None,
    prefix: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Haplotypes over the first sites, which are continued in turn.",
        ),
    ] = None,
    legend: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Sites of the model. By default the sites.legend of the checkpoint.",
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Genomes that are drawn together.")] = 64,
    max_tries: Annotated[int, typer.Option(min=1, help="Most sequences for one genome.")] = 100,
    overwrite: options.Overwrite = False,
) -> None:
    """Generate artificial human genomes with a model that was trained on haplotypes.

    The same seed gives the same genomes, whatever the batch size. Finished genomes are kept in
    OUTPUT.partial: a run that was stopped resumes when the same command is given again. Example:
    dnagpt haplotypes generate genomes --number 5000 --output genomes.hapt.gz
    """
    from dnagpt_hf.atomic_files import sole_writer_of_file
    from dnagpt_hf.checkpoints.opening import open_checkpoint
    from dnagpt_hf.haplotypes.files.formats import check_destination, write_haplotypes
    from dnagpt_hf.haplotypes.files.hapt import read_legend
    from dnagpt_hf.haplotypes.format import LEGEND
    from dnagpt_hf.haplotypes.generation import generate_haplotypes

    checkpoint = open_checkpoint(source)
    if checkpoint.architecture != "DNAGPTForMultiTask":
        raise ValueError(f"{source} holds a {checkpoint.architecture}, which cannot generate")
    own = checkpoint.folder / LEGEND
    legend = legend or (own if own.is_file() else None)
    sites = None if legend is None else read_legend(legend)
    check_destination(output, sites, overwrite=overwrite)
    known = None if prefix is None else _first_sites(prefix, sites)
    loaded = model_options.load(checkpoint)
    partial = output.with_name(f"{output.name}.partial")
    with sole_writer_of_file(partial):
        check_destination(output, sites, overwrite=overwrite)
        with progress_bar("generating", number) as report:
            generated = generate_haplotypes(
                loaded.model,
                loaded.tokenizer,
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
                partial=partial,
                on_batch=report,
            )
        write_haplotypes(generated.haplotypes, output, label=LABEL, overwrite=overwrite)
        partial.unlink(missing_ok=True)
    typer.echo(f"{output}: {_summary(generated)}")


def _first_sites(prefix: Path, sites: Sites | None) -> Haplotypes:
    """Read haplotypes over the first sites of the model."""
    from dnagpt_hf.haplotypes.files.formats import read_haplotypes
    from dnagpt_hf.haplotypes.sites import site_name

    known = read_haplotypes(prefix)
    if sites is not None and known.sites is not None:
        first = known.sites.first_mismatch(sites)
        if first is not None and first < known.num_sites:
            raise ValueError(
                f"{prefix}: {site_name(first, known.sites)} is not the model's "
                f"{site_name(first, sites)}: a prefix holds the first sites, in their order"
            )
    return known


def _summary(generated: GeneratedHaplotypes) -> str:
    haplotypes, rejected = generated.haplotypes, sum(generated.rejected.values())
    reasons = [f"{reason} {number:,}" for reason, number in generated.rejected.items() if number]
    return (
        f"{count(haplotypes.num_haplotypes, 'genome')} of {count(haplotypes.num_sites, 'site')}; "
        f"{count(rejected, 'sequence')} rejected" + (f" ({', '.join(reasons)})" if reasons else "")
    )


@haplotypes_app.command()
@options.with_groups
def evaluate(
    reading: ReadingOptions,
    real: Annotated[
        Path,
        typer.Argument(metavar="REAL", help=f"Haplotypes of the training split: {READ}."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder of the report.")
    ],
    generated: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[GENERATED]...",
            help="Generated haplotypes over the same sites.",
        ),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Real haplotypes of other individuals, which the generators have not seen; or the "
            "share of REAL, such as 0.2, that training set aside for the same --test. By default "
            "one fifth is set aside, and there is no privacy score.",
        ),
    ] = None,
    split_seed: Annotated[
        int, typer.Option(min=0, help="Seed of the choice of a share, as in training.")
    ] = 0,
    names: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,…",
            help="Names of the generated sets. By default those of their files.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random choices.")] = 0,
    overwrite: options.Overwrite = False,
) -> None:
    """Compare generated haplotypes with real ones, as the paper and Yelmen et al. (2021) do.

    Principal components, allele frequencies, linkage disequilibrium and its decay, distances
    between haplotypes, adversarial accuracy and privacy, three-point correlations, and IBS tracts,
    beside a test split and simple generators. Writes evaluation.html, .md and .json. Example:
    dnagpt haplotypes evaluate real.hapt t08.hapt t12.hapt --names t0.8,t1.2 --output report
    """
    from dnagpt_hf.haplotypes.evaluation import evaluate_haplotypes, set_names
    from dnagpt_hf.haplotypes.statistics.report import description, metric_table

    files = generated or []
    chosen = set_names(files) if names is None else [name.strip() for name in names.split(",")]
    if len(chosen) != len(files):
        raise typer.BadParameter(f"{len(chosen)} --names for {len(files)} generated files")
    if len(set(chosen)) < len(chosen):
        raise typer.BadParameter(f"two of the --names are the same: {names}")
    with progress_bar("evaluating") as report:
        done = itertools.count()
        evaluation = evaluate_haplotypes(
            real,
            dict(zip(chosen, files, strict=True)),
            output,
            reading,
            test=test,
            split_seed=split_seed,
            seed=seed,
            overwrite=overwrite,
            on_step=lambda step, steps: report(next(done), steps),
        )
    typer.echo("\n".join(description(evaluation)) + "\n")
    typer.echo(markdown_table(*metric_table(evaluation, published=False)))
    typer.echo(f"\n{output / 'evaluation.html'}")


@haplotypes_app.command()
@options.with_groups
def convert(
    reading: ReadingOptions,
    input: Annotated[Path, typer.Argument(metavar="INPUT", help=f"Haplotypes: {READ}.")],
    output: Annotated[
        Path,
        typer.Argument(metavar="OUTPUT", help=f"A file that ends in {WRITTEN}."),
    ],
    samples: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Samples to keep, one in a line.", show_default=False),
    ] = None,
    population: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A population to keep; may be repeated.", show_default=False
        ),
    ] = None,
    label: Annotated[
        str, typer.Option(metavar="TEXT", help="First field of every line of a .hapt file.")
    ] = "Real",
    overwrite: options.Overwrite = False,
) -> None:
    """Convert phased haplotypes from one format to another, or keep a part of them.

    Minor-allele frequencies are those of the samples and populations that are kept. Example:
    dnagpt haplotypes convert chr15.vcf.gz region.hapt --region 15:27379578-29650000 --min-maf 0.01
    """
    from dnagpt_hf.atomic_files import check_new_file
    from dnagpt_hf.haplotypes.files.formats import read_haplotypes, write_haplotypes

    check_new_file(output, overwrite=overwrite)
    if population and reading.populations is None:
        raise typer.BadParameter("--population needs a table of --populations")
    haplotypes = read_haplotypes(
        input,
        reading,
        samples=None if samples is None else samples.read_text("utf-8-sig").split(),
        only_populations=population or (),
    )
    write_haplotypes(haplotypes, output, label=label, overwrite=overwrite)
    typer.echo(
        f"{output}: {count(haplotypes.num_haplotypes, 'haplotype')} of "
        f"{count(haplotypes.num_samples, 'individual')}, {count(haplotypes.num_sites, 'site')}"
    )
