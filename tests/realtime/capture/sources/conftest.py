"""Real recordings and streams, made by a real ffmpeg. Each picture carries its number, so loss and reordering show."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest


class VideoLab:
    """Makes videos whose top row holds the picture's number in black and white squares."""

    bit_side = 16  # pixels
    bits = 8

    def __init__(self) -> None:
        self.exe: str = pytest.importorskip("imageio_ffmpeg", reason="needs a real ffmpeg").get_ffmpeg_exe()

    def ffmpeg(self, *arguments: str | Path, timeout_s: float = 60) -> bytes:
        return subprocess.run(self.command(*arguments), check=True, capture_output=True, timeout=timeout_s).stdout

    def command(self, *arguments: str | Path) -> list[str]:
        return [self.exe, "-y", "-v", "error", "-nostdin", *map(str, arguments)]

    def counting(self, rate: int = 25, seconds: float = 2.0) -> list[str]:
        """Input arguments for numbered pictures, 160x96; the upper half is darker than the lower."""
        number = f"255*mod(floor(N/pow(2,floor(X/{self.bit_side}))),2)"
        row = f"lt(Y,{self.bit_side})*lt(X,{self.bit_side * self.bits})"
        source = f"color=c=gray:s=160x96:r={rate}:d={seconds},format=yuv420p"
        return ["-f", "lavfi", "-i", f"{source},geq=lum='if({row},{number},if(lt(Y,H/2),60,160))':cb=128:cr=128"]

    def number(self, pixels: np.ndarray) -> int:
        """The number drawn into uint8 (H, W, 3)."""
        middle = self.bit_side // 2
        return sum(int(pixels[middle, bit * self.bit_side + middle, 1] > 127) << bit for bit in range(self.bits))


@pytest.fixture(scope="session")
def lab() -> VideoLab:
    return VideoLab()


@pytest.fixture(scope="session")
def counted(lab: VideoLab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 numbered pictures at 25 fps, with B-frames and a keyframe every 10."""
    path = tmp_path_factory.mktemp("video") / "counted.mp4"
    lab.ffmpeg(*lab.counting(), "-c:v", "libx264", "-g", "10", "-bf", "2", path)
    return path
