"""How fast the tracker is: alone and by stage, next to OpenCV's TrackerNano, and as a node.

``siampolar bench`` (cli/bench.py) measures every case in a process of its own (case.py), so that no
runtime disturbs another, and none shares its process with a progress bar.
"""
