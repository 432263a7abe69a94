"""Received frames to windows, windows to scores, scores to events and emotion estimates."""
