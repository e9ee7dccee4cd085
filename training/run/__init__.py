"""The training itself: module, losses, checkpoints, logs."""
