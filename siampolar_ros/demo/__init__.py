"""The demo: a video publisher and the tracker as two processes."""
