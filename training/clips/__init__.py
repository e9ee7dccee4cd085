"""Generated clips that a model is scored on."""
