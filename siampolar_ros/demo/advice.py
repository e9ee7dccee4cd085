"""What to look at in a demo, in one line."""

CYCLIST = (
    "The cyclist is followed; a van hides him: uncertain, lost, found again. Drag a box around "
    "anything else, such as the motorcycle."
)
OWN = "Drag a box around the object to follow; freeze the picture first if it is fast (space)."
