"""The terminal picture of a session: a snapshot of data (`OverlayState`) and how it draws itself (`Overlay`)."""

from realtime.overlay.screen import Overlay, render, save_svg
from realtime.overlay.state import EmotionShown, OverlayState, TopAction, TrueEvent, top_actions

__all__ = ["EmotionShown", "Overlay", "OverlayState", "TopAction", "TrueEvent", "render", "save_svg", "top_actions"]
