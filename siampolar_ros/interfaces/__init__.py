"""What the tracker node subscribes to, publishes and serves."""
