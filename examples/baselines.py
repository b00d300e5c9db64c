"""Models without a network, which a language model of DNA has to beat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dnagpt_hf.genomes.bases import Bases, normalize_bases

ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]
# inverse penalties, from strong to weak regularization
CANDIDATES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
UNIFORM_LOSS = float(np.log(4))
"""Nats per base of a model that gives each base the probability 1/4."""
_FOLDS = 3
# too few members of a class for folds, and the penalty for that case
_UNTUNED = 1e-2
# the covariance of more columns takes Newton's method longer than L-BFGS takes in all
_MOST_NEWTON_COLUMNS = 2048
_CODES = np.full(256, -1, dtype=np.int64)
_CODES[np.frombuffer(b"ACGT", dtype=np.uint8)] = np.arange(4)


def count_kmers(sequences: Sequence[str], kmer_size: int = 4, parts: int = 1) -> NDArray[np.int64]:
    """Count the overlapping k-mers of sequences, each cut into equal parts that count apart.

    Lower case counts as upper case, U as T. Windows that hold N or another IUPAC code, and those
    across the border of two parts, are not counted.

    Args:
        sequences: any number of sequences, of any lengths.
        kmer_size: bases of a k-mer, 1 to 8.
        parts: parts of a sequence; their lengths differ by one base at most.

    Returns:
        Array of shape `(sequences, parts * 4**kmer_size)`: k-mers in alphabetical order, those of
        the first part first.

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
    texts = [
        normalize_bases(text.encode("latin-1", "replace"), f"sequence {number:,}").tobytes()
        for number, text in enumerate(sequences, start=1)
    ]
    vectorizer = CountVectorizer(
        analyzer="char",
        ngram_range=(kmer_size, kmer_size),
        vocabulary=["".join(letters) for letters in product("ACGT", repeat=kmer_size)],
        lowercase=False,
    )
    counts = []
    for part in range(parts):
        pieces = [t[len(t) * part // parts : len(t) * (part + 1) // parts] for t in texts]
        counts.append(vectorizer.transform(pieces).toarray())
    return np.hstack(counts)


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
        if problem_type not in get_args(ProblemType):
            raise ValueError(
                f"problem type {problem_type!r}: choose one of {', '.join(get_args(ProblemType))}"
            )
        self.kmer_size = kmer_size
        self.parts = parts
        self.problem_type = problem_type
        self.C = C

    def fit(
        self, sequences: Sequence[str], targets: ArrayLike, numbers: ArrayLike | None = None
    ) -> KmerBaseline:
        """Fit the regression.

        Args:
            sequences: `(records,)`.
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

    def predict_proba(
        self, sequences: Sequence[str], numbers: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Predict the probability of each class or label, `(records, classes)`."""
        return np.asarray(self.pipeline.predict_proba(self._features(sequences, numbers)))

    def predict(self, sequences: Sequence[str], numbers: ArrayLike | None = None) -> NDArray[Any]:
        """Predict classes, labels or numbers, in the shape of the targets."""
        return np.asarray(self.pipeline.predict(self._features(sequences, numbers)))

    def _features(self, sequences: Sequence[str], numbers: ArrayLike | None) -> NDArray[np.float64]:
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


class MarkovModel:
    """Frequencies of (order + 1)-mers, smoothed by those of shorter ones.

    The probability of a base behind a context of k bases is
    `(count + concentration * p) / (total + concentration)`, where p is its probability behind the
    last k - 1 of them, and at k = 0 one quarter. Where fewer than `order` bases precede, at the
    start and behind an N, the context is as long as they allow.

    Args:
        order: bases in the longest context.
        concentration: number of observations that the shorter context counts for.

    Raises:
        ValueError: order is negative or above 12, or concentration is not positive.

    Example:

        >>> bases = np.frombuffer(b"ACACACACACAC", dtype=np.uint8)
        >>> model = MarkovModel(order=1).fit([bases])
        >>> bool(model.losses(bases).mean() < UNIFORM_LOSS)
        True
    """

    def __init__(self, order: int = 5, concentration: float = 100.0) -> None:
        if not (0 <= order <= 12 and concentration > 0):
            raise ValueError(
                f"order {order}, concentration {concentration}: choose 0 to 12, and above 0"
            )
        self.order = order
        self.concentration = concentration

    def fit(self, sequences: Iterable[Bases]) -> MarkovModel:
        """Count k-mers in sequences; those with N are left out."""
        counts = [np.zeros((4**k, 4)) for k in range(self.order + 1)]
        for codes in (_CODES[bases] for bases in sequences):
            for count, contexts in zip(counts, self._contexts(codes), strict=True):
                known = (contexts >= 0) & (codes >= 0)
                kmers = 4 * contexts[known] + codes[known]
                count += np.bincount(kmers, minlength=count.size).reshape(-1, 4)
        # (contexts, 4) for each order
        self.probabilities: list[NDArray[np.float64]] = []
        shorter = np.full((1, 4), 0.25)
        for count in counts:
            # the first base of a context is its most significant digit
            prior = np.tile(shorter, (len(count) // len(shorter), 1))
            total = count.sum(1, keepdims=True)
            shorter = (count + self.concentration * prior) / (total + self.concentration)
            self.probabilities.append(shorter)
        return self

    def losses(self, bases: Bases) -> NDArray[np.float64]:
        """Compute the negative log-probability of each base in nats; NaN for N."""
        codes = _CODES[bases]
        likelihoods = np.full(len(codes), np.nan)
        for probabilities, contexts in zip(self.probabilities, self._contexts(codes), strict=True):
            known = (contexts >= 0) & (codes >= 0)
            likelihoods[known] = probabilities[contexts[known], codes[known]]
        return -np.log(likelihoods)

    def _contexts(self, codes: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Number the context before every base for each order; -1 where there is none."""
        contexts = np.zeros_like(codes)
        yield contexts
        for k in range(1, self.order + 1):
            # the base k places back becomes the most significant digit
            before = np.pad(codes, (k, 0), constant_values=-1)[: len(codes)]
            known = (contexts >= 0) & (before >= 0)
            contexts = np.where(known, before * 4 ** (k - 1) + contexts, -1)
            yield contexts
