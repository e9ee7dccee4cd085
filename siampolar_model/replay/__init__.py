"""A recorded bag through the node's own session."""
