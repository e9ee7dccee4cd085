"""Images as cameras deliver them, and how a crop is cut from them."""
