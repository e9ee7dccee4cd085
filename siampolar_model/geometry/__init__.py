"""Boxes, square crops and polar outlines: NumPy only."""
