"""`dnagpt haplotypes`: training on haplotypes, and writing, evaluating and converting them."""

from __future__ import annotations

import itertools
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnagpt_hf.cli import options
from dnagpt_hf.cli.haplotypes_generate import generate
from dnagpt_hf.cli.pretrain import CONTEXT
from dnagpt_hf.cli.progress import progress_bar

if TYPE_CHECKING:
    from dnagpt_hf.genomes.regions import Region
    from dnagpt_hf.haplotypes.files.vcf import GenotypeRules
    from dnagpt_hf.haplotypes.statistics.evaluation import HaplotypeEvaluation

# columns in which any table has room
MEASURED = 1000
FORMATS_HELP = ".hapt (also .gz or in a .zip), .vcf, .vcf.gz, .bcf, .npy or .npz"


haplotypes_app = typer.Typer(
    name="haplotypes",
    no_args_is_help=True,
    help="Train on phased haplotypes; generate, evaluate and convert them.",
)
haplotypes_app.command()(generate)


class Dropped(str, Enum):
    """What happens to a record of a VCF that does not fit."""

    error = "error"
    drop = "drop"


class Unphased(str, Enum):
    """What happens to a genotype of a VCF that is not phased."""

    error = "error"
    drop = "drop"
    as_written = "as_written"


Legend = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Sites of a .hapt or .npy file. By default the file that ends in .legend beside it.",
        show_default=False,
    ),
]
RegionOption = Annotated[
    str | None,
    typer.Option(
        metavar="REGION",
        help="Sites in 15:27,000,000-28,000,000, or on a chromosome.",
        show_default=False,
    ),
]
MinMaf = Annotated[
    float,
    typer.Option(
        "--min-maf", min=0, max=0.5, help="Least frequency of the rarer allele of a site."
    ),
]
Populations = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="A table with the population of each sample, CSV or TSV.",
        show_default=False,
    ),
]
PopulationColumn = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Its column with the population.", show_default=False),
]
Missing = Annotated[Dropped, typer.Option(help="Records of a VCF with missing genotypes.")]
UnphasedOption = Annotated[
    Unphased, typer.Option(help="Records with heterozygous genotypes that are not phased.")
]
Multiallelic = Annotated[
    Dropped, typer.Option(help="Records with several alternative alleles, or none.")
]
SnpsOnly = Annotated[bool, typer.Option("--snps-only", help="Leave out insertions and deletions.")]


@haplotypes_app.command(context_settings=CONTEXT)
def train(
    context: typer.Context,
    haplotypes: Annotated[
        Path, typer.Argument(metavar="HAPLOTYPES", help=f"Phased haplotypes: {FORMATS_HELP}.")
    ],
) -> None:
    """Train a model to write haplotypes.

    Options: --model and --from_scratch; --test, a file or a share such as 0.2; --region, --min_maf,
    --populations and other fields of HaplotypeArguments; any of TrainingArguments. A run that was
    stopped resumes when the same command is given again. Example: dnagpt haplotypes train
    chr15.vcf.gz --region 15:27379578-29650000 --min_maf 0.01 --test 0.2 --output_dir genomes
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
def evaluate(
    real: Annotated[
        Path,
        typer.Argument(metavar="REAL", help=f"Haplotypes of the training part: {FORMATS_HELP}."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the report is written.")
    ],
    generated: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[GENERATED]...",
            help="Generated haplotypes over the same sites.",
            show_default=False,
        ),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Real haplotypes of other people, which the generators have not seen; or a share, "
            "such as 0.2: those whom fine-tuning sets aside of REAL for the same --test. By "
            "default one fifth is set aside, and there is no privacy score.",
            show_default=False,
        ),
    ] = None,
    split_seed: Annotated[
        int, typer.Option(min=0, help="Which people a share sets aside, as in fine-tuning.")
    ] = 0,
    names: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,…",
            help="What the generated sets are called. By default as their files.",
            show_default=False,
        ),
    ] = None,
    legend: Legend = None,
    region: RegionOption = None,
    min_maf: MinMaf = 0.0,
    populations: Populations = None,
    population_column: PopulationColumn = None,
    missing: Missing = Dropped.error,
    unphased: UnphasedOption = Unphased.error,
    multiallelic: Multiallelic = Dropped.error,
    snps_only: SnpsOnly = False,
    seed: Annotated[int, typer.Option(min=0, help="Decides everything that is random.")] = 0,
    overwrite: options.Overwrite = False,
) -> None:
    """Compare generated haplotypes with real ones, as the paper does and Yelmen et al. (2021) do.

    Principal components, allele frequencies, linkage disequilibrium and its decay, distances
    between haplotypes, adversarial accuracy and privacy, three-point correlations, and short
    haplotypes. Real haplotypes of other people and simple generators always stand beside the
    generated ones. Writes evaluation.html, .md and .json.
    """
    from dnagpt_hf.genomes.regions import Region
    from dnagpt_hf.haplotypes.files.formats import read_haplotypes
    from dnagpt_hf.haplotypes.haplotypes import parse_share
    from dnagpt_hf.haplotypes.populations import read_populations
    from dnagpt_hf.haplotypes.statistics.evaluation import (
        evaluate_haplotypes,
        number_of_parts,
        set_test_part_aside,
    )
    from dnagpt_hf.haplotypes.statistics.report import check_report_folder, write_report

    check_report_folder(output, overwrite=overwrite)
    rules = _rules(missing, unphased, multiallelic, snps_only)
    named = dict(zip(_set_names(generated or [], names), generated or [], strict=True))
    within = None if region is None else Region.parse(region)
    training = read_haplotypes(real, legend=legend, region=within, min_maf=min_maf, rules=rules)
    share = parse_share(test)
    held_out = None
    if share is not None:
        training, held_out = set_test_part_aside(training, share, split_seed)
    elif test is not None:
        held_out = read_haplotypes(test, region=_vcf(Path(test), within), rules=rules)
    if populations is not None:
        table = read_populations(populations, population_column)
        training = training.with_populations(table)
        held_out = held_out and held_out.with_populations(table)
    sets = {
        name: read_haplotypes(path, region=_vcf(path, within), rules=rules)
        for name, path in named.items()
    }
    with progress_bar("evaluating", number_of_parts(len(sets))) as report:
        done = itertools.count()
        evaluation = evaluate_haplotypes(
            training, sets, test=held_out, seed=seed, tell=lambda part: report(next(done))
        )
    files = write_report(evaluation, output, overwrite=overwrite)
    _show(evaluation)
    typer.echo(f"\n{next(one for one in files if one.suffix == '.html')}")


@haplotypes_app.command()
def convert(
    input: Annotated[Path, typer.Argument(metavar="INPUT", help=f"Haplotypes: {FORMATS_HELP}.")],
    output: Annotated[
        Path,
        typer.Argument(
            metavar="OUTPUT",
            help="A file that ends in .hapt (with a .legend beside it), .hapt.gz, .vcf, .vcf.gz, "
            ".bcf, .npy or .npz.",
        ),
    ],
    legend: Legend = None,
    region: RegionOption = None,
    samples: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Samples to keep, one in a line.", show_default=False),
    ] = None,
    min_maf: MinMaf = 0.0,
    populations: Populations = None,
    population_column: PopulationColumn = None,
    population: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A population to keep; may be repeated.", show_default=False
        ),
    ] = None,
    missing: Missing = Dropped.error,
    unphased: UnphasedOption = Unphased.error,
    multiallelic: Multiallelic = Dropped.error,
    snps_only: SnpsOnly = False,
    label: Annotated[
        str, typer.Option(metavar="TEXT", help="First field of every line of a .hapt file.")
    ] = "Real",
    overwrite: options.Overwrite = False,
) -> None:
    """Convert phased haplotypes from one format to another, or keep a part of them.

    The rarer allele is looked at among the samples and populations that are kept.
    """
    from dnagpt_hf.atomic_files import check_new_file
    from dnagpt_hf.genomes.regions import Region
    from dnagpt_hf.haplotypes.files.formats import read_haplotypes, write_haplotypes
    from dnagpt_hf.haplotypes.populations import read_populations

    check_new_file(output, overwrite=overwrite)
    if population and populations is None:
        raise typer.BadParameter("--population needs a table of --populations")
    haplotypes = read_haplotypes(
        input,
        legend=legend,
        region=None if region is None else Region.parse(region),
        samples=None if samples is None else samples.read_text().split(),
        min_maf=0.0 if population else min_maf,
        rules=_rules(missing, unphased, multiallelic, snps_only),
    )
    if populations is not None:
        table = read_populations(populations, population_column)
        haplotypes = haplotypes.with_populations(table)
    if population:
        haplotypes = haplotypes.of_populations(population).with_minor_allele_frequency(min_maf)
    write_haplotypes(haplotypes, output, label=label, overwrite=overwrite)
    people = len(set(haplotypes.samples.tolist()))
    typer.echo(
        f"{output}: {haplotypes.num_haplotypes:,} haplotypes of {people:,} people, "
        f"{haplotypes.num_sites:,} sites"
    )


def _rules(
    missing: Dropped, unphased: Unphased, multiallelic: Dropped, snps_only: bool
) -> GenotypeRules:
    from dnagpt_hf.haplotypes.files.vcf import GenotypeRules

    return GenotypeRules(missing.value, unphased.value, multiallelic.value, snps_only)


def _vcf(path: Path, region: Region | None) -> Region | None:
    """The region, where it spares reading the rest of a chromosome."""
    from dnagpt_hf.haplotypes.files.vcf import is_vcf_name

    return region if is_vcf_name(path) else None


def _set_names(files: list[Path], names: str | None) -> list[str]:
    """What the generated sets are called, one name for each file.

    Example:

        >>> _set_names([Path("a/t0.8.hapt.gz"), Path("b/t1.2.vcf")], None)
        ['t0.8', 't1.2']
    """
    if names is None:
        endings = (".gz", ".zip", ".hapt", ".vcf", ".bcf", ".npy", ".npz")
        found = [path.name for path in files]
        for ending in endings:
            found = [name.removesuffix(ending) for name in found]
    else:
        found = [name.strip() for name in names.split(",")]
    if len(found) != len(files):
        raise typer.BadParameter(f"{len(found)} --names for {len(files)} generated files")
    for name in found:
        if found.count(name) > 1:
            raise typer.BadParameter(f"two sets are called {name!r}: state --names")
    return found


def _show(evaluation: HaplotypeEvaluation) -> None:
    from rich.console import Console
    from rich.table import Table

    from dnagpt_hf.haplotypes.statistics.tables import description, table

    header, rows = table(evaluation)
    number = 1 + len(evaluation.sets)
    shown = Table(box=None, header_style="bold", pad_edge=False)
    shown.add_column("", no_wrap=True)
    for name in header[1:number]:
        shown.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        shown.add_row(*row[:number])
    for sentence in description(evaluation):
        typer.echo(sentence)
    console = Console()
    # no column is cut off, in a file or a narrow terminal
    console.width = max(console.width, Console(width=MEASURED).measure(shown).maximum)
    console.print(shown)
