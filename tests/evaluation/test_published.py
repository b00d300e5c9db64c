"""The published figures: spot checks, and relations that slips of the pen would break."""

import math

import pytest

from dnagpt_hf.evaluation.metrics import (
    CLASSIFICATION_METRICS,
    MACRO_METRICS,
    REGRESSION_METRICS,
)
from dnagpt_hf.evaluation.published import comparison_table, paper_results

SPECIES = ("human", "mouse", "fruitfly", "bovine")
RATES = ("precision", "recall")
GSR = [f"gsr-{s}-{signal}" for s in SPECIES for signal in ("pas-aataaa", "pas-all", "tis")]


def figure(task: str, source: str, metric: str, model: str | None = None) -> float:
    (found,) = [
        result.value
        for result in paper_results(task).itertuples()
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
        ("gsr-human-tis", "Table S3", "recall_macro", "DNAGPT-S-512", 0.9795),
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
    for task in (*GSR, "nt-H3", "mrna-human", "mrna-mouse", "gue-splice"):
        for result in paper_results(task).itertuples():
            assert result.task == task and 0.2 < result.value < 1
            assert result.metric in (*CLASSIFICATION_METRICS, *MACRO_METRICS, *REGRESSION_METRICS)
            assert result.source and result.data
    for task in GSR:
        assert paper_results(task)["source"].str.startswith("Table").sum() == 15


@pytest.mark.parametrize(("source", "tolerance"), [("Table S2", 2e-4), ("Table S3", 1e-3)])
def test_mcc_follows_from_precision_and_recall(source: str, tolerance: float) -> None:
    """Averages over two classes determine MCC: a wrong digit in any of the three shows."""
    for task in GSR:
        precision, recall = (figure(task, source, f"{name}_macro") for name in RATES)
        expected = math.sqrt((2 * precision - 1) * (2 * recall - 1))
        assert figure(task, source, "mcc") == pytest.approx(expected, abs=tolerance), task


@pytest.mark.parametrize("source", ["Table S2", "Table S3", "Table S4"])
def test_balanced_classes_have_like_figures(source: str) -> None:
    for task in GSR:
        accuracy = figure(task, source, "accuracy")
        for name in MACRO_METRICS:
            assert figure(task, source, name) == pytest.approx(accuracy, abs=1.1e-3), task


def test_unknown_tasks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'gsr-human-pas': did you mean gsr-human-pas-all or "):
        paper_results("gsr-human-pas")
    with pytest.raises(ValueError, match=r"'CTCF': choose one of nt-H3, "):
        paper_results("CTCF")


def test_table() -> None:
    # measured of the positive class, published as averages: only figures of one kind are compared
    measured = {"accuracy": 0.8016, "f1": 0.9, "f1_macro": 0.7, "auroc": 0.8784, "mcc": math.nan}
    table = comparison_table("gsr-human-tis", measured, "4|mers")
    lines = table.splitlines()
    names = "accuracy | f1_macro | mcc | precision_macro | recall_macro"
    assert lines[0] == f"| model | {names} | source |"
    assert all(line.replace(r"\|", "").count("|") == 8 for line in lines[:6])
    assert "| DNAGPT-M | 0.9746 | 0.9746 | 0.9492 | 0.9747 | 0.9746 | Table S2 |" in lines
    assert lines[5] == "| **4\\|mers** | 0.8016 | 0.7000 |  |  |  | measured |"
    assert "DeepGSR" in table and "Table S2, Table S3, Table S4" in table
    assert "comparable" not in table
    differing = comparison_table("gsr-human-pas-aataaa", measured, "x", note="HybPAS. ")
    assert "| DNAGPT classification.pth | 0.912 |  |  |  |  | 0.916 | independent run" in differing
    assert "| **x** | 0.8016 | 0.7000 |  |  |  | 0.9000 | measured |" in differing
    assert differing.endswith("**Not comparable one to one**, data or split differ: HybPAS.")
