"""Training examples: labelled clips, drawings of simulated interviews, emotion windows."""
