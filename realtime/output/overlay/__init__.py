"""The terminal picture of a session: a snapshot of data (`OverlayState`) and how it draws itself (`Overlay`)."""

from realtime.output.overlay.screen import Overlay, render, save_svg
from realtime.output.overlay.state import EmotionShown, OverlayState, TopAction, TrueEvent, top_actions

__all__ = ["EmotionShown", "Overlay", "OverlayState", "TopAction", "TrueEvent", "render", "save_svg", "top_actions"]
