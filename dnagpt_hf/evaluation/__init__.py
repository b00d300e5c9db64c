"""Metrics, confidence intervals, reports and figures."""
