"""What a session reports: the event stream and its observers, and the overlay."""
