"""The nodes; each file whose name ends in ``_node`` is one executable."""
