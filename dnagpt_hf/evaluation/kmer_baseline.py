"""Logistic and ridge regression on counts of k-mers, and the floor of a constant answer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dnagpt_hf.genomes.bases import normalize_bases

ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]
"""The names of [`DNAGPTConfig`]'s `problem_type`."""
Sequences = Sequence[str] | Sequence[Sequence[str]]
"""A sequence of each record, `(records,)`, or as many of each, `(records, columns)`."""
# inverse penalties, from strong to weak regularization
CANDIDATES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_FOLDS = 3
# too few members of a class for folds, and the penalty for that case
_UNTUNED = 1e-2
# the covariance of more columns takes Newton's method longer than L-BFGS takes in all
_MOST_NEWTON_COLUMNS = 2048


def sequence_columns(sequences: Sequences) -> list[list[bytes]]:
    """Lay out the sequences of records column by column, as the letters A, C, G, T and N.

    Raises:
        ValueError: a letter stands for no nucleotide, or records have different counts of
            sequences.

    Example:

        >>> sequence_columns([("acgu", "AR"), ("", "C")])
        [[b'ACGT', b''], [b'AN', b'C']]
    """
    rows = [[record] if isinstance(record, str) else list(record) for record in sequences]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise ValueError(
                f"record {number:,} has {len(row)} sequences, and the first one {len(rows[0])}: "
                "give every record as many"
            )
    letters = [
        [
            normalize_bases(text.encode("latin-1", "replace"), f"sequence {number:,}").tobytes()
            for text in row
        ]
        for number, row in enumerate(rows, start=1)
    ]
    return [list(column) for column in zip(*letters, strict=True)] or [[]]


def count_kmers(sequences: Sequences, kmer_size: int = 4, parts: int = 1) -> NDArray[np.int64]:
    """Count the overlapping k-mers of sequences, each cut into equal parts that count apart.

    Lower case counts as upper case, U as T. Windows that hold N or another IUPAC code, and those
    across the border of two parts, are not counted.

    Args:
        sequences: any number of sequences, of any lengths, or of rows of them.
        kmer_size: bases of a k-mer, 1 to 8.
        parts: parts of a sequence; their lengths differ by one base at most.

    Returns:
        Array of shape `(records, columns * parts * 4**kmer_size)`: k-mers in alphabetical order,
        those of the first part of the first sequence first.

    Raises:
        ValueError: kmer_size or parts is out of range, or a letter stands for no nucleotide.

    Example:

        >>> count_kmers(["AACNAA", "acgtu"], kmer_size=1, parts=2).tolist()
        [[2, 1, 0, 0, 2, 0, 0, 0], [1, 1, 0, 0, 0, 0, 1, 2]]
    """
    from sklearn.feature_extraction.text import CountVectorizer

    if not (1 <= kmer_size <= 8 and parts >= 1):
        raise ValueError(
            f"k-mers of {kmer_size} bases in {parts} parts: choose 1 to 8 bases and 1 or more parts"
        )
    vectorizer = CountVectorizer(
        analyzer="char",
        ngram_range=(kmer_size, kmer_size),
        vocabulary=["".join(letters) for letters in product("ACGT", repeat=kmer_size)],
        lowercase=False,
    )
    counts = []
    for texts in sequence_columns(sequences):
        for part in range(parts):
            pieces = [t[len(t) * part // parts : len(t) * (part + 1) // parts] for t in texts]
            counts.append(vectorizer.transform(pieces).toarray())
    return np.hstack(counts)


def check_problem_type(problem_type: str) -> None:
    """Refuse a problem type that does not exist.

    Raises:
        ValueError: it is unknown.
    """
    if problem_type not in get_args(ProblemType):
        raise ValueError(
            f"problem type {problem_type!r}: choose one of {', '.join(get_args(ProblemType))}"
        )


class FloorBaseline:
    """The most frequent class, or the mean of numbers: what is right without reading a record.

    Args:
        problem_type: as of [`KmerBaseline`].

    Raises:
        ValueError: the problem type is unknown.

    Example:

        >>> floor = FloorBaseline().fit(["A", "C", "G", "T"], [0, 1, 1, 1])
        >>> floor.predict(["AC"]).tolist(), floor.predict_proba(["AC"]).tolist()
        ([1], [[0.25, 0.75]])
    """

    def __init__(self, problem_type: ProblemType = "single_label_classification") -> None:
        check_problem_type(problem_type)
        self.problem_type = problem_type

    def fit(
        self, sequences: Sequences, targets: ArrayLike, numbers: ArrayLike | None = None
    ) -> FloorBaseline:
        """Average the targets, in the shapes that [`KmerBaseline.fit`] takes."""
        wanted = np.asarray(targets)
        if self.problem_type == "single_label_classification":
            self.classes, counts = np.unique(wanted, return_counts=True)
            self.mean = counts / len(wanted)
        else:
            self.mean = wanted.mean(0)
            self.classes = np.arange(self.mean.size)
        return self

    def predict_proba(
        self, sequences: Sequences, numbers: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Give each record the frequencies of the classes or labels, `(records, classes)`."""
        return np.tile(self.mean, (len(sequences), 1))

    def predict(self, sequences: Sequences, numbers: ArrayLike | None = None) -> NDArray[Any]:
        """Give each record the most frequent class or labels, or the mean."""
        answer = self.mean
        if self.problem_type == "single_label_classification":
            answer = self.classes[self.mean.argmax()]
        elif self.problem_type == "multi_label_classification":
            answer = (self.mean > 0.5).astype(int)
        return np.broadcast_to(answer, (len(sequences), *np.shape(answer)))


class KmerBaseline:
    """Logistic or ridge regression on the counts of k-mers in equal parts of a sequence.

    Two parts distinguish the left from the right side of a site in the middle. The counts, and
    further numbers of a record if there are any, are standardized on the training records.

    Args:
        kmer_size: bases of a k-mer, 1 to 8.
        parts: equal parts of a sequence with counts of their own.
        problem_type:
            `"single_label_classification"` for two or more classes, `"multi_label_classification"`
            for labels of which several may hold, or `"regression"`; the names of
            [`DNAGPTConfig`]'s `problem_type`.
        C:
            Inverse strength of the penalty on squared weights, as scikit-learn counts it (ridge
            regression has `alpha = 1 / (2 * C)`). By default the best of `CANDIDATES`: by the
            log-loss of three stratified folds, or by the squared error of ridge regression on each
            training record without itself. No single value serves: 0.001 is best on histone marks,
            1 on TATA promoters. Where a class has fewer than three members, it is 0.01.

    Raises:
        ValueError: the problem type is unknown.

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
        check_problem_type(problem_type)
        self.kmer_size = kmer_size
        self.parts = parts
        self.problem_type = problem_type
        self.C = C

    def fit(
        self, sequences: Sequences, targets: ArrayLike, numbers: ArrayLike | None = None
    ) -> KmerBaseline:
        """Fit the regression.

        Args:
            sequences: `(records,)`, or `(records, columns)`.
            targets: classes `(records,)`; 0 or 1 of each label `(records, labels)`; or numbers
                `(records,)` or `(records, targets)`.
            numbers: further numbers of each record, `(records, columns)` or `(records,)`.

        Raises:
            ValueError: labels of which several may hold are not 0 or 1, or scikit-learn refuses
                the arrays: their lengths, numbers that are not finite, a single class.
        """
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        features, wanted = self._features(sequences, numbers), np.asarray(targets)
        if self.problem_type == "multi_label_classification" and not np.isin(wanted, (0, 1)).all():
            raise ValueError("labels of which several may hold are 0 or 1 in a column for each")
        self.pipeline = make_pipeline(StandardScaler(), self._regression(features.shape[1], wanted))
        self.pipeline.fit(features, wanted)
        return self

    @property
    def classes(self) -> NDArray[Any]:
        """Classes of the training records, in the order of the probabilities."""
        return np.asarray(self.pipeline.classes_)

    def predict_proba(
        self, sequences: Sequences, numbers: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Predict the probability of each class or label, `(records, classes)`."""
        return np.asarray(self.pipeline.predict_proba(self._features(sequences, numbers)))

    def predict(self, sequences: Sequences, numbers: ArrayLike | None = None) -> NDArray[Any]:
        """Predict classes, labels or numbers, in the shape of the targets."""
        return np.asarray(self.pipeline.predict(self._features(sequences, numbers)))

    def _features(self, sequences: Sequences, numbers: ArrayLike | None) -> NDArray[np.float64]:
        counts = count_kmers(sequences, self.kmer_size, self.parts).astype(np.float64)
        if numbers is None:
            return counts
        return np.column_stack([counts, np.asarray(numbers, dtype=np.float64)])

    def _regression(self, columns: int, targets: NDArray[Any]) -> Any:
        from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
        from sklearn.model_selection import GridSearchCV, StratifiedKFold
        from sklearn.multiclass import OneVsRestClassifier

        if self.problem_type == "regression":
            alphas = [1 / (2 * C) for C in CANDIDATES]
            return RidgeCV(alphas) if self.C is None else Ridge(1 / (2 * self.C))
        solver = "newton-cholesky" if columns <= _MOST_NEWTON_COLUMNS else "lbfgs"
        model: Any = LogisticRegression(C=self.C or _UNTUNED, solver=solver, max_iter=1000)
        labels = targets.reshape(len(targets), -1).T
        rarest = min(np.unique(label, return_counts=True)[1].min() for label in labels)
        if self.C is None and rarest >= _FOLDS:
            folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
            model = GridSearchCV(model, {"C": CANDIDATES}, scoring="neg_log_loss", cv=folds)
        is_multilabel = self.problem_type == "multi_label_classification"
        return OneVsRestClassifier(model) if is_multilabel else model
