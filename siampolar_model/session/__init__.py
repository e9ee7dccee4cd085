"""How a stream of images meets the tracker: the newest wins, late inits catch up."""
