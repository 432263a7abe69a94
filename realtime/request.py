"""What the user asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engines.bundle import Bundle
from engines.common.errors import BadInput
from engines.common.new_files import check_new_file
from engines.common.printable import is_text
from realtime.about import About
from realtime.capture.media import MediaFiles, numbered
from realtime.capture.order import ViewSpec
from realtime.capture.sources import RemoteSpec, SourceSpec
from realtime.config import Config
from realtime.latency import ROWS_RECENT

MAX_CAMERAS = 8


@dataclass(frozen=True, slots=True)
class Request:
    """One session, checked as far as that goes without opening anything.

    The place of a source among `sources` is its camera's id. Either all are live or all are recordings.
    """

    sources: tuple[SourceSpec, ...]
    model: str
    config: Config = field(default_factory=Config)
    speed: float | None = 1.0  # recordings: media seconds per second; None: as fast as the engine, nothing skipped
    headless: bool = True  # no overlay is drawn
    consent: str | None = None
    limit_s: float | None = None  # end after this much of the session's clock
    emotion: str | None = None  # model; None: the default one where it fits the view
    record_landmarks: Path | None = None  # new file for them; of several cameras, one each: NAME, NAME-2 ...
    record_video: Path | None = None  # the same for the pictures
    about: About = field(default_factory=About)  # who is interviewed, by whom, where
    control: str | None = None  # local endpoint on which lines set markers
    read_codes: bool = False  # the camera films a screen with codes (realtime/screen)
    latency_rows: int = ROWS_RECENT  # frames and windows whose stamps are kept one by one

    def __post_init__(self) -> None:
        """Check what can be checked without opening anything.

        Raises:
            BadInput: no source, too many, one of them twice, or a consent that is no text.
            ValueError: live sources and recordings together.
        """
        if not 1 <= len(self.sources) <= MAX_CAMERAS:
            raise BadInput(
                f"1 to {MAX_CAMERAS} cameras or recordings", str(len(self.sources)), "run another session for the rest"
            )
        for place, source in enumerate(self.sources):
            if source in self.sources[:place]:
                raise BadInput("each camera or recording once", f"{source.name} twice", "leave one out")
        if self.consent is not None and not is_text(self.consent):
            raise BadInput("--consent in UTF-8", repr(self.consent), "set the terminal to UTF-8")
        if self.record_video is not None and not self.consent:
            raise BadInput("--record-video with --consent", "no consent", "note the consent given, or leave it out")
        if self.record_video is not None and self.record_video.suffix.lower() != ".mp4":
            raise BadInput("a .mp4 file for --record-video", str(self.record_video), "name it NAME.mp4")
        for option, wanted, unable in (
            ("--record-landmarks", self.record_landmarks, [one for one in self.sources if isinstance(one, RemoteSpec)]),
            ("--record-video", self.record_video, [one for one in self.sources if one.tracked]),
        ):
            if wanted is not None and unable:
                raise BadInput(f"{option} of what this machine films or reads", unable[0].name, "record it elsewhere")
        if len({source.live for source in self.sources}) > 1:
            raise ValueError(f"expected live sources or recordings, got both: {self.source_names}")

    @property
    def live(self) -> bool:
        return self.sources[0].live

    @property
    def lossless(self) -> bool:
        """Recordings at full speed: the engine sets the pace and nothing is skipped."""
        return not self.live and self.speed is None

    def view(self, bundles: Sequence[Bundle]) -> ViewSpec:
        """What each camera is asked for, so that these models see it: the one that finds actions first."""
        card, config = bundles[0].card, self.config
        emotions = [one.card for one in bundles[1:]]
        return ViewSpec(
            size=max([card.size, *(one.size for one in emotions if one.sees_body_of(card))]),
            coordinates=any("landmarks" in one.network.inputs for one in (card, *emotions) if one.view == card.view),
            sees=card.view,
            settings=config.view,
            face_size=max((one.pixel_faces for one in emotions), default=0),
            face_margin=config.emotion.face_margin,
            expression=any(not one.pixel_faces for one in emotions),
            preview=not self.headless and config.overlay.picture,
            codes=self.read_codes,
        )

    def media(self, camera_id: int) -> MediaFiles:
        """What this camera's capture process keeps on disk."""
        landmarks, video = (
            str(numbered(path.absolute(), camera_id)) if path is not None else None
            for path in (self.record_landmarks, self.record_video)
        )
        return MediaFiles(landmarks, video, self.consent)

    @property
    def media_files(self) -> list[dict[str, object]]:
        """Of all cameras, as the record names them."""
        return [
            {"camera": camera_id, "kind": kind, "path": path}
            for camera_id in range(len(self.sources))
            for kind in ("landmarks", "video")
            if (path := getattr(self.media(camera_id), kind)) is not None
        ]

    def check_media(self) -> None:
        """Before anything is opened.

        Raises:
            BadInput: something stands where a file is to be recorded, or none can be made there.
        """
        for one in self.media_files:
            path, option = Path(str(one["path"])), f"--record-{one['kind']}"
            if not is_text(str(path)):
                raise BadInput(f"a path in UTF-8 for {option}", repr(path), "name another")
            check_new_file(path, option)
            if path.exists():
                raise BadInput(
                    f"a new file for {option}", f"{path}, which is there", "name another: nothing is overwritten"
                )

    @property
    def source_names(self) -> str:
        """For people: `A.mp4, B.mp4`."""
        return ", ".join(source.name for source in self.sources)
