"""How a node runs: life cycle, recovery, timers, processes."""
