"""Pictures of results: outlines drawn on an image, and label images."""
