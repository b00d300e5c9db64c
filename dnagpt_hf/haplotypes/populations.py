"""Tables of samples with their populations."""

from __future__ import annotations

import os

from dnagpt_hf.haplotypes.sites import HaplotypeError
from dnagpt_hf.records.files import format_of_name
from dnagpt_hf.records.reading import RecordReader, is_missing

# lower case, as the sample lists of the 1000 Genomes Project and of other tools write them
SAMPLE_COLUMNS = ("sample", "sample name", "sample_name", "sampleid", "iid")
POPULATION_COLUMNS = (
    "superpopulation code",
    "super_pop",
    "superpopulation",
    "population code",
    "pop",
    "population",
)


def read_populations(path: str | os.PathLike[str], column: str | None = None) -> dict[str, str]:
    """Read the population of each sample from a table with a header.

    A sample whose population is missing is not in the result.

    Args:
        path: CSV or TSV, plain or gzipped, such as the sample list of the 1000 Genomes Project.
        column: the column of populations; by default the first of `POPULATION_COLUMNS` in the
            table, superpopulations before populations.

    Raises:
        HaplotypeError: a column is missing, or a sample has two populations.
        RecordError: the file is no table.
    """
    populations: dict[str, str] = {}
    with RecordReader(path, format=format_of_name(path) or "tsv") as reader:
        for record in reader:
            by_lower_case = {name.lower().strip("# "): name for name in record.values}
            sample = record.values[_column(by_lower_case, SAMPLE_COLUMNS, "samples", str(path))]
            choices = POPULATION_COLUMNS if column is None else (column.lower(),)
            population = record.values[_column(by_lower_case, choices, "populations", str(path))]
            if is_missing(population):
                continue
            if populations.setdefault(sample.strip(), population.strip()) != population.strip():
                raise HaplotypeError(
                    f"{path}, line {record.line}: sample {sample} is of population {population}, "
                    f"but of {populations[sample.strip()]} before"
                )
    return populations


def _column(by_lower_case: dict[str, str], choices: tuple[str, ...], kind: str, path: str) -> str:
    for choice in choices:
        if choice in by_lower_case:
            return by_lower_case[choice]
    raise HaplotypeError(
        f"{path} has no column of {kind} ({', '.join(choices)}); its columns are "
        f"{', '.join(by_lower_case.values())}"
    )
