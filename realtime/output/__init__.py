"""What a session says: the event stream and its outputs, and the overlay."""
