"""Scores of variants against measured effects, beside a baseline without a model.

    dnagpt variants dnagpt-tiny variants.tsv genome.fa --species R --site -o scored.tsv
    python benchmarks/benchmark_variant_effects.py scored.tsv genome.fa --target class \\
        --positive LOF --negative FUNC
    python benchmarks/benchmark_variant_effects.py scored.tsv genome.fa --target coefficient

The table has the columns of `dnagpt variants`, and the target: classes, for which the area under
the ROC curve is printed (the positive class has the lower scores), or numbers, for which it is
Spearman's correlation. The baseline is a logistic or linear regression on the twelve kinds of
substitution and the GC content of the 101 bases around, in ten-fold cross-validation; "both" adds
the scores to it.
Brackets are 95 % intervals of 1,000 bootstrap samples over the variants.
"""

import argparse
import json

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dnagpt_hf import open_genome
from dnagpt_hf.genomes.bases import gc_content

AROUND = 50


def features(table, genome):
    """Kinds of substitution, one column each, and GC content: `(variants, 13)`."""
    kinds = pd.get_dummies(table["ref"] + table["alt"]).to_numpy(float)
    contigs = genome.contigs
    gc = [
        gc_content(contigs[contig][max(0, position - 1 - AROUND) : position + AROUND])
        for contig, position in zip(table["chrom"], table["pos"], strict=True)
    ]
    return np.column_stack([kinds, gc])


def cross_validated(inputs, target, is_class):
    """Predict each variant by a regression on the others."""
    if is_class:
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        folds = StratifiedKFold(10, shuffle=True, random_state=0)
        return cross_val_predict(model, inputs, target, cv=folds, method="predict_proba")[:, 1]
    model = make_pipeline(StandardScaler(), LinearRegression())
    return cross_val_predict(model, inputs, target, cv=KFold(10, shuffle=True, random_state=0))


def measured(metric, target, predicted):
    """Value of a metric, with its interval."""
    random = np.random.default_rng(0)
    samples = random.integers(len(target), size=(1000, len(target)))
    spread = [metric(target[one], predicted[one]) for one in samples]
    low, high = np.quantile(spread, [0.025, 0.975])
    return [round(float(value), 3) for value in (metric(target, predicted), low, high)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", help="output of dnagpt variants, .tsv")
    parser.add_argument("fasta")
    parser.add_argument("--target", required=True, help="column of classes or numbers")
    parser.add_argument("--positive", help="class with the lower scores")
    parser.add_argument("--negative", help="the other class; variants of further ones are left out")
    parser.add_argument("--keep", help="condition on columns, as 'barcodes >= 10'")
    arguments = parser.parse_args()
    table = pd.read_table(arguments.table)
    if arguments.keep:
        table = table.query(arguments.keep)
    is_class = arguments.positive is not None
    if is_class:
        table = table[table[arguments.target].isin([arguments.positive, arguments.negative])]
        target = (table[arguments.target] == arguments.positive).to_numpy(int)
        metric, sign = roc_auc_score, -1
    else:
        target, sign = table[arguments.target].to_numpy(float), 1
        metric = lambda target, predicted: spearmanr(target, predicted).statistic  # noqa: E731
    columns = [name for name in ("DNAGPT_LLR", "DNAGPT_SITE") if name in table]
    inputs = features(table, open_genome(arguments.fasta))
    scores = table[columns].to_numpy(float)
    found = {
        "variants": len(table),
        "metric": "AUROC" if is_class else "Spearman",
        **({"positive": int(target.sum())} if is_class else {}),
        **{name: measured(metric, target, sign * table[name].to_numpy()) for name in columns},
        "baseline": measured(metric, target, cross_validated(inputs, target, is_class)),
        "both": measured(
            metric, target, cross_validated(np.column_stack([inputs, scores]), target, is_class)
        ),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
