"""Figures of likelihoods in genome coordinates, which count from 1 on the axes.

The figures leave the state of `matplotlib.pyplot` alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dnagpt_hf.annotation.gff import Feature, read_features
from dnagpt_hf.evaluation.figures import COLORS, new_figure
from dnagpt_hf.genomes.contig_names import ContigNames
from dnagpt_hf.likelihoods.saturation import Saturation
from dnagpt_hf.likelihoods.scores import SequencePart, SequenceScore
from dnagpt_hf.likelihoods.strands import BASES, Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# bases of a row, of a logo, and between two positions below a row
_IN_ROW, _MOST_LETTERS, _TICKS = 100, 1000, 10
# green, blue, orange and red, as genome browsers color A, C, G and T
_LETTER_COLORS = (COLORS[2], COLORS[0], COLORS[5], COLORS[1])
# whole contigs and assemblies tell nothing of a region
_NOT_DRAWN = frozenset({"region", "chromosome", "contig", "supercontig", "scaffold"})


def logo_figure(
    score: SequenceScore,
    *,
    title: str = "",
    annotation: str | os.PathLike[str] | None = None,
    names: ContigNames | None = None,
) -> Figure:
    """Draw the distribution of each base as a sequence logo.

    A column is as high as the information of its distribution, 2 bits less its entropy, and each
    letter has the share of its probability. Unlike a logo of aligned sites, it shows what the model
    expects at each base given the others before it; the sequence itself stands below.

    Args:
        score: a record or region of 1,000 bases or less, scored with `per_base="all"`. The
            log-probabilities of two strands were averaged, and are normalized here.
        title: text in front of the region, such as model and species.
        annotation: a GFF3 or GTF file, whose features are drawn below the letters.
        names: names of the contigs in it, those of a genome; by default with and without `chr`.

    Raises:
        ValueError: the score has no distributions, or too many bases.
        ImportError: matplotlib is not installed.

    Example:

        >>> import dnagpt_hf
        >>> model = dnagpt_hf.load("dnagpt-tiny")
        >>> [score] = model.score(["ACGTACGTAC"], species="U", per_base="all")
        >>> dnagpt_hf.logo_figure(score).axes[0].get_ylabel()
        'bits (2 at most)'
    """
    part, scores = score.part, score.per_base
    check_logo(part)
    if scores is None or scores.ndim != 2:
        raise ValueError(f"{part.name} has no distributions: score it with per_base='all'")
    heights = letter_heights(scores)
    highest = max(1.05 * float(heights.sum(-1).max()), 0.01)
    features: list[Feature] = []
    if annotation is not None:
        features = list(_features_of(annotation, part, names or ContigNames([part.contig])))
    kinds = list(dict.fromkeys(feature.kind for feature in features))
    rows = -(-len(scores) // _IN_ROW)
    figure = new_figure(14.0, rows * (1.5 + 0.18 * len(kinds)) + 0.8)
    shape = {"height_ratios": [1.5, max(0.18 * len(kinds), 0.01)] * rows}
    panels = figure.subplots(2 * rows, 1, squeeze=False, gridspec_kw=shape)[:, 0]
    bases = part.sequence[part.start : part.end].tobytes().decode()
    for row, (letters, track) in enumerate(panels.reshape(-1, 2)):
        first = row * _IN_ROW
        behind = min(len(scores), first + _IN_ROW)
        place = part.start + first
        _draw_letters(letters, heights[first:behind], place)
        _mark_bases(letters, bases[first:behind], place)
        # no axis behind the last base
        letters.spines["bottom"].set_bounds(place + 0.5, part.start + behind + 0.5)
        letters.set_ylim(0, highest)
        _draw_features(track, features, kinds, place, part.start + behind)
        for panel in (letters, track):
            panel.set_xlim(place + 0.5, place + _IN_ROW + 0.5)
        track.set_xlabel(f"{part.contig}:{place + 1:,}-{part.start + behind:,}", fontsize=8)
    strands = "both strands" if len(score.strands) > 1 else f"{next(iter(score.strands))} strand"
    figure.suptitle(_title(title, part.contig, part.start, part.end, strands), fontsize=10)
    return figure


def check_logo(part: SequencePart) -> None:
    """Refuse a record or region that has too many bases for a logo, or none.

    Raises:
        ValueError: it cannot be drawn.
    """
    length = part.end - part.start
    if not 0 < length <= _MOST_LETTERS:
        raise ValueError(
            f"{part.name} has {length:,} bases, and a logo 1 to {_MOST_LETTERS:,}: choose a "
            "shorter region"
        )


def saturation_figure(found: Saturation, *, title: str = "") -> Figure:
    """Draw the scores of all substitutions of a region as a heat map, in rows of 100 bases.

    Args:
        found: the scores; blue where a substitution makes the sequence less likely, a dot at the
            base of the reference, gray where there is no score.
        title: text in front of the region, such as model and species.

    Raises:
        ImportError: matplotlib is not installed.

    Example:

        >>> import dnagpt_hf
        >>> scores = np.array([[0.0, -1.0, -0.5, 0.3]])
        >>> found = Saturation("chr1", 40, np.frombuffer(b"A", np.uint8), scores, "site")
        >>> dnagpt_hf.saturation_figure(found, title="dnagpt-tiny").get_suptitle()
        'dnagpt-tiny, chr1:41-41, single bases (site)'
    """
    import matplotlib

    length = len(found.bases)
    columns, rows = min(length, _IN_ROW), -(-length // _IN_ROW)
    figure = new_figure(3.5 + 0.11 * columns, 1.4 * rows + 0.8)
    panels = figure.subplots(rows, 1, squeeze=False)[:, 0]
    largest = float(np.nanmax(np.abs(found.scores), initial=0.0)) or 1.0
    colors = matplotlib.colormaps["RdBu_r"].with_extremes(bad="lightgray")
    for row, axes in enumerate(panels):
        part = slice(row * _IN_ROW, min(length, (row + 1) * _IN_ROW))
        bases, start = found.bases[part].tobytes().decode(), found.start + part.start
        image = axes.imshow(
            np.ma.masked_invalid(found.scores[part].T),
            extent=(start + 0.5, start + len(bases) + 0.5, len(BASES) - 0.5, -0.5),
            vmin=-largest,
            vmax=largest,
            cmap=colors,
            aspect="auto",
            interpolation="nearest",
        )
        column, line = np.nonzero(found.bases[part, None] == np.frombuffer(BASES, np.uint8))
        axes.plot(start + 1 + column, line, "k.", markersize=3)
        axes.set_xlim(start + 0.5, start + columns + 0.5)
        axes.set_yticks(range(len(BASES)), list(BASES.decode()))
        axes.spines[:].set_visible(False)
        _mark_bases(axes, bases, start)
    panels[0].set_ylabel("alternative")
    gray = "; gray: no score" if np.isnan(found.scores).any() else ""
    panels[-1].set_xlabel(f"position on {found.contig}; dots: the reference{gray}")
    what = "haplotypes (LLR)" if found.mode == "full" else "single bases (site)"
    figure.suptitle(
        _title(title, found.contig, found.start, found.start + length, what), fontsize=10
    )
    # as high as one row, beside the first
    figure.colorbar(
        image,
        ax=list(panels),
        label="log p(alt) − log p(ref)\nnats; blue: less likely",
        shrink=1 / rows,
        anchor=(0.0, 1.0),
        aspect=10,
        pad=0.01,
    )
    return figure


def letter_heights(log_probabilities: Array) -> Array:
    """Compute the heights of the letters of a logo in bits.

    Args:
        log_probabilities: `(bases, 4)` in nats, not necessarily normalized.

    Returns:
        `(bases, 4)`; 0 where the distribution is missing.

    Example:

        >>> letter_heights(np.log([[1.0, 1e-300, 1e-300, 1e-300]])).round(3).tolist()
        [[2.0, 0.0, 0.0, 0.0]]
    """
    known = np.exp(log_probabilities.astype(float))
    known /= known.sum(-1, keepdims=True)
    entropy = -(known * np.log2(np.maximum(known, 1e-300))).sum(-1, keepdims=True)
    heights: Array = np.nan_to_num(known * (np.log2(len(BASES)) - entropy))
    return heights


def _title(title: str, contig: str, start: int, end: int, what: str) -> str:
    return ", ".join(filter(None, (title, f"{contig}:{start + 1:,}-{end:,}", what)))


def _mark_bases(axes: Axes, bases: str, start: int) -> None:
    """Write the bases of the reference below an axis, and below them every tenth position."""
    places = range(start + 1, start + len(bases) + 1)
    axes.xaxis.remove_overlapping_locs = False
    axes.set_xticks(places, list(bases), minor=True, fontsize=7)
    tens = [place for place in places if place % _TICKS == 0] or places[:1]
    axes.set_xticks(tens, [f"{place:,}" for place in tens], fontsize=7)
    axes.tick_params(axis="x", which="major", length=2, pad=12)


def _draw_letters(axes: Axes, heights: Array, start: int) -> None:
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import PathPatch
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    bold = FontProperties(family="DejaVu Sans", weight="bold")
    shapes = [TextPath((0, 0), letter, size=1, prop=bold) for letter in BASES.decode()]
    for place, column in enumerate(heights, start + 1):
        bottom = 0.0
        # the most probable letter stands on top
        for letter in np.argsort(column, kind="stable").tolist():
            box = shapes[letter].get_extents()
            move = Affine2D().translate(-box.x0, -box.y0)
            move.scale(0.9 / box.width, column[letter] / box.height)
            path = shapes[letter].transformed(move.translate(place - 0.45, bottom))
            axes.add_patch(PathPatch(path, color=_LETTER_COLORS[letter], linewidth=0))
            bottom += column[letter]
    axes.set_ylabel("bits (2 at most)")
    axes.spines[["top", "right"]].set_visible(False)


def _features_of(
    annotation: str | os.PathLike[str], part: SequencePart, names: ContigNames
) -> Iterator[Feature]:
    for feature in read_features(annotation):
        inside = feature.start < part.end and feature.end > part.start
        if inside and feature.kind not in _NOT_DRAWN and names.find(feature.contig) == part.contig:
            yield feature


def _draw_features(
    axes: Axes, features: Sequence[Feature], kinds: Sequence[str], start: int, end: int
) -> None:
    """Draw features between two positions as bars, a line for each kind; arrows name the strand."""
    arrows: dict[str, Any] = {"+": " →", "-": " ←"}
    for feature in features:
        left, right = max(start, feature.start), min(end, feature.end)
        if left >= right:
            continue
        line = kinds.index(feature.kind)
        color = COLORS[line % len(COLORS)]
        axes.barh(line, right - left, left=left + 0.5, height=0.8, color=color, alpha=0.4)
        attributes = map(feature.attribute, ("gene", "gene_name", "Name", "gene_id", "ID"))
        name = next(filter(None, attributes), "") + arrows.get(feature.strand, "")
        axes.text(
            (left + right + 1) / 2, line, name, fontsize=6, ha="center", va="center", clip_on=True
        )
    axes.set_yticks(range(len(kinds)), kinds, fontsize=6)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(max(len(kinds), 1) - 0.5, -0.5)
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
