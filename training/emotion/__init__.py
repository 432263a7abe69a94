"""The face and micro-action network (MANet paper, section VI): its data, its training, its scores."""
