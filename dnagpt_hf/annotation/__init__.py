"""GFF, GTF and BED: transcripts, sites, negatives, windows, genes with their features."""
