"""Files in and out: videos, bags, JSON Lines."""
