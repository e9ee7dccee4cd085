"""From one image to the next: search crops, states of a target, redetection."""
