"""A linear model over counts of k-mers: what a language model of DNA has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dnagpt_hf.evaluation.kmer_counts import count_kmers

ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]
_PROBLEM_TYPES = ("single_label_classification", "multi_label_classification", "regression")
# from what hardly looks at the counts to what fits them closely
CANDIDATES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_FOLDS = 3
_WITHOUT_CHOICE = 1e-2
# above so many columns, Newton's method spends its time on their covariance
_MOST_NEWTON_COLUMNS = 2048


class KmerBaseline:
    """Logistic or ridge regression over the counts of k-mers in equal parts of a sequence.

    Two parts tell what stands left of a site in the middle from what stands right of it. The
    counts, and further numbers of a record if there are any, are standardised on the records that
    the model is fitted to.

    Args:
        kmer_size: bases of a k-mer, 1 to 8.
        parts: equal parts of a sequence that are counted apart.
        problem_type:
            `"single_label_classification"` for two or more classes, `"multi_label_classification"`
            for labels of which several may hold, or `"regression"`; the names of
            [`DNAGPTConfig`]'s `problem_type`.
        C:
            Inverse strength of the penalty on squared weights, as scikit-learn counts it (ridge
            regression has `alpha = 1 / (2 * C)`). By default the best one of `CANDIDATES` on the
            records that the model is fitted to: by the log-loss of three stratified folds, or by
            the squared error of ridge regression on each record without itself. No one value does:
            on histone marks 0.001 is best, on TATA promoters 1. Where a class has fewer than three
            members, it is 0.01.

    Raises:
        ValueError: an argument is out of range.

    Example:

        >>> sequences = ["ACACACAC", "GTGTGTGT", "CACACACA", "TGTGTGTG"] * 3
        >>> baseline = KmerBaseline(kmer_size=2).fit(sequences, [0, 1, 0, 1] * 3)
        >>> baseline.predict(["ACACAC", "GTGTGT"]).tolist()
        [0, 1]
    """

    def __init__(
        self,
        kmer_size: int = 4,
        parts: int = 2,
        *,
        problem_type: ProblemType = "single_label_classification",
        C: float | None = None,
    ) -> None:
        count_kmers([], kmer_size, parts)
        if problem_type not in _PROBLEM_TYPES:
            raise ValueError(
                f"problem type {problem_type!r}: choose one of {', '.join(_PROBLEM_TYPES)}"
            )
        if C is not None and not 0 < C < float("inf"):
            raise ValueError(f"C {C} is not above 0: give a number above 0, or none to choose one")
        self.kmer_size = kmer_size
        self.parts = parts
        self.problem_type = problem_type
        self.C = C
        self._model: Any = None
        self._number_columns = 0

    def fit(
        self, sequences: Sequence[str], targets: ArrayLike, numbers: ArrayLike | None = None
    ) -> KmerBaseline:
        """Fit to records.

        Args:
            sequences: one sequence for each record.
            targets:
                Classes, `(records,)`, of any type that sorts; labels 0 or 1, `(records, labels)`;
                or numbers, `(records,)` or `(records, targets)`.
            numbers: further numbers of each record, `(records, columns)` or `(records,)`.

        Raises:
            ValueError: the arrays do not fit each other, hold numbers that are not finite, labels
                that are not 0 or 1, or one class only.
        """
        wanted = self._targets(targets, len(sequences))
        columns = _columns(numbers, len(sequences))
        self._number_columns = columns.shape[1]
        features = self._features(sequences, columns)
        self._model = self._pipeline(features, wanted).fit(features, wanted)
        return self

    @property
    def classes(self) -> NDArray[Any]:
        """The classes in the order of the probabilities' columns; of labels, their numbers.

        Raises:
            ValueError: the model predicts numbers, or has not been fitted.
        """
        if self.problem_type == "regression":
            raise ValueError("a regression has no classes")
        return np.asarray(self._fitted().classes_)

    def predict_proba(
        self, sequences: Sequence[str], numbers: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Probability of each class or label, `(records, classes)`.

        Raises:
            ValueError: the model predicts numbers, has not been fitted, or was fitted with other
                columns of numbers.
        """
        if self.problem_type == "regression":
            raise ValueError("a regression has no probabilities: call predict")
        model = self._fitted()
        return model.predict_proba(self._known_features(sequences, numbers))

    def predict(self, sequences: Sequence[str], numbers: ArrayLike | None = None) -> NDArray[Any]:
        """Classes, labels or numbers, in the shape of the targets.

        Raises:
            ValueError: as of `predict_proba`.
        """
        model = self._fitted()
        return np.asarray(model.predict(self._known_features(sequences, numbers)))

    def _fitted(self) -> Any:
        if self._model is None:
            raise ValueError("the baseline has no weights yet: call fit first")
        return self._model

    def _features(
        self, sequences: Sequence[str], columns: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        counts = count_kmers(sequences, self.kmer_size, self.parts)
        return np.concatenate([counts, columns], axis=1, dtype=np.float64)

    def _known_features(
        self, sequences: Sequence[str], numbers: ArrayLike | None
    ) -> NDArray[np.float64]:
        columns = _columns(numbers, len(sequences))
        if columns.shape[1] != self._number_columns:
            raise ValueError(
                f"{columns.shape[1]} columns of numbers, but the baseline was fitted with "
                f"{self._number_columns}"
            )
        return self._features(sequences, columns)

    def _targets(self, targets: ArrayLike, records: int) -> NDArray[Any]:
        wanted = np.asarray(targets)
        dimensions = {
            "single_label_classification": (1,),
            "multi_label_classification": (2,),
            "regression": (1, 2),
        }[self.problem_type]
        if wanted.ndim not in dimensions or len(wanted) != records:
            raise ValueError(
                f"targets of shape {wanted.shape} do not fit {records:,} sequences and "
                f"{self.problem_type}"
            )
        if not records:
            raise ValueError("there are no records to fit to")
        if self.problem_type == "regression" and not np.isfinite(wanted).all():
            raise ValueError("the targets hold numbers that are not finite")
        if self.problem_type == "multi_label_classification" and not np.isin(wanted, (0, 1)).all():
            raise ValueError("labels of which several may hold are 0 or 1 in a column for each")
        if self.problem_type == "single_label_classification" and len(np.unique(wanted)) < 2:
            raise ValueError(f"all records are of class {wanted[0]}: two classes are needed")
        return wanted

    def _pipeline(self, features: NDArray[np.float64], wanted: NDArray[Any]) -> Any:
        from sklearn.linear_model import Ridge, RidgeCV
        from sklearn.multiclass import OneVsRestClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if self.problem_type == "regression":
            alphas = [1 / (2 * C) for C in CANDIDATES]
            model = RidgeCV(alphas) if self.C is None else Ridge(1 / (2 * self.C))
        else:
            model = self._classifier(features.shape[1], _rarest(wanted))
        if self.problem_type == "multi_label_classification":
            model = OneVsRestClassifier(model)
        return make_pipeline(StandardScaler(), model)

    def _classifier(self, columns: int, rarest: int) -> Any:
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV, StratifiedKFold

        solver = "newton-cholesky" if columns <= _MOST_NEWTON_COLUMNS else "lbfgs"
        C = _WITHOUT_CHOICE if self.C is None else self.C
        logistic = LogisticRegression(C=C, solver=solver, max_iter=1000)
        if self.C is not None or rarest < _FOLDS:
            return logistic
        folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
        return GridSearchCV(logistic, {"C": CANDIDATES}, scoring="neg_log_loss", cv=folds)


def _rarest(targets: NDArray[Any]) -> int:
    """Members of the smallest class, or the smallest of any label's two classes."""
    labels = targets[:, None] if targets.ndim == 1 else targets
    return min(np.unique(column, return_counts=True)[1].min() for column in labels.T)


def _columns(numbers: ArrayLike | None, records: int) -> NDArray[np.float64]:
    """Numbers as `(records, columns)`."""
    if numbers is None:
        return np.empty((records, 0))
    columns = np.asarray(numbers, dtype=np.float64)
    columns = columns[:, None] if columns.ndim == 1 else columns
    if columns.ndim != 2 or len(columns) != records:
        raise ValueError(f"numbers of shape {columns.shape} do not fit {records:,} sequences")
    if not np.isfinite(columns).all():
        row, column = np.argwhere(~np.isfinite(columns))[0]
        raise ValueError(
            f"record {row + 1:,}: number {column + 1} is {columns[row, column]}: all must be finite"
        )
    return columns
