"""Likelihoods of records and regions, and the methods of a loaded model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from likelihood_models import base_log_probability, dna, genome_of, reverse, tiny

from dnagpt_hf import LoadedModel
from dnagpt_hf.likelihoods.variants import Variant
from dnagpt_hf.records.files import RecordError


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return LoadedModel(*tiny())


def test_totals_are_sums_over_the_bases(model: LoadedModel) -> None:
    sequence = dna(20, 1) + "N" + dna(9, 2)
    [score] = model.score([sequence], species="R", per_base="base")
    strands = {}
    for name, bases in (("forward", sequence), ("reverse", reverse(sequence))):
        found = [
            base_log_probability(model.model, model.tokenizer, bases, place, species="R")
            for place in range(30)
        ]
        known = [one for one in found if one is not None]
        assert score.strands[name].bases == len(known) == 29
        assert score.strands[name].log_likelihood == pytest.approx(sum(known))
        strands[name] = np.array(found if name == "forward" else found[::-1], float)
    mean = (strands["forward"] + strands["reverse"]) / 2
    np.testing.assert_allclose(score.per_base, mean, rtol=1e-6)
    nats = np.nansum(mean)
    assert score.likelihood.log_likelihood == pytest.approx(nats)
    assert score.likelihood.bits_per_base == pytest.approx(-nats / 29 / math.log(2))
    assert score.likelihood.perplexity == pytest.approx(math.exp(-nats / 29))


def test_a_table_has_the_strands_apart_where_there_are_two(model: LoadedModel) -> None:
    table = model.score(["ACGTACGT", ""], species="R").to_pandas()
    numbers = ["bases", "log_likelihood", "bits_per_base", "perplexity"]
    apart = [f"{strand}_{name}" for strand in ("forward", "reverse") for name in numbers]
    assert table.columns.tolist() == ["name", *numbers, *apart]
    assert table["bases"].tolist() == [8, 0] and np.isnan(table["bits_per_base"][1])
    assert model.score(["ACGT"], strand="forward").to_pandas().columns.tolist() == [
        "name",
        *numbers,
    ]


def test_a_region_is_a_part_of_its_contig(model: LoadedModel, tmp_path: Path) -> None:
    genome = genome_of(tmp_path, c=dna(300, 3), d=dna(50, 4))
    whole, _ = model.score(genome.path, species="R", per_base="all")
    regions = [("c", 40, 200), ("d", 0, 50)]
    inside, other = model.score(genome.path, regions=regions, species="R", per_base="all")
    np.testing.assert_array_equal(inside.per_base, whole.per_base[40:200])
    assert other.likelihood == model.score([dna(50, 4)], species="R")[0].likelihood
    bed = tmp_path / "regions.bed"
    bed.write_text("c\t40\t200\texon\nd\t0\t50\t.\n")
    table = model.score(genome, regions=bed, species="R").to_pandas()
    assert table[["contig", "start", "end", "name"]].iloc[0].tolist() == ["c", 40, 200, "exon"]
    assert table[["start", "name"]].iloc[1].tolist() == [0, "d:1-50"]
    [by_name] = model.score(genome, regions=["chrc:41-200"], species="R")
    assert by_name.likelihood == inside.likelihood and by_name.part.name == "c:41-200"
    for regions, message in (
        ([("e", 0, 9)], r"region e:1-9: .*\.fa has no contig e; its contigs are c, d$"),
        ([("c", 9, 9)], "region c:10-9 has no bases"),
        ([("c", 290, 301)], "region c:291-301: contig c has the positions 1 to 300"),
    ):
        with pytest.raises(ValueError, match=message):
            model.score(genome, regions=regions)
    bed.write_text("c\t40\t200\nc\t290\t301\n")
    with pytest.raises(ValueError, match=r"regions\.bed, line 2: region c:291-301: contig c has"):
        model.score(genome, regions=bed)


def test_a_species_for_each_record(model: LoadedModel) -> None:
    table = [{"sequence": "ACGTACGT", "species": one} for one in ("R", "", "Mus musculus")]
    found = [one.likelihood for one in model.score(table)]
    alone = [model.score(["ACGTACGT"], species=one)[0].likelihood for one in ("R", None, "S")]
    assert found == alone and len({one.log_likelihood for one in found}) == 3
    by_option, by_column = (
        model.score(table, **one).to_pandas()
        for one in ({"species": "U"}, {"set": {"species": "U"}})
    )
    assert by_option.equals(by_column)
    with pytest.raises(RecordError, match=r"record 1 .*there is no species token 'yeast': choose"):
        model.score(table, set={"species": "yeast"})


def test_records_that_are_no_dna_are_named(model: LoadedModel) -> None:
    with pytest.raises(RecordError, match=r"record 2 .*its sequence: 'X' at position 3 is no nucl"):
        model.score(["ACGT", "ACXT"])
    with pytest.raises(RecordError, match="there is no column 'sequence', only dna: rename"):
        model.score([{"dna": "ACGT"}])
    renamed = model.score([{"dna": "ac gt\n"}], columns={"sequence": "dna"}, species="R")
    assert renamed[0].likelihood == model.score(["ACGT"], species="R")[0].likelihood


@pytest.mark.parametrize("mode", ["full", "site"])
def test_saturation_holds_the_scores_of_all_substitutions(
    mode: str, model: LoadedModel, tmp_path: Path
) -> None:
    contig = dna(60, 5) + "N" + dna(60, 6)
    genome = genome_of(tmp_path, c=contig)
    settings = {"species": "R", "window": 45, "stride": 9, "right": 9, "mode": mode}
    found = model.saturate(genome, "c", 50, 65, **settings)
    assert found.bases.tobytes().decode() == contig[50:65]
    assert np.isnan(found.scores[10]).all() and not np.isnan(np.delete(found.scores, 10, 0)).any()
    table = found.to_pandas()
    assert len(table) == 3 * 14 + 4
    known = table[table["ref"] != "N"]
    variants = [
        Variant(row.chrom, row.pos - 1, row.ref, row.alt) for row in known.itertuples(index=False)
    ]
    scores = model.variants(variants, genome, **settings)
    expected = [score.llr if mode == "full" else score.site for score in scores]
    assert found.mode == mode
    assert known["llr" if mode == "full" else "site"].tolist() == expected
    if mode == "site":
        del settings["mode"]
        by_default = model.saturate(genome, "chrc", 50, 65, **settings)
        assert (by_default.contig, by_default.mode) == ("c", "site")
        np.testing.assert_array_equal(by_default.scores, found.scores)
    with pytest.raises(ValueError, match="region c:101-122: contig c has the positions 1 to 121"):
        model.saturate(genome, "c", 100, 122)
    with pytest.raises(ValueError, match="has no contig d; its contigs are c"):
        model.saturate(genome, "d", 0, 9)


def test_alleles_in_other_spellings_have_the_same_scores(
    model: LoadedModel, tmp_path: Path
) -> None:
    genome = genome_of(tmp_path, chr1="ACGTTGCATG" * 9)
    usual = [
        Variant("chr1", 40, "AC", "GT"),
        Variant("chr1", 41, "CG", ""),
        Variant("chr1", 41, "", "T"),
    ]
    other = [
        Variant("1", 40, "ac", "gt"),
        Variant("1", 41, "cg", "-"),
        Variant("1", 41, "-", "t"),
    ]
    settings = {"species": "R", "window": 45, "stride": 9, "right": 9}
    scores = model.variants(usual, genome, **settings)
    assert [score.note for score in scores] == [None] * 3
    table = scores.to_pandas()
    assert table["pos"].tolist() == [41, 42, 42] and table["llr"].tolist() == [
        score.llr for score in scores
    ]
    assert table["site"].isna().tolist() == [True] * 3
    assert model.variants(other, genome, **settings) == scores


@pytest.mark.parametrize("variants", ["calls.vcf", Path("calls.vcf"), [("chr1", 40, "A", "G")]])
def test_other_objects_than_variants(variants: Any, model: LoadedModel, tmp_path: Path) -> None:
    genome = genome_of(tmp_path, chr1="ACGTTGCATG" * 9)
    with pytest.raises(
        TypeError, match=r"give a list of Variant\(contig.* command dnagpt variants"
    ):
        model.variants(variants, genome, window=45, stride=9, right=9)
