"""Scores of variants against whole haplotypes, read k-mer by k-mer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from likelihood_models import (
    base_log_probability,
    dna,
    genome_of,
    reverse,
    tiny,
    variant_log_ratio,
)

from dnagpt_hf.genomes.fasta import Genome
from dnagpt_hf.likelihoods import variants as module
from dnagpt_hf.likelihoods import windows
from dnagpt_hf.likelihoods.variants import Variant, VariantScore, VariantSettings, score_variants

CLOSE = 1e-9


def settings_for(kmer_size: int, **changes: Any) -> VariantSettings:
    """Windows of 10 k-mers, a stride of 3, and 3 on the right."""
    window, stride, right = (count * kmer_size for count in (10, 3, 3))
    return replace(VariantSettings("R", window, stride, right), **changes)


def scores_of(
    loaded: Any, genome: Genome, variants: list[Variant], settings: VariantSettings
) -> list[VariantScore]:
    return list(score_variants(*loaded, genome, variants, settings))


def at(contig: str, position: int, length: int, alt: str) -> Variant:
    return Variant("c", position, contig[position : position + length], alt)


def snv(contig: str, position: int) -> Variant:
    others = "ACGT".replace(contig[position], "")
    return at(contig, position, 1, others[position % 3])


def changes_of(contig: str) -> list[Variant]:
    """SNVs, MNVs, insertions and deletions at both ends and within windows."""
    end = len(contig)
    return [
        *[snv(contig, place) for place in (0, 1, 5, 20, 33, 34, 35, 36, 50, 61, end - 5, end - 1)],
        at(contig, 3, 2, "GGG"),
        at(contig, 40, 3, "TAC"),
        at(contig, 41, 5, reverse(contig[41:46])),
        at(contig, 30, 1, contig[30] + "T"),
        at(contig, 31, 1, contig[31] + "GATTACA"),
        at(contig, 44, 4, contig[44]),
        at(contig, 44, 9, contig[44]),
        at(contig, 60, 1, "TTTTT"),
        at(contig, 55, 7, "A"),
        at(contig, end - 4, 4, contig[end - 4]),
        at(contig, end - 1, 1, contig[end - 1] + "ACGTA"),
    ]


@pytest.mark.parametrize("kmer_size", [1, 3, 4, 6])
@pytest.mark.parametrize("dynamic", [True, False])
def test_scores_equal_those_of_whole_haplotypes(
    kmer_size: int, dynamic: bool, tmp_path: Path
) -> None:
    loaded = tiny(kmer_size, dynamic)
    contig = dna(20 * kmer_size + 50, 1)
    settings = settings_for(kmer_size, species="R" if dynamic else None)
    variants = changes_of(contig)[:: 2 if kmer_size == 6 else 1]
    scores = scores_of(loaded, genome_of(tmp_path, c=contig), variants, settings)
    for variant, score in zip(variants, scores, strict=True):
        alleles = variant.position, variant.ref, variant.alt
        found = variant_log_ratio(*loaded, contig, *alleles, settings)
        assert score.llr == (None if found is None else pytest.approx(found, abs=CLOSE)), variant
        assert score.note == ("no_context" if found is None else None), variant
    assert sum(score.llr is not None for score in scores) > 0.8 * len(scores)


@pytest.mark.parametrize("changes", [{"phases": "first"}, {"strand": "forward"}, {"right": 0}])
def test_phases_strands_and_the_right_side_are_as_defined(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    loaded, contig = tiny(), dna(100, 2)
    settings = settings_for(3, **changes)
    variants = changes_of(contig)
    scores = scores_of(loaded, genome_of(tmp_path, c=contig), variants, settings)
    for variant, score in zip(variants, scores, strict=True):
        alleles = variant.position, variant.ref, variant.alt
        found = variant_log_ratio(*loaded, contig, *alleles, settings)
        assert score.llr == (None if found is None else pytest.approx(found, abs=CLOSE)), variant


def test_an_undetermined_base_makes_a_kmer_context_on_both_haplotypes(tmp_path: Path) -> None:
    loaded, contig = tiny(), dna(100, 3)
    contig = f"{contig[:47]}N{contig[48:52]}NN{contig[54:]}"
    variants = [snv(contig, place) for place in (40, 45, 49, 56)] + [at(contig, 44, 2, "ACGT")]
    genome = genome_of(tmp_path, c=contig)
    for variant, score in zip(
        variants, scores_of(loaded, genome, variants, settings_for(3)), strict=True
    ):
        alleles = variant.position, variant.ref, variant.alt
        found = variant_log_ratio(*loaded, contig, *alleles, settings_for(3))
        assert score.llr == pytest.approx(found, abs=CLOSE)
    # IUPAC codes and soft masks of the file
    lower = contig.replace("N", "R", 1).lower()
    again = scores_of(loaded, genome_of(tmp_path, c=lower), variants, settings_for(3))
    assert again == scores_of(loaded, genome, variants, settings_for(3))


@pytest.mark.parametrize("kmer_size", [1, 3, 6])
@pytest.mark.parametrize("species", ["R", None])
def test_a_site_is_the_ratio_of_two_conditionals(
    kmer_size: int, species: str | None, tmp_path: Path
) -> None:
    # both strands of the contig are within one window
    model, tokenizer = loaded = tiny(kmer_size)
    contig = dna(31, 4)
    settings = settings_for(kmer_size, species=species, window=64 * kmer_size, mode="site")
    step = 3 if kmer_size == 6 else 1
    variants = [snv(contig, place) for place in range(0, len(contig), step)]
    scores = scores_of(loaded, genome_of(tmp_path, c=contig), variants, settings)
    full = replace(settings, mode="full")
    again = scores_of(loaded, genome_of(tmp_path, c=contig), variants, full)
    for variant, score, other in zip(variants, scores, again, strict=True):
        ratios = []
        for strand in (False, True):
            sequence = reverse(contig) if strand else contig
            place = len(contig) - 1 - variant.position if strand else variant.position
            letters = [reverse(one) if strand else one for one in (variant.ref, variant.alt)]
            ref, alt = (
                base_log_probability(
                    model, tokenizer, sequence, place, species=species, letter=letter
                )
                for letter in letters
            )
            if ref is not None and alt is not None:
                ratios.append(alt - ref)
        assert score.llr is None and score.note is None
        assert score.site == pytest.approx(sum(ratios) / len(ratios), abs=CLOSE)
        assert other.site == score.site


def test_equal_alleles_score_zero_and_swapped_ones_change_the_sign(tmp_path: Path) -> None:
    loaded, contig = tiny(), dna(100, 5)
    genome = genome_of(tmp_path, c=contig)
    [same] = scores_of(loaded, genome, [at(contig, 50, 3, contig[50:53])], settings_for(3))
    assert (same.llr, same.site, same.note) == (0.0, 0.0, None)
    for variant in changes_of(contig):
        behind = contig[variant.position + len(variant.ref) :]
        changed = genome_of(tmp_path, c=contig[: variant.position] + variant.alt + behind)
        swapped = Variant("c", variant.position, variant.alt, variant.ref)
        [there] = scores_of(loaded, genome, [variant], settings_for(3))
        [back] = scores_of(loaded, changed, [swapped], settings_for(3))
        assert there.llr is not None and back.llr == pytest.approx(-there.llr, abs=CLOSE)


def test_the_other_strand_of_genome_and_variants_scores_alike(tmp_path: Path) -> None:
    loaded, contig = tiny(), dna(100, 6)
    variants = changes_of(contig)
    mirrored = [
        Variant("c", 100 - one.position - len(one.ref), reverse(one.ref), reverse(one.alt))
        for one in variants
    ]
    scores = scores_of(loaded, genome_of(tmp_path, c=contig), variants, settings_for(3))
    others = scores_of(loaded, genome_of(tmp_path, c=reverse(contig)), mirrored, settings_for(3))
    for score, other in zip(scores, others, strict=True):
        assert score.llr == pytest.approx(other.llr, abs=CLOSE)
        assert score.site == (None if other.site is None else pytest.approx(other.site, abs=CLOSE))


def test_equivalent_records_score_alike(tmp_path: Path) -> None:
    contig = dna(40, 7) + "CACACACACA" + dna(50, 8)
    genome = genome_of(tmp_path, c=contig)
    # a deletion and an insertion of CA along the repeat, and padded spellings of them
    deletions = [at(contig, place, 2, "") for place in range(40, 49, 2)]
    deletions += [at(contig, place, 3, contig[place]) for place in range(39, 47)]
    deletions += [at(contig, 36, 20, contig[36:40] + contig[42:56])]
    insertions = [at(contig, place, 0, "CA") for place in range(40, 51, 2)]
    insertions += [at(contig, place, 1, contig[place] + "CA") for place in (39, 41, 43, 49)]
    other = snv(contig, 20).alt
    substitutions = [snv(contig, 20), at(contig, 18, 4, contig[18:20] + other + contig[21])]
    for records in (deletions, insertions, substitutions):
        scores = scores_of(tiny(), genome, records, settings_for(3))
        assert scores[0].llr and set(scores) == {scores[0]}


def test_order_neighbors_and_blocks_change_no_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, contig = tiny(6, dtype=torch.float32), dna(400, 9)
    genome = genome_of(tmp_path, c=contig)
    settings = settings_for(6)
    variants = [snv(contig, place) for place in range(3, 390, 5)] + changes_of(contig)
    scores = scores_of(loaded, genome, variants, settings)
    alone = [scores_of(loaded, genome, [variant], settings)[0] for variant in variants[::7]]
    assert alone == scores[::7]
    assert scores_of(loaded, genome, variants[::-1], settings) == scores[::-1]
    monkeypatch.setattr(module, "_AHEAD", 5)
    assert scores_of(loaded, genome, variants, settings) == scores


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_alternatives_are_read_together_on_an_accelerator(
    attention: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = tiny()
    contig = dna(100, 15)
    genome, variants = genome_of(tmp_path, c=contig), changes_of(contig)
    scores = scores_of((model, tokenizer), genome, variants, settings_for(3))
    model.set_attn_implementation(attention)
    monkeypatch.setattr(windows, "_TOGETHER", 3)
    again = scores_of((model, tokenizer), genome, variants, settings_for(3))
    for score, other in zip(scores, again, strict=True):
        # eager attention has a softmax in float32
        assert score.llr == pytest.approx(other.llr, abs=CLOSE if attention == "sdpa" else 1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_probabilities_are_normalized_in_float32_whatever_the_type(
    dtype: torch.dtype, tmp_path: Path
) -> None:
    contig = dna(100, 10)
    genome, variants = genome_of(tmp_path, c=contig), changes_of(contig)
    model, tokenizer = tiny(dtype=dtype)
    exact, _ = tiny()
    exact.load_state_dict(model.state_dict())
    scores = scores_of((model, tokenizer), genome, variants, settings_for(3))
    expected = scores_of((exact, tokenizer), genome, variants, settings_for(3))
    tolerance = 1e-3 if dtype == torch.float32 else 1.0
    for score, other in zip(scores, expected, strict=True):
        assert score.llr == pytest.approx(other.llr, abs=tolerance)


def test_notes_say_why_an_allele_has_no_score(tmp_path: Path) -> None:
    contig = dna(50, 11) + "N" + dna(50, 12)
    genome = genome_of(tmp_path, c=contig)
    alts = {
        "<DEL>": "symbolic",
        "<*>": "symbolic",
        f"{contig[20]}[c:7[": "breakend",
        f".{contig[20]}": "breakend",
        "*": "spanning_deletion",
        ".": "no_alt",
        "N": "n_in_allele",
        "AR": "n_in_allele",
        "ACGT" * 8: "too_long",
    }
    variants = [at(contig, 20, 1, alt) for alt in alts]
    notes = [*alts.values()]
    others = "ACGT".replace(contig[20], "")
    variants += [
        Variant("c", 20, others[0], others[1]),
        Variant("c", -1, "A", "C"),
        Variant("c", 100, contig[100] + "A", "C"),
        Variant("d", 20, "A", "C"),
        Variant("c", 49, contig[49] + "A", contig[49]),
        Variant("c", 20, "", ""),
    ]
    notes += ["ref_mismatch"] * 3 + ["unknown_contig", "n_in_allele", "no_alt"]
    scores = scores_of(tiny(), genome, variants, settings_for(3))
    assert [score.note for score in scores] == notes
    assert all(score.llr is None and score.site is None for score in scores)
    # without a species token the first base of the first k-mer has nothing before it
    forward = settings_for(3, species=None, strand="forward", right=0)
    [first] = scores_of(tiny(), genome, [snv(contig, 0)], forward)
    assert first.note == "no_context"
    # bases behind the first k-mer are read in its light
    [behind] = scores_of(tiny(), genome, [snv(contig, 0)], replace(forward, right=3))
    assert behind.llr is not None and behind.site is None
    [indel] = scores_of(tiny(), genome, [at(contig, 20, 2, "A")], settings_for(3, mode="site"))
    assert indel.note == "too_long"


def test_settings_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    genome = genome_of(tmp_path, c=dna(50, 13))
    with pytest.raises(ValueError, match="choose all or first"):
        VariantSettings(phases="some")  # type: ignore[arg-type]
    for changes, message in (
        ({"stride": 2}, "3 bases or more"),
        ({"window": 15}, "do not fit"),
        ({"window": 1200}, "exceeds the model's 64 positions: give 192 or less"),
        ({"species": "C"}, "no species token 'C': choose one of R \\(Homo_sapiens\\)"),
    ):
        with pytest.raises(ValueError, match=message):
            scores_of(tiny(), genome, [], settings_for(3, **changes))


def test_attention_without_masks_is_refused(tmp_path: Path) -> None:
    model, tokenizer = tiny()
    model.set_attn_implementation("flex_attention")
    genome = genome_of(tmp_path, c=dna(50, 16))
    with pytest.raises(ValueError, match="load the model with attention sdpa or eager"):
        scores_of((model, tokenizer), genome, [], settings_for(3))
    assert scores_of((model, tokenizer), genome, [], settings_for(3, mode="site")) == []


def test_memory_and_progress_follow_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AHEAD", 4)
    contig = dna(100, 14)
    asked: list[int] = []
    done: list[int] = []

    def stream() -> Any:
        for place in range(20, 30):
            asked.append(place)
            yield snv(contig, place)

    scores = score_variants(
        *tiny(), genome_of(tmp_path, c=contig), stream(), settings_for(3), progress=done.append
    )
    next(scores)
    assert len(asked) == 4 and not done
    assert len(list(scores)) == 9 and done == [4, 4, 2]
