"""Parts of the node ``target_3d``: outlines and depth in, targets in metres out."""
