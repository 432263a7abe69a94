"""Scripted, seated people with ground truth, as a landmark tracker would see them.

`simulation.session.simulate` makes one session in memory; `python -m simulation make` writes one to disk.
"""
