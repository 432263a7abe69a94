"""Landmark networks: windows of simulated and of real people, augmentation, losses."""
