"""Samples: readers of data sets, pairs, augmentation, labels."""
