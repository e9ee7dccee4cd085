"""The network in torch: needed to train, export and compare, never on a robot."""
