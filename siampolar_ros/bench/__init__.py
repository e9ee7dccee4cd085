"""What the node costs: `siampolar bench --node`."""
