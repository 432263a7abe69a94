"""What an engine may see of a picture: pixels of a person, or landmarks."""
