"""The published figures: spot checks, and relations that slips of the pen would break."""

import math

import pytest

from dnagpt_hf.evaluation.published import (
    METRIC_TITLES,
    comparison_table,
    paper_results,
    tasks_with_results,
)


def figure(task: str, source: str, metric: str, model: str | None = None) -> float:
    (found,) = [
        result.value
        for result in paper_results(task)
        if result.source == source and result.metric == metric and model in (None, result.model)
    ]
    return found


@pytest.mark.parametrize(
    ("task", "source", "metric", "model", "value"),
    [
        ("nt-H3K4me1", "Table S1", "mcc", "DNAGPT-B-512", 0.53),
        ("nt-H3K4me1", "Table S1", "mcc", "NT 2.5B-850", 0.54),
        ("nt-promoter_tata", "Table S1", "mcc", "DNAGPT-S-512", 0.80),
        ("gsr-human-pas-aataaa", "Table S2", "accuracy", "DNAGPT-M", 0.9151),
        ("gsr-human-tis", "Table S3", "recall", "DNAGPT-S-512", 0.9795),
        ("gsr-bovine-pas-all", "Table S4", "mcc", "DNAGPT-B-512", 0.8492),
        ("mrna-human", "Fig. 3f", "r2", "DNAGPT-M", 0.62),
        ("mrna-mouse", "Fig. 3f", "r2", "Xpresso", 0.71),
        ("mrna-human", "independent run of the released weights", "pearson", None, 0.753),
        ("gue-prom_core_all", "independent run of the released weights", "mcc", None, 0.68),
    ],
)
def test_figures(task: str, source: str, metric: str, model: str | None, value: float) -> None:
    assert figure(task, source, metric, model) == value


def test_every_task_and_figure() -> None:
    tasks = tasks_with_results()
    gsr = [task for task in tasks if task.startswith("gsr-")]
    assert len(gsr) == 12 and len([task for task in tasks if task.startswith("nt-")]) == 13
    for task in tasks:
        for result in paper_results(task):
            assert result.task == task and result.metric in METRIC_TITLES
            assert 0.2 < result.value < 1 and result.source and result.data
    for task in gsr:
        paper = [result for result in paper_results(task) if result.source.startswith("Table")]
        assert len(paper) == 15


@pytest.mark.parametrize(("source", "tolerance"), [("Table S2", 2e-4), ("Table S3", 1e-3)])
def test_mcc_follows_from_precision_and_recall(source: str, tolerance: float) -> None:
    """Averages over two classes determine MCC: a wrong digit in any of the three shows."""
    for task in tasks_with_results():
        if task.startswith("gsr-"):
            precision, recall = (figure(task, source, name) for name in ("precision", "recall"))
            expected = math.sqrt((2 * precision - 1) * (2 * recall - 1))
            assert figure(task, source, "mcc") == pytest.approx(expected, abs=tolerance), task


@pytest.mark.parametrize("source", ["Table S2", "Table S3", "Table S4"])
def test_balanced_classes_have_like_figures(source: str) -> None:
    for task in tasks_with_results():
        if task.startswith("gsr-"):
            accuracy = figure(task, source, "accuracy")
            for name in ("f1", "precision", "recall"):
                assert figure(task, source, name) == pytest.approx(accuracy, abs=1.1e-3), task


def test_unknown_tasks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'gsr-human-pas': did you mean gsr-human-pas-all or "):
        paper_results("gsr-human-pas")
    with pytest.raises(ValueError, match=r"'CTCF': choose one of nt-H3, "):
        paper_results("CTCF")


def test_results_belong_to_the_caller() -> None:
    paper_results("mrna-human").clear()
    assert paper_results("mrna-human")


def test_table() -> None:
    measured = {"accuracy": 0.8016, "auroc": 0.8784, "mcc": math.nan, "accuracy_some": 1.0}
    table = comparison_table("gsr-human-pas-aataaa", measured, "4|mers")
    lines = table.splitlines()
    assert lines[0] == ("| model | accuracy | F1 | MCC | precision | recall | AUROC | source |")
    assert all(line.replace(r"\|", "").count("|") == 9 for line in lines[:7])
    assert "| DNAGPT-B-512 | 0.932 | 0.932 | 0.8673 | 0.932 | 0.932 |  | Table S4 |" in lines
    assert lines[6] == "| **4\\|mers** | 0.8016 |  |  |  |  | 0.8784 | measured |"
    assert "DeepGSR" in table and "Table S2, Table S3, Table S4" in table
    assert "comparable" not in table
    differing = comparison_table("gsr-human-pas-aataaa", measured, "x", note="HybPAS. ")
    assert differing.endswith("**Not comparable one to one**, data or split differ: HybPAS.")
