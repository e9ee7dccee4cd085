"""Scores of a model on annotated videos."""
