"""How fast the tracker is: alone and by stage, beside OpenCV's TrackerNano, and as a node.

``siampolar bench`` (command.py) runs every case in a process of its own (child.py), so that no
runtime disturbs another and none is timed beside a progress bar.
"""
