"""Whether images arrive and the tracker keeps up."""
