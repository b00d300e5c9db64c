"""A pseudo-random permutation that is computed for each index, so that it needs no memory."""

_MASK = (1 << 64) - 1
_ROUNDS = 4


def permuted(index: int, size: int, key: int) -> int:
    """Permute the numbers of `range(size)`, in another order for each key.

    A Feistel network is a permutation of pairs of half-words for any round function. Where it
    leaves the range it is applied again, which still is a permutation (cycle walking).

    Args:
        index: the number to permute, 0 to size - 1.
        size: count of numbers.
        key: any integer.

    Returns:
        The number at the position `index` of the order.

    Example:

        >>> sorted(permuted(index, 10, key=7) for index in range(10)) == list(range(10))
        True
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    while True:
        left, right = index >> half, index & mask
        for turn in range(_ROUNDS):
            left, right = right, left ^ (_mixed(right + (turn << 32) ^ key) & mask)
        index = left << half | right
        if index < size:
            return index


def _mixed(value: int) -> int:
    """The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): every bit depends on all."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 31
