"""Training of siampolar networks (installed as siampolar_training)."""
