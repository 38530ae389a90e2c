"""A workspace and a report at W&B with the same panels (analysis/dashboard/__main__.py)."""

from analysis.dashboard.panels import metrics, patterns

__all__ = ["metrics", "patterns"]
