"""Metrics of several labels per record, for `evaluate.load`."""

from dnagpt_hf.evaluation import metric_modules
from dnagpt_hf.evaluation.metrics import multilabel_metrics


class Multilabel(metric_modules.FunctionMetric):
    """Compute accuracy, F1, MCC, precision, recall, AUROC and average precision of labels.

    Args:
        predictions: list of lists of float: the probability of each label, for each record.
        references: list of lists of int: 0 or 1 for each label.
        names: list of str, optional: the labels' names; by default their numbers, from 0.
        sample_weight: list of float, optional: the weight of each record.

    Returns:
        accuracy, f1, mcc, precision, recall, auroc, auprc: averages over labels; each of them for
        each label, as auroc_NAME; subset_accuracy: share of records without a wrong label.

    Examples:
        >>> import evaluate
        >>> from dnagpt_hf.evaluation.metrics import metric_path
        >>> metric = evaluate.load(str(metric_path("multilabel")))
        >>> predictions, references = [[0.8, 0.2], [0.1, 0.9]], [[1, 0], [1, 1]]
        >>> metric.compute(predictions=predictions, references=references)["subset_accuracy"]
        0.5
    """

    function = staticmethod(multilabel_metrics)
    types = ((metric_modules.NUMBERS, metric_modules.CLASSES),)
