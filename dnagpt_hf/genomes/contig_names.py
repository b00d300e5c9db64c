"""Names of chromosomes: those that a user or a file gives, and those of a genome."""

from __future__ import annotations

import os
from collections.abc import Collection

from dnagpt_hf.records.files import RecordError, open_text

_MITOCHONDRION = ("M", "MT")


class ContigNames:
    """Finds the contig of a genome that another file names.

    A name of an alias file has priority, then the same name, then the name with or without `chr`;
    `M`, `MT`, `chrM` and `chrMT` are the same.

    Args:
        contigs: names of the contigs of the genome.
        aliases: other names of contigs, as [`read_aliases`] reads them.

    Example:

        >>> names = ContigNames(["chr1", "chrM"], {"NC_000001.11": "chr1"})
        >>> [names.find(name) for name in ("1", "MT", "NC_000001.11", "chr2")]
        ['chr1', 'chrM', 'chr1', None]
    """

    def __init__(self, contigs: Collection[str], aliases: dict[str, str] | None = None) -> None:
        self._contigs = dict.fromkeys(contigs)
        self._found: dict[str, str | None] = dict(aliases or {})

    def find(self, name: str) -> str | None:
        """Find the contig of a name; `None` if there is none."""
        if name not in self._found:
            known = (one for one in _spellings(name) if one in self._contigs)
            self._found[name] = next(known, None)
        return self._found[name]


def _spellings(name: str) -> list[str]:
    bare = name[3:] if name[:3].lower() == "chr" else name
    others = _MITOCHONDRION if bare in _MITOCHONDRION else (bare,)
    return [name, *others, *(f"chr{one}" for one in others)]


def read_aliases(path: str | os.PathLike[str], contigs: Collection[str]) -> dict[str, str]:
    """Read other names of contigs.

    Each line has the names of one sequence, separated by tabs, as in the files `chromAlias.txt` of
    UCSC. Lines that begin with `#`, and lines without a contig of the genome, are skipped.

    Args:
        path: the file.
        contigs: names of the contigs of the genome.

    Returns:
        `dict`: the contig of each other name.

    Raises:
        RecordError: a line names two contigs, a name has two contigs, or no line has a contig.

    Example:

        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "aliases.tsv"
        >>> _ = path.write_text("NC_001133.9\\tchrI\\n")
        >>> read_aliases(path, ["chrI"])
        {'NC_001133.9': 'chrI'}
    """
    aliases: dict[str, str] = {}
    with open_text(path) as lines:
        for number, line in lines:
            names = [name.strip() for name in line.split("\t")] if line[0] != "#" else []
            known = [name for name in dict.fromkeys(names) if name in contigs]
            if len(known) > 1:
                raise RecordError(
                    f"{path}, line {number}: {known[0]} and {known[1]} are two contigs of the "
                    "genome: a line has the names of one"
                )
            for name in names if known else []:
                if name and aliases.setdefault(name, known[0]) != known[0]:
                    raise RecordError(
                        f"{path}, line {number}: {name} is an alias of {known[0]} and of "
                        f"{aliases[name]}: remove one"
                    )
    if not aliases:
        raise RecordError(
            f"{path}: no line has a contig of the genome, such as {next(iter(contigs))}: each line "
            "has the names of one sequence, separated by tabs"
        )
    return {name: contig for name, contig in aliases.items() if name != contig}
