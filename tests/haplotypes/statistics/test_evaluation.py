"""Artificial genomes against real ones, and the report on it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from haplotype_sets import make_haplotypes

from dnagpt_hf.atomic_files import DestinationError
from dnagpt_hf.haplotypes.evaluation import evaluate_haplotypes
from dnagpt_hf.haplotypes.haplotypes import Haplotypes
from dnagpt_hf.haplotypes.sites import HaplotypeError
from dnagpt_hf.haplotypes.statistics.evaluation import HaplotypeEvaluation
from dnagpt_hf.haplotypes.statistics.figures import figures
from dnagpt_hf.haplotypes.statistics.reference_generators import GENERATORS, mosaic
from dnagpt_hf.haplotypes.statistics.report import (
    as_dict,
    as_markdown,
    check_report_folder,
    metric_table,
    write_report,
)

pytest.importorskip("scipy")
pytest.importorskip("matplotlib")


def parts() -> tuple[Haplotypes, dict[str, Haplotypes], Haplotypes]:
    real = make_haplotypes(40, seed=1)
    copies = replace(make_haplotypes(20, seed=3, prefix="AG"), alleles=real.alleles[:40])
    good = make_haplotypes(30, seed=4, prefix="AG")
    return real, {"copies": copies, "good": good}, make_haplotypes(25, seed=2, prefix="T")


@pytest.fixture(scope="module")
def evaluation() -> HaplotypeEvaluation:
    real, generated, test = parts()
    return evaluate_haplotypes(real, generated, test=test)


def test_references_always_stand_beside(evaluation: HaplotypeEvaluation) -> None:
    assert [one.name for one in evaluation.sets] == ["copies", "good", "real test", *GENERATORS]
    kinds = [one.kind for one in evaluation.sets]
    assert kinds == ["generated", "generated", "test", *["generator"] * 3]
    assert [one.haplotypes for one in evaluation.sets] == [40, 60, 50, 80, 80, 80]


def test_what_the_figures_say(evaluation: HaplotypeEvaluation) -> None:
    by_name = {one.name: one for one in evaluation.sets}
    copies, good, test = by_name["copies"], by_name["good"], by_name["real test"]
    assert copies.distances.num_copies == 40 and copies.adversarial.aats < 0.3
    assert good.distances.num_copies == 0 and good.adversarial.aats > 0.3
    # what was copied is near the training part, and far from the test part
    assert copies.privacy > 0.3 and abs(good.privacy) < 0.2
    assert test.privacy is None
    independent = by_name["independent"]
    assert independent.linkage.correlation < 0.3 < good.linkage.correlation
    assert independent.pca.mean > 2 * test.pca.mean
    assert independent.frequencies.correlation > 0.95
    gaps = [one.gap for one in good.three_point]
    assert gaps == [0, 1, 4, 16, "random"]
    assert [one.width for one in good.windows] == [2, 10]


def test_populations(evaluation: HaplotypeEvaluation) -> None:
    by_name = {one.name: one for one in evaluation.sets}
    real, generated, _ = parts()
    for name, one in by_name.items():
        assert [part.population for part in one.populations] == ["EAST", "WEST"]
        assert sum(part.other_share for part in one.populations) == pytest.approx(1), name
    east = by_name["good"].populations[0]
    assert east.num_real == (real.populations == "EAST").sum()
    # stated by the set itself
    assert east.num_other == (generated["good"].populations == "EAST").sum()


def test_populations_that_a_set_states_are_believed() -> None:
    real, generated, test = parts()
    good = generated["good"]
    turned = replace(good, populations=np.where(good.populations == "EAST", "WEST", "EAST"))
    one = evaluate_haplotypes(real, {"good": turned}, test=test).sets[0]
    assert one.populations[0].num_other == (good.populations == "WEST").sum()
    # frequencies are those of the other population
    assert one.populations[0].frequency_correlation < 0.8


def test_a_population_of_one_haplotype() -> None:
    real, generated, test = parts()
    alone = replace(real, populations=["NORTH", *["SOUTH"] * 79])
    other = replace(generated["good"], populations=["NORTH", *["SOUTH"] * 59])
    north, south = evaluate_haplotypes(alone, {"good": other}, test=test).sets[0].populations
    assert (north.num_real, north.num_other) == (1, 1) and np.isnan(north.within)
    assert south.within > 0


def test_populations_that_a_set_does_not_state() -> None:
    real, generated, test = parts()
    nameless = replace(generated["good"], populations=None)
    one = evaluate_haplotypes(real, {"good": nameless}, test=test).sets[0]
    # the nearest real haplotype tells the populations of these apart
    truth = (generated["good"].populations == "EAST").sum()
    assert one.populations[0].num_other == pytest.approx(truth, abs=6)
    unknown = replace(real, populations=None)
    assert evaluate_haplotypes(unknown, {}, test=test).sets[0].populations == []


def test_same_seed_same_results(evaluation: HaplotypeEvaluation) -> None:
    real, generated, test = parts()
    again = evaluate_haplotypes(real, generated, test=test)
    assert as_dict(again) == as_dict(evaluation)
    other = evaluate_haplotypes(real, generated, test=test, seed=1)
    assert as_dict(other) != as_dict(evaluation)


def test_a_test_split_is_set_aside_by_sample() -> None:
    real, generated, _ = parts()
    steps: list[tuple[str, int]] = []
    found = evaluate_haplotypes(
        real, {"good": generated["good"]}, on_step=lambda *step: steps.append(step)
    )
    assert not found.test_was_given
    assert found.real.num_haplotypes == 64
    held_out = next(one for one in found.sets if one.name == "real test")
    assert held_out.haplotypes == 16
    assert all(one.privacy is None for one in found.sets)
    assert {number for _, number in steps} == {len(steps)}


def test_the_order_of_sets_does_not_matter(evaluation: HaplotypeEvaluation) -> None:
    real, generated, test = parts()
    turned = {name: generated[name] for name in ("good", "copies")}
    found = as_dict(evaluate_haplotypes(real, turned, test=test))["sets"]
    expected = as_dict(evaluation)["sets"]
    assert sorted(found, key=lambda one: one["name"]) == sorted(
        expected, key=lambda one: one["name"]
    )


def test_bad_input() -> None:
    real, generated, test = parts()
    good = generated["good"]

    def evaluate(one: Haplotypes, *, name: str = "x", held_out: Haplotypes = test) -> None:
        evaluate_haplotypes(real, {name: one}, test=held_out)

    fewer = replace(good.take_sites(np.arange(100)), sites=None, source="t0.8.npy")
    with pytest.raises(HaplotypeError, match=r"t0\.8\.npy has 100 sites, but set 1 has 120"):
        evaluate(fewer)
    with pytest.raises(HaplotypeError, match="in another order than set 1"):
        evaluate(good.take_sites(np.arange(120)[::-1]))
    with pytest.raises(HaplotypeError, match="25 samples of set 2 are in set 1 as well"):
        evaluate(good, held_out=make_haplotypes(25, seed=2))
    with pytest.raises(HaplotypeError, match="name 'mosaic' stands for a reference"):
        evaluate(good, name="mosaic")
    with pytest.raises(HaplotypeError, match="set 4 has one haplotype"):
        evaluate(good.take_haplotypes(np.arange(1)))
    with pytest.raises(HaplotypeError, match="one split would be empty"):
        evaluate_haplotypes(real.take_haplotypes(np.arange(2)), {})


def test_sites_that_vary_nowhere() -> None:
    real, _, test = parts()
    fixed = replace(real, alleles=np.zeros_like(real.alleles))
    other = replace(test, alleles=fixed.alleles[:50])
    found = evaluate_haplotypes(fixed, {"x": test}, test=other)
    assert found.linkage is None and found.sets[0].linkage is None
    assert not as_dict(found)["linkage"]["sites"]
    assert "no linkage" in as_markdown(found)
    assert "linkage" not in [name for name, *_ in figures(found)]


def test_table(evaluation: HaplotypeEvaluation) -> None:
    header, rows = metric_table(evaluation)
    assert header[-3:] == ["GAN*", "RBM*", "DNAGPT*"]
    assert len(rows) == 24 and all(len(row) == len(header) for row in rows)
    by_label = {row[0]: row[1:] for row in rows}
    assert by_label["haplotypes"][:3] == ["40", "60", "50"]
    assert by_label["principal components 1 to 6: mean Wasserstein distance ↓"][-3:] == [
        "1.753",
        "3.432",
        "1.131",
    ]
    text = as_markdown(evaluation)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in lines[: 2 + len(rows)]}) == 1
    assert "other data than here" in text and "## By population" in text


def test_report(evaluation: HaplotypeEvaluation, tmp_path: Path) -> None:
    write_report(evaluation, tmp_path / "report")
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert {"evaluation.json", "evaluation.md", "evaluation.html", "pca.png"} <= names
    found = json.loads((tmp_path / "report" / "evaluation.json").read_text(), parse_constant=None)
    assert found["real"]["haplotypes"] == 80 and len(found["sets"]) == 6
    assert len(found["linkage"]["edges"]) == 51 and len(found["sets"][0]["linkage"]["decay"]) == 50
    assert found["published"]["RBM"]["linkage r² of all pairs of sites: r ↑"] == 0.94
    page = (tmp_path / "report" / "evaluation.html").read_text()
    # nothing is fetched: all images are in the page
    sources = re.findall(r'(?:src|href)="(.{0,30})', page)
    assert len(sources) == len(names) - 3
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "http" not in re.sub(r"base64,[^\"]*", "", page)
    with pytest.raises(DestinationError, match="has content: choose another folder"):
        write_report(evaluation, tmp_path / "report")
    check_report_folder(tmp_path / "report", overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(DestinationError, match="is a file"):
        write_report(evaluation, tmp_path / "file")


def test_names_are_escaped(tmp_path: Path) -> None:
    real, generated, test = parts()
    evaluate_haplotypes(real, {"<b>t|1*": generated["good"]}, tmp_path, test=test)
    assert "&lt;b&gt;t|1*" in (tmp_path / "evaluation.html").read_text()
    assert "<b>t\\|1\\*" in (tmp_path / "evaluation.md").read_text()


def test_figures_leave_pyplot_alone(evaluation: HaplotypeEvaluation) -> None:
    found: dict[str, Any] = {name: figure for name, _, figure in figures(evaluation)}
    assert list(found) == [
        "pca",
        "frequencies",
        "linkage",
        "decay",
        "distances",
        "adversarial",
        "ibs_tracts",
        "populations",
    ]
    from matplotlib import pyplot

    assert pyplot.get_fignums() == []
    # a column for each set, three pairs of components
    assert len(found["pca"].axes) == 18


def test_generator_with_other_settings_as_a_set() -> None:
    real, _, test = parts()
    few = mosaic(real, 30, seed=5, effective_size=1e6)
    (one, *_) = evaluate_haplotypes(real, {"mixed": few}, test=test).sets
    assert one.linkage.decay_difference > 0
