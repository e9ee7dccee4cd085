"""Parameters, topics and services of the nodes, from which docs/nodes.md is made."""
