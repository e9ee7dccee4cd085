"""Results of a video in the formats of other tools, one file per format.

Every writer takes one frame at a time and leaves nothing behind unless it was closed: an export
appears whole, or not at all.
"""
