"""A workspace and a report at W&B with the same panels: python -m analysis.dashboard (see __main__.py)."""
