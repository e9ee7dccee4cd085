"""How honest a tracker is: calibration of its confidence, boxes on nothing, inexact boxes."""
