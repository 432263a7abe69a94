"""Points of body, hands and face: their topology, and the drawing of them."""
