"""Random splits for training, validation and test, without sequences that stand in two of them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnagpt_hf.genomes.bases import reverse_complement
from dnagpt_hf.tasks.sources import SPLITS

# 6 : 1.5 : 2.5, section 3.1 of the paper
FRACTIONS = (0.6, 0.15, 0.25)


def sequence_key(sequences: Sequence[str]) -> bytes:
    """Make a key that equal sequences share, in either letter case and on either strand.

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
    keys: Sequence[bytes], splits: Sequence[str], classes: Sequence[Any] | None = None
) -> dict[str, list[int]]:
    """Find the records to remove so that no sequence stands twice or in two splits.

    Of records with one sequence the first is kept, of records in several splits the first in the
    test split, or else in the validation split, so that measurements stay those of the data.

    Args:
        keys: key of each record's sequences.
        splits: split of each record; the same for all where they have not been split yet.
        classes: class of each record; where one sequence has several, all its records are removed,
            since the right class is not known.

    Returns:
        Indices of records to remove: `within` a split, `across` splits, and `contradictory` ones.

    Example:

        >>> duplicates([b"a", b"a", b"b", b"b"], ["train", "test", "test", "test"])
        {'within': [3], 'across': [0], 'contradictory': []}
    """
    found: dict[str, list[int]] = {"within": [], "across": [], "contradictory": []}
    rank = {split: position for position, split in enumerate(reversed(SPLITS))}
    for indices in _indices_of(keys).values():
        if classes is not None and len({classes[index] for index in indices}) > 1:
            found["contradictory"].extend(indices)
            continue
        kept = min(indices, key=lambda index: rank.get(splits[index], 0))
        for index in indices:
            if index != kept:
                found["within" if splits[index] == splits[kept] else "across"].append(index)
    return {kind: sorted(indices) for kind, indices in found.items()}


def divide(
    count: int,
    *,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    classes: Sequence[Any] | None = None,
    groups: Sequence[Any] | None = None,
) -> NDArray[np.int64]:
    """Split records at random; a pure function of its arguments.

    Args:
        count: number of records.
        fractions: size of each split; they are scaled to a sum of 1.
        seed: of the random order.
        classes: class of each record, which then is as frequent in each split; a class has at
            least as many records as there are splits.
        groups: group of each record, such as its chromosome; a group is not divided. Sizes are met
            as well as groups allow, and classes are ignored.

    Returns:
        Number of the split of each record, `(count,)`.

    Raises:
        ValueError: sizes are negative or not finite, or there are fewer groups than splits.

    Example:

        >>> np.bincount(divide(1000, fractions=(6, 1.5, 2.5))).tolist()
        [600, 150, 250]
    """
    shares = np.asarray(fractions, dtype=float)
    if shares.ndim != 1 or (shares < 0).any() or not shares.sum() > 0:
        raise ValueError(f"split is {list(fractions)}: give sizes of splits, such as [6, 1.5, 2.5]")
    shares = shares / shares.sum()
    generator = np.random.default_rng(seed)
    if groups is not None:
        return _divide_groups(groups, shares, generator)
    splits = np.zeros(count, dtype=np.int64)
    # splits up to each one that get records
    filled = np.cumsum(shares > 0)
    for indices in _indices_of([0] * count if classes is None else classes).values():
        # at least one record in each split, and the others by their shares
        ends = np.round(np.cumsum(shares) * len(indices)).astype(int)
        ends = np.minimum(np.maximum(ends, filled), len(indices) - (filled[-1] - filled))
        order = generator.permutation(len(indices))
        splits[np.asarray(indices)[order]] = np.searchsorted(ends, np.arange(len(indices)), "right")
    return splits


def _divide_groups(
    groups: Sequence[Any], shares: NDArray[Any], generator: np.random.Generator
) -> NDArray[np.int64]:
    """Assign groups, the largest first, to the split that lacks most of its share."""
    of_group = _indices_of(groups)
    needed = int((shares > 0).sum())
    if len(of_group) < needed:
        raise ValueError(
            f"{len(of_group)} groups are too few for {needed} splits, and a split would be empty: "
            "choose another column, or leave group out"
        )
    members = list(of_group.values())
    order = generator.permutation(len(members))
    order = order[np.argsort([-len(members[index]) for index in order], kind="stable")]
    splits = np.zeros(len(groups), dtype=np.int64)
    sizes = np.zeros(len(shares))
    for rank, index in enumerate(order):
        lacking = np.where(shares > 0, shares * len(groups) - sizes, -np.inf)
        empty = (sizes == 0) & (shares > 0)
        # the last groups go to the splits that have none yet
        if empty.sum() >= len(order) - rank:
            lacking[~empty] = -np.inf
        split = int(lacking.argmax())
        splits[members[index]] = split
        sizes[split] += len(members[index])
    return splits


def _indices_of(values: Sequence[Any]) -> Mapping[Any, list[int]]:
    found: dict[Any, list[int]] = defaultdict(list)
    for index, value in enumerate(values):
        found[value].append(index)
    return found
