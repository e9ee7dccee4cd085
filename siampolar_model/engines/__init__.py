"""Runtimes behind one interface (base.py), one file each."""
