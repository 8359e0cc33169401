"""Writing of video files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np

from sam2_ros.data.video_decoder import pyav


class VideoWriter:
    """Writes frames, uint8 [H, W, 3] RGB, to an MP4 file (H.264), which all players and browsers support.

    Raises ValueError for another suffix, or if frames differ in size; ImportError without PyAV; OSError.
    """

    def __init__(self, path: str | Path, fps: float) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() != ".mp4":
            raise ValueError(f"{path}: cannot write {self.path.suffix!r} videos, only .mp4")
        av = pyav()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._frame = av.VideoFrame.from_ndarray
        self._output = open(self.path, "wb", buffering=1 << 20)  # noqa: SIM115
        self._file = av.open(self._output, "w", format="mp4")  # given a path, it would not report a full disk
        rate = Fraction(fps).limit_denominator(1001)
        self._stream = self._file.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "18"})
        self._size: tuple[int, int] | None = None

    def write(self, frame: np.ndarray) -> None:
        """Append a frame; the first one sets the size."""
        height, width = frame.shape[:2]
        if self._size is None:
            self._size = self._stream.width, self._stream.height = width, height
            # Chroma at half resolution, which players expect, needs even sides.
            self._stream.pix_fmt = "yuv444p" if width % 2 or height % 2 else "yuv420p"
        if (width, height) != self._size:
            raise ValueError(f"{self.path}: got a frame of size {(width, height)} for a video of size {self._size}")
        self._file.mux(self._stream.encode(self._frame(np.ascontiguousarray(frame), format="rgb24")))

    def close(self) -> None:
        """Complete the file."""
        try:
            if self._size is not None:
                self._file.mux(self._stream.encode())
            self._file.close()
        finally:
            self._output.close()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
