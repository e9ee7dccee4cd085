"""Runtimes behind one interface (base.py), each in its own file."""
