"""Libraries of the extra `lab`, imported where they are used: the live path needs none of them."""

from __future__ import annotations

import importlib
from typing import Any

from engines.common.errors import BadInput


def need(name: str) -> Any:
    """Import a library of the extra. Raises BadInput: it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing = error.name or name
        raise BadInput("the extra `lab`", f"no library {missing}", "pip install 'manet-live[lab]'") from None
