"""Scripts that are neither product nor benchmark."""
