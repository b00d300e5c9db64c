"""Figures of likelihoods."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from likelihood_models import dna, genome_of, tiny

from dnagpt_hf import LoadedModel, logo_figure, saturation_figure
from dnagpt_hf.likelihoods.figures import letter_heights
from dnagpt_hf.likelihoods.saturation import Saturation

pytest.importorskip("matplotlib")


def test_letters_share_the_information_of_a_base() -> None:
    known = np.array([[0.25] * 4, [1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [np.nan] * 4])
    with np.errstate(divide="ignore"):
        heights = letter_heights(np.log(known) - 1.0)
    expected = [[0] * 4, [2, 0, 0, 0], [0.5, 0.5, 0, 0], [0] * 4]
    np.testing.assert_allclose(heights, expected, atol=1e-9)


def test_a_logo_has_rows_of_letters_above_the_features(tmp_path: Path) -> None:
    model, contig = LoadedModel(*tiny()), dna(300, 1)
    genome = genome_of(tmp_path, chr1=contig)
    [score] = model.score(genome, regions=[("chr1", 40, 190)], species="R", per_base="all")
    annotation = tmp_path / "genes.gff3"
    lines = ("region\t1\t300", "gene\t101\t300", "CDS\t120\t150", "gene\t1\t20")
    annotation.write_text("".join(f"chr1\t.\t{line}\t.\t-\t.\tID=x;Name=abc\n" for line in lines))
    figure = logo_figure(score, title="a model", annotation=annotation)
    assert figure.get_suptitle() == "a model, chr1:41-190, both strands"
    letters, track, second, _ = figure.axes
    text = [label.get_text() for label in letters.get_xticklabels(minor=True)]
    places = [label.get_text() for label in letters.get_xticklabels()]
    assert places == [str(place) for place in range(50, 141, 10)]
    # the axis of a short row ends with its bases
    assert second.spines["bottom"].get_bounds() == (140.5, 190.5)
    assert "".join(text) == contig[40:140] and letters.get_xlim() == (40.5, 140.5)
    # each column is as high as its information
    tops = [patch.get_path().get_extents().y1 for patch in letters.patches]
    heights = letter_heights(score.per_base).sum(-1)
    np.testing.assert_allclose(np.reshape(tops, (100, 4)).max(1), heights[:100], atol=1e-6)
    assert len(second.patches) == 4 * 50
    assert [label.get_text() for label in track.get_yticklabels()] == ["gene", "CDS"]
    bars = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in track.patches]
    assert bars == [(100.5, 140.5), (119.5, 140.5)]
    assert track.texts[0].get_text() == "abc ←"


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    model = LoadedModel(*tiny())
    [long, plain] = model.score(["ACGT" * 251, "ACGT"], species="R")
    with pytest.raises(ValueError, match="has 1,004 bases, and a logo 1 to 1,000"):
        logo_figure(long)
    with pytest.raises(ValueError, match="score it with per_base='all'"):
        logo_figure(plain)


def test_a_heat_map_has_the_substitutions_at_their_positions() -> None:
    scores = np.array([[0.0, -1.0, 2.0, np.nan], [1.0, 0.0, 0.5, 0.5]])
    figure = saturation_figure(
        Saturation("chr1", 40, np.frombuffer(b"AC", np.uint8), scores, "full")
    )
    [image] = figure.axes[0].images
    np.testing.assert_array_equal(image.get_array().filled(np.nan), scores.T)
    assert list(image.get_extent()) == [40.5, 42.5, 3.5, -0.5]
    assert image.get_clim() == (-2.0, 2.0)
    assert "gray: no score" in figure.axes[0].get_xlabel()
    letters = [label.get_text() for label in figure.axes[0].get_xticklabels(minor=True)]
    assert letters == ["A", "C"]
    [dots] = figure.axes[0].lines
    assert np.transpose(dots.get_data()).tolist() == [[41, 0], [42, 1]]


def test_a_long_heat_map_has_rows_with_positions_and_a_title() -> None:
    bases = np.frombuffer(dna(150, 1).encode(), np.uint8)
    found = Saturation("chr1", 4_990, bases, np.zeros((150, 4)), "site")
    figure = saturation_figure(found, title="dnagpt-tiny, species U")
    first, second, bar = figure.axes
    assert [list(one.images[0].get_extent())[:2] for one in (first, second)] == [
        [4990.5, 5090.5], [5090.5, 5140.5],
    ]  # fmt: skip
    assert second.get_xlim() == (5090.5, 5190.5)
    assert [label.get_text() for label in first.get_xticklabels()][:2] == ["5,000", "5,010"]
    title = "dnagpt-tiny, species U, chr1:4,991-5,140, single bases (site)"
    assert figure.get_suptitle() == title
    assert bar.get_ylabel().startswith("log p(alt) − log p(ref)")
    assert "gray" not in second.get_xlabel()
