"""Files of haplotypes: VCF and BCF, hapt and legend, NumPy."""
