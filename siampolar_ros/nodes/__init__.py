"""The nodes; each file is one executable."""
