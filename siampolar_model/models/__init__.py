"""A model on disk: a folder of files with hashes, and what a tracker must know about it."""
