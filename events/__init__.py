"""Window predictions to micro-action events, and how good such events are. Knows no camera and no process."""
