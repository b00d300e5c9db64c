"""Metrics of one label per record, for `evaluate.load`."""

from dnagpt_hf.evaluation import metric_modules
from dnagpt_hf.evaluation.metrics import classification_metrics


class Classification(metric_modules.FunctionMetric):
    """Compute accuracy, F1, MCC, precision, recall, AUROC and average precision of classes.

    Args:
        predictions: list of lists of float: the probability of each class, for each record.
        references: list of int: the class of each record, from 0.
        positive: int, optional: the positive one of two classes, which precision, recall, F1 and
            the areas refer to. By default, and for more classes, they are averages over all.
        sample_weight: list of float, optional: the weight of each record.

    Returns:
        accuracy, f1, mcc, precision, recall, auroc, auprc. The areas are NaN where the references
        are of a single class.

    Examples:
        >>> import evaluate
        >>> from dnagpt_hf.evaluation.metrics import metric_path
        >>> metric = evaluate.load(str(metric_path("classification")))
        >>> metric.compute(predictions=[[0.8, 0.2], [0.1, 0.9]], references=[0, 1])["mcc"]
        1.0
    """

    function = staticmethod(classification_metrics)
    types = ((metric_modules.NUMBERS, metric_modules.CLASS),)
