"""Figures: what is drawn and written in them, and the files they become."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from dnagpt_hf.evaluation.figures import (
    plot_confusion_matrix,
    plot_curves,
    plot_predicted_against_true,
    save_figure,
)
from dnagpt_hf.evaluation.metrics import classification_metrics, regression_metrics

RNG = np.random.default_rng(0)
LABELS = RNG.integers(3, size=90)
SCORES = RNG.random((90, 3)) + 0.5 * np.eye(3)[LABELS]
PROBABILITIES = SCORES / SCORES.sum(1, keepdims=True)
NAMES = ["acceptor", "donor", "neither"]


def legend(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_roc_of_several_classes() -> None:
    figure = plot_curves(LABELS, PROBABILITIES, NAMES, kind="roc")
    entries = legend(figure)
    assert [entry.split(":")[0] for entry in entries] == [*NAMES, "chance"]
    areas = [float(entry.split(": ")[1]) for entry in entries[:3]]
    mean = classification_metrics(LABELS, PROBABILITIES)["auroc"]
    assert np.mean(areas) == pytest.approx(mean, abs=0.001)
    curve = figure.axes[0].lines[0].get_xydata()
    assert curve[0].tolist() == [0, 0] and curve[-1].tolist() == [1, 1]
    assert len({line.get_color() for line in figure.axes[0].lines}) == 4
    assert figure.get_size_inches().tolist() == [6, 5]


def test_precision_recall_with_the_share_of_positives() -> None:
    is_donor = (LABELS == 1).astype(int)
    two = np.column_stack([1 - PROBABILITIES[:, 1], PROBABILITIES[:, 1]])
    figure = plot_curves(is_donor, two, ["no", "donor"], kind="precision_recall", positive=1)
    area = classification_metrics(is_donor, two, positive=1)["auprc"]
    assert legend(figure) == [f"donor: {area:.3f} (guess: {is_donor.mean():.3f})"]
    share = figure.axes[0].lines[1].get_ydata()
    assert share == pytest.approx([is_donor.mean()] * 2)


@pytest.mark.parametrize("kind", ["roc", "precision_recall"])
def test_labels_and_what_has_no_curve(kind: Any) -> None:
    labels = np.eye(3, dtype=int)[LABELS]
    labels[:, 1] = 0
    entries = legend(plot_curves(labels, PROBABILITIES, NAMES, kind=kind))
    assert entries[1] == "donor: not defined" and "0." in entries[0] and "0." in entries[2]
    many = RNG.random((9, 40))
    assert plot_curves(many.round().astype(int), many, kind=kind).axes[0].get_legend() is None
    with pytest.raises(ValueError, match="3 columns need as many different names"):
        plot_curves(LABELS, PROBABILITIES, ["a", "b"], kind=kind)


def test_confusion_matrix() -> None:
    figure = plot_confusion_matrix([0, 0, 0, 1, 1], [0, 0, 1, 1, 1], ["false", "true", "never"])
    axes = figure.axes[0]
    texts = [text.get_text().split("\n") for text in axes.texts]
    assert texts[:2] == [["2", "66.7%"], ["1", "33.3%"]] and texts[4] == ["2", "100.0%"]
    assert texts[8] == ["0", "0.0%"] and len(texts) == 9
    assert [label.get_text() for label in axes.get_yticklabels()] == ["false", "true", "never"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    many = [f"class {number}" for number in range(30)]
    crowded = plot_confusion_matrix(range(30), range(30), many).axes[0]
    assert not crowded.texts and crowded.get_xticklabels()[0].get_rotation() == 45
    with pytest.raises(ValueError, match="record 2: label 2 is no class"):
        plot_confusion_matrix([0, 1], [0, 2], ["a", "b"])


@pytest.mark.parametrize(("records", "hexagons"), [(2000, False), (2001, True)])
def test_predicted_against_true(records: int, hexagons: bool) -> None:
    targets = RNG.normal(size=records)
    predictions = targets + RNG.normal(size=records)
    figure = plot_predicted_against_true(targets, predictions, "log10 TPM")
    axes = figure.axes[0]
    metrics = regression_metrics(targets, predictions)
    title = axes.get_title()
    assert f"r² {metrics['r2']:.3f}, Pearson {metrics['pearson']:.3f}, {records:,}" in title
    assert axes.get_xlabel() == "true log10 TPM" and axes.get_xlim() == axes.get_ylim()
    drawn = axes.collections[0]
    if hexagons:
        assert drawn.get_array().sum() == records and len(figure.axes) == 2
    else:
        assert len(drawn.get_offsets()) == records
    x, y = axes.lines[0].get_data()
    assert np.array_equal(x, y)


def test_one_number_and_numbers_that_do_not_fit() -> None:
    assert plot_predicted_against_true([1.0], [1.0]).axes[0].get_xlim()[0] < 1
    with pytest.raises(ValueError, match="one number per record"):
        plot_predicted_against_true(PROBABILITIES, PROBABILITIES)
    with pytest.raises(ValueError, match="prediction is nan"):
        plot_predicted_against_true([1.0], [np.nan])


STARTS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.mark.parametrize("suffix", STARTS)
def test_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"roc{suffix}"
    figure = plot_curves(LABELS, PROBABILITIES, NAMES, kind="roc")
    save_figure(figure, path)
    assert path.read_bytes().startswith(STARTS[suffix])
    with pytest.raises(ValueError, match="exists"):
        save_figure(figure, path)
    save_figure(figure, path, overwrite=True)
    assert list(tmp_path.iterdir()) == [path]


def test_unknown_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'.gif' names no format for figures: choose one of .png"):
        save_figure(plot_curves(LABELS, PROBABILITIES, kind="roc"), tmp_path / "roc.gif")


def test_no_global_state() -> None:
    program = """
import sys
from dnagpt_hf.evaluation.figures import plot_curves, save_figure
assert "matplotlib" not in sys.modules
plot_curves([0, 1], [[0.9, 0.1], [0.2, 0.8]], kind="roc")
assert "matplotlib.figure" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'dnagpt_hf\[plot\]'"):
        plot_curves(LABELS, PROBABILITIES, kind="roc")
