"""Tell whether the sequences of a task have a strand, which decides on `views: {strands: both}`.

    python benchmarks/benchmark_strand.py sequence label prom_core_all/train.csv tf/0/train.csv

A logistic regression on counts of 4-mers in the two halves of a sequence is trained to tell the
records of one class from their reverse complements, on two thirds of them, and measured on the
others. Each class of each table is a JSON line. An AUROC of about 0.5 means that no strand shows in
these counts; `strands: both` would take away what one above tells.
"""

import argparse
import json
from collections import defaultdict

import numpy as np
from sklearn.metrics import roc_auc_score

from dnagpt_hf.evaluation.kmer_baseline import KmerBaseline
from dnagpt_hf.genomes.bases import reverse_complement
from dnagpt_hf.records.reading import RecordReader


def strand_auroc(sequences: list[str]) -> float:
    """Measure how well sequences can be told from their reverse complements."""
    reverse = [reverse_complement(one.encode()).decode() for one in sequences]
    end = len(sequences) * 2 // 3
    model = KmerBaseline(parts=2).fit([*sequences[:end], *reverse[:end]], [1] * end + [0] * end)
    left = len(sequences) - end
    probabilities = model.predict_proba([*sequences[end:], *reverse[end:]])
    return float(roc_auc_score([1] * left + [0] * left, np.asarray(probabilities)[:, 1]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sequence", help="column of the sequences")
    parser.add_argument("label", help="column of the classes")
    parser.add_argument("tables", nargs="+", help="tables, plain or compressed")
    parser.add_argument("--limit", type=int, default=3000, help="most records of a class")
    arguments = parser.parse_args()
    for table in arguments.tables:
        by_label = defaultdict(list)
        with RecordReader(table) as reader:
            for record in reader:
                of_class = by_label[record.values[arguments.label]]
                if len(of_class) < arguments.limit:
                    of_class.append(record.values[arguments.sequence])
        for label, sequences in sorted(by_label.items()):
            found = {"table": table, "label": label, "records": len(sequences)}
            print(json.dumps({**found, "auroc": round(strand_auroc(sequences), 3)}), flush=True)


if __name__ == "__main__":
    main()
