"""Parts for training, validation and test: drawn at random, without records that stand in two."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.genomes.bases import reverse_complement
from dnagpt_hf.tasks.columns import PARTS

# 6 : 1.5 : 2.5, section 3.1 of the paper
FRACTIONS = (0.6, 0.15, 0.25)


class ClassTooSmall(ValueError):
    """A class has too few records to be divided; `number` is that of its first one."""

    def __init__(self, problem: str, number: int) -> None:
        super().__init__(problem)
        self.number = number


def sequence_key(sequences: Sequence[str]) -> bytes:
    """A key that is the same for the same sequences, in either letter case and on either strand.

    Example:

        >>> sequence_key(["AACG"]) == sequence_key(["cgtt"])
        True
    """
    key = hashlib.blake2b(digest_size=16)
    for sequence in sequences:
        forward = sequence.upper().replace("U", "T").encode()
        key.update(min(forward, reverse_complement(forward)) + b"\n")
    return key.digest()


def duplicates(
    keys: Sequence[bytes], parts: Sequence[str], classes: Sequence[Any] | None = None
) -> dict[str, list[int]]:
    """Records that must go so that no sequence stands twice or in two parts.

    Of records with one sequence the first is kept, of records in several parts the first in the
    test part, or else in the validation part, so that what is measured stays as it was given.

    Args:
        keys: key of each record's sequences.
        parts: part of each record; the same for all where they have not been divided yet.
        classes: class of each record; where one sequence has several, none of its records is kept,
            since which class is right is not known.

    Returns:
        Numbers of records that go: `within` a part, `across` parts, and `contradictory` ones.

    Example:

        >>> duplicates([b"a", b"a", b"b", b"b"], ["train", "test", "test", "test"])
        {'within': [3], 'across': [0], 'contradictory': []}
    """
    by_key: dict[bytes, list[int]] = {}
    for number, key in enumerate(keys):
        by_key.setdefault(key, []).append(number)
    found: dict[str, list[int]] = {"within": [], "across": [], "contradictory": []}
    rank = {part: place for place, part in enumerate(reversed(PARTS))}
    for numbers in by_key.values():
        if len(numbers) == 1:
            continue
        if classes is not None and len({classes[number] for number in numbers}) > 1:
            found["contradictory"].extend(numbers)
            continue
        kept = min(numbers, key=lambda number: rank.get(parts[number], 0))
        for number in numbers:
            if number != kept:
                kind = "within" if parts[number] == parts[kept] else "across"
                found[kind].append(number)
    return {kind: sorted(numbers) for kind, numbers in found.items()}


def divide(
    count: int,
    *,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    classes: Sequence[Any] | None = None,
    groups: Sequence[Any] | None = None,
) -> NDArray[np.int64]:
    """Divide records at random; a pure function of its arguments.

    Args:
        count: number of records.
        fractions: size of each part; they are made to add up to 1.
        seed: of the random order.
        classes: class of each record, which then is as frequent in each part.
        groups: group of each record, such as its chromosome; a group is not divided. Sizes are met
            as well as groups allow, and classes are not looked at.

    Returns:
        Number of the part of each record, `(count,)`.

    Raises:
        ClassTooSmall: a class has fewer records than there are parts.
        ValueError: sizes are none, or the groups are too few for the parts.

    Example:

        >>> np.bincount(divide(1000, fractions=(6, 1.5, 2.5))).tolist()
        [600, 150, 250]
    """
    shares = np.asarray(fractions, dtype=float)
    if shares.ndim != 1 or (shares < 0).any() or not shares.sum() > 0:
        raise ValueError(f"split is {list(fractions)}: give sizes of parts, such as [6, 1.5, 2.5]")
    shares = shares / shares.sum()
    generator = np.random.default_rng(seed)
    if groups is not None:
        return _divide_groups(groups, shares, generator)
    parts = np.zeros(count, dtype=np.int64)
    of_class: Mapping[Any, list[int]] = _numbers_of(classes if classes is not None else [0] * count)
    needed = int((shares > 0).sum())
    for label, numbers in of_class.items():
        if len(numbers) < needed:
            raise ClassTooSmall(
                f"class {label!r} has {len(numbers)} of {count:,} records, too few for {needed} "
                "parts: add records, leave the class out, or give the parts as files",
                numbers[0],
            )
        # at least one record in each part, and the rest by their shares
        ends = np.round(np.cumsum(shares) * len(numbers)).astype(int)
        ends = np.maximum(ends, np.cumsum(shares > 0))
        left = needed - np.cumsum(shares > 0)
        ends = np.minimum(ends, len(numbers) - left)
        order = generator.permutation(len(numbers))
        parts[np.asarray(numbers)[order]] = np.searchsorted(ends, np.arange(len(numbers)), "right")
    return parts


def _divide_groups(
    groups: Sequence[Any], shares: NDArray[Any], generator: np.random.Generator
) -> NDArray[np.int64]:
    """Largest groups first, each into the part that lacks most of its share."""
    of_group = _numbers_of(groups)
    needed = int((shares > 0).sum())
    if len(of_group) < needed:
        raise ValueError(
            f"{len(of_group)} groups are too few for {needed} parts: choose another column or "
            "divide at random"
        )
    names = list(of_group)
    order = generator.permutation(len(names))
    order = order[np.argsort([-len(of_group[names[place]]) for place in order], kind="stable")]
    parts = np.zeros(len(groups), dtype=np.int64)
    sizes = np.zeros(len(shares))
    for rank, place in enumerate(order):
        lacking = shares * len(groups) - sizes
        lacking[shares == 0] = -np.inf
        empty = (sizes == 0) & (shares > 0)
        if empty.sum() >= len(order) - rank:
            lacking[~empty] = -np.inf
        part = int(lacking.argmax())
        parts[of_group[names[place]]] = part
        sizes[part] += len(of_group[names[place]])
    return parts


def _numbers_of(values: Sequence[Any]) -> dict[Any, list[int]]:
    found: dict[Any, list[int]] = {}
    for number, value in enumerate(values):
        found.setdefault(value, []).append(number)
    return found
