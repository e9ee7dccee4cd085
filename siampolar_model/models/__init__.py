"""What a model is on disk: a folder of files with hashes, and its specification."""
