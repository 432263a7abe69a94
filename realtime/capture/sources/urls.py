"""Stream URLs: which are understood, and how to name them without giving secrets away."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from engines.common.errors import BadInput
from engines.common.printable import is_text

SCHEMES = ("rtsp", "rtsps", "http", "https", "udp", "tcp")
_NEEDS_PORT = ("udp", "tcp")
# Some cameras take credentials as part of the path: /user=admin_password=1234_channel=1
_SECRET_IN_PATH = re.compile(r"(?i)(user|usr|name|pass|passwd|password|pwd|token|key|auth|secret)=[^/&_;]*")


def check_url(url: str) -> SplitResult:
    """The parts of a stream URL.

    Raises:
        BadInput: it is malformed or its scheme is not supported.
    """
    example = "for example rtsp://host/path, http://host:port/path or udp://@:port"
    if not is_text(url):
        raise BadInput("a stream URL in UTF-8", public_name(url), "write other bytes as %XX")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise BadInput("a stream URL", public_name(url), f"write it as scheme://host:port/path, {example}") from None
    if parts.scheme not in SCHEMES:
        what = f"the scheme {parts.scheme!r}" if parts.scheme else f"{public_name(url)!r} without a scheme"
        raise BadInput(f"a stream URL of {', '.join(SCHEMES)}", what, example)
    if any(ord(char) <= 32 for char in url) or (not host and parts.scheme != "udp"):
        raise BadInput("a stream URL with a host", public_name(url), example)
    if parts.scheme in _NEEDS_PORT and not port:
        raise BadInput(f"a {parts.scheme} URL with a port", public_name(url), "add it, as in udp://@:5004")
    return parts


def public_name(url: str) -> str:
    """The URL for people and logs: no user, no password, no query."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        scheme, rest = "", url
    rest, query, _ = rest.partition("?")
    place, slash, path = rest.partition("/")
    place = place.rpartition("@")[2]
    if "@" in path:  # a password with a slash in it: nothing before the @ is safe to show
        place, path = path.rpartition("@")[2], ""
        place, slash, path = place.partition("/")
    path = _SECRET_IN_PATH.sub(r"\1=…", path)
    return f"{scheme}{mark}{place}{slash}{path}{'?…' if query else ''}"


def check_listening(endpoint: str) -> None:
    """Raises BadInput: not tcp://ADDRESS:PORT with a port that has one after it."""
    try:
        parts = urlsplit(endpoint)
        good = parts.scheme == "tcp" and bool(parts.hostname) and 0 < (parts.port or 0) < 65535 and not parts.path
        good = good and is_text(endpoint)
    except ValueError:
        good = False
    if not good:
        raise BadInput(
            "an endpoint to listen on, tcp://ADDRESS:PORT",
            endpoint,
            "for example tcp://0.0.0.0:5570; the port after it is taken, too",
        )


def control_endpoint(endpoint: str) -> str:
    """Where the control socket beside an endpoint for frames is: at the port after it."""
    place, _, port = endpoint.rpartition(":")
    return f"{place}:{int(port) + 1}"
