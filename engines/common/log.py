"""What happens while a command or a session runs, for people: one logger for all packages.

Quiet unless a program shows it; the command lines show it on standard error (`command_line.show_log`).
"""

from __future__ import annotations

import logging

log = logging.getLogger("manet_live")
