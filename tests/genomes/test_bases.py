"""Letters as bases, the other strand, and GC content."""

import numpy as np

from dnagpt_hf.genomes.bases import gc_content, normalize_bases, reverse_complement


def test_gc_content_leaves_out_n() -> None:
    assert gc_content(normalize_bases(b"GGCANNNNNN")) == 0.75
    assert np.isnan(gc_content(normalize_bases(b"NNN")))


def test_reverse_complement_is_its_own_inverse() -> None:
    bases = normalize_bases(b"ACGTNNACCGT")
    assert reverse_complement(bases).tobytes() == b"ACGGTNNACGT"
    assert reverse_complement(reverse_complement(bases)).tobytes() == bases.tobytes()
    assert reverse_complement(b"AaRyN-") == b"-NrYtT"
