"""Train a DNAGPT to write artificial human genomes, from phased haplotypes.

The 805 SNPs of Yelmen et al. (2021), with a test part of other people, from new weights:

    python examples/finetune_haplotypes.py --haplotypes data.zip/training_data.hapt \
        --test data.zip/test_data.hapt --model dnagpt-tiny --from_scratch --output_dir genomes-805

A region of a phased VCF, without rare variants, with a fifth of the people as test part and a token
for each population that can be asked for later:

    python examples/finetune_haplotypes.py --haplotypes chr15.vcf.gz --region 15:27379578-29650000 \
        --min_maf 0.01 --test 0.2 --populations samples.tsv --model dnagpt-m --output_dir genomes

Every haplotype is `<R>`, its alleles as bases, and a stop symbol as the last token. The loss is
reported in nats and bits per site, on people that are not trained on. Every argument of
`TrainingArguments` works. A run that was stopped goes on from its last checkpoint when the same
command is given again. `dnagpt genomes generate` writes new haplotypes with the result.
"""

import sys
from collections.abc import Sequence

from dnagpt_hf.haplotypes.settings import parse_haplotype_settings
from dnagpt_hf.haplotypes.training import finetune_haplotypes


def main(arguments: Sequence[str]) -> None:
    settings = parse_haplotype_settings(arguments)
    results = finetune_haplotypes(settings)
    if not settings.training.should_save:
        return
    print(f"{settings.training.output_dir}:")
    for part, figures in results.items():
        print(f"{part:>12} {figures['haplotypes']:,} haplotypes of {figures['sites']:,} sites")
        for name, value in figures.items():
            if name not in ("haplotypes", "sites"):
                print(f"{'':>12} {value:.4f} {name.replace('_', ' ')}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ValueError as error:
        sys.exit(f"finetune_haplotypes.py: error: {error}")
