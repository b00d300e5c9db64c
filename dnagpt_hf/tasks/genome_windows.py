"""Sources that cut windows from a genome: sites with negatives, and genes with their features."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from dnagpt_hf.annotation.genes import GeneTable
from dnagpt_hf.annotation.negatives import Negatives
from dnagpt_hf.annotation.site_windows import RegionWindows
from dnagpt_hf.tasks.answers import Text, as_text
from dnagpt_hf.tasks.sources import ALL, Source, Splits, existing


def _contig_names(value: Any) -> Any:
    """Read `{OTHER: OURS}`, a list of names, or one name."""
    if isinstance(value, Mapping):
        return {str(theirs): as_text(ours) for theirs, ours in value.items()}
    return [as_text(one) for one in (value if isinstance(value, list) else [value])]


class _OfGenome(Source):
    genome: str
    edge: Literal["drop", "pad", "error"] = "drop"
    contigs: Annotated[dict[str, str] | list[str], BeforeValidator(_contig_names)] | None = None
    cache_folder: str | None = None

    def _options(self, folder: Path) -> dict[str, Any]:
        """Give the settings of the windows, with paths in `folder`."""
        options = {name: value for name, value in self if name not in Source.model_fields}
        for name in {"genome", "regions", "genes", "expression"} & options.keys():
            options[name] = options[name] and existing(folder, options[name])
        if self.cache_folder is not None:
            options["cache_folder"] = folder / self.cache_folder
        return options


class Regions(_OfGenome):
    """Windows around the sites of a genome, as [`RegionWindows`] cuts them."""

    regions: str
    anchor: str
    upstream: int
    downstream: int
    feature: str | None = None
    label: Text = "signal"
    negatives: Negatives | None = None

    def read(self, folder: Path) -> Splits:
        return {ALL: RegionWindows(**self._options(folder))}


class Genes(_OfGenome):
    """Promoters, half-life features and expression of genes, as [`GeneTable`] makes them."""

    genes: str
    promoter: tuple[int, int]
    expression: str | None = None
    id: str = "gene_id"
    target: str | None = None

    def read(self, folder: Path) -> Splits:
        options = self._options(folder)
        upstream, downstream = options.pop("promoter")
        table = GeneTable(options.pop("genes"), upstream=upstream, downstream=downstream, **options)
        return {ALL: table}
