"""Metrics of numbers of records, for `evaluate.load`."""

from dnagpt_hf.evaluation import metric_modules
from dnagpt_hf.evaluation.metrics import regression_metrics


class Regression(metric_modules.FunctionMetric):
    """Compute r², Pearson and Spearman correlation, mean squared and mean absolute error.

    Args:
        predictions: list of float, or list of lists of float: the predicted number or numbers.
        references: the true ones, in the same form.
        names: list of str, optional: the names of several numbers; by default their indices.
        sample_weight: list of float, optional: the weight of each record.

    Returns:
        r2, pearson, spearman, mse, mae; of several numbers their averages, and each of them for
        each number, as r2_NAME.

    Examples:
        >>> import evaluate
        >>> from dnagpt_hf.evaluation.metrics import metric_path
        >>> metric = evaluate.load(str(metric_path("regression")))
        >>> metric.compute(predictions=[0.5, 1.0, 1.5], references=[0.0, 1.0, 2.0])["r2"]
        0.75
    """

    function = staticmethod(regression_metrics)
    types = (
        (metric_modules.NUMBER, metric_modules.NUMBER),
        (metric_modules.NUMBERS, metric_modules.NUMBERS),
    )
