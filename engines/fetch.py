"""Weights that their authors publish: fetched once into one folder, where a person may also put them by hand."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import platformdirs

from engines.common.digest import digest_file
from engines.common.errors import BadInput
from engines.common.log import log

TIMEOUT_S = 20.0  # without a byte


class Published(NamedTuple):
    """A checkpoint on the web."""

    url: str
    network: str
    licence: str
    sha256: str | None = None  # none: nobody has stated it; the bundle's card notes what came
    settings: tuple[str, ...] = ()  # of the network, where they are not its defaults

    @property
    def name(self) -> str:
        """Of the file."""
        return urlsplit(self.url).path.rpartition("/")[2]


PUBLISHED = {
    "manet": Published(
        "https://huggingface.co/kunli-cs/MANet_weights/resolve/main/MANet/best_top1_acc_epoch_40.pth",
        "manet",
        "The authors (VUT-HFUT/Micro-Action, kunli-cs/MANet_weights) state no licence that we know of for the weights. "
        "They are trained on MA-52, which is for non-commercial scientific purposes only. Cite Guo et al. 2024.",
    )
}


def folder() -> Path:
    """Where fetched checkpoints lie."""
    return platformdirs.user_cache_path("manet-live") / "checkpoints"


def fetch(published: Published) -> Path:
    """The file, fetched unless it is there.

    Raises:
        BadInput: it cannot be reached or written, or has another checksum than the stated one.
    """
    target = folder() / published.name
    if target.exists():
        if published.sha256 not in (None, digest_file(target)):
            raise BadInput(f"SHA-256 {published.sha256}", f"another of {target}", "remove it, and fetch it again")
        return target
    import pooch  # with requests, which nothing else here needs

    log.info("fetching %s", published.url)
    pooch.get_logger().setLevel("WARNING")
    loader = pooch.HTTPDownloader(timeout=TIMEOUT_S)
    known = published.sha256 and f"sha256:{published.sha256}"
    try:
        pooch.retrieve(published.url, known, target.name, target.parent, downloader=loader)
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; ValueError: another checksum
        reason = " ".join(str(error).split())[:120]
        fix = f"download it by hand, put it at {target}, and repeat the command"
        raise BadInput(f"to fetch {published.url}", f"{type(error).__name__} ({reason})", fix) from None
    return target
