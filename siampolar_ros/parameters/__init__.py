"""Parameters and interfaces of the nodes, as tables."""
