"""Downloads of genomes from Ensembl and NCBI."""
