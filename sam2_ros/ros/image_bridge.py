"""Raw images through cv_bridge, where it is installed and reads the same pixels as this package.

cv_bridge is written in C++ for one version of NumPy. With another one it ends the process, at the first image that it
converts, so a process of its own tries it first:

    python -m sam2_ros.ros.image_bridge    # prints the encodings for which both give the same pixels
"""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from sensor_msgs.msg import Image

from sam2_ros.data.image_message import ENCODINGS, Layout, layout_of, pixels_of
from sam2_ros.ros.excerpt import excerpt
from sam2_ros.ros.log import Log

TRIAL = (sys.executable, "-m", "sam2_ros.ros.image_bridge")
TRIAL_TIMEOUT = 60.0
"""Seconds until cv_bridge is given up. It takes one, but a robot starts many things at once."""

TRIED_SIZE = (38, 70)
"""Rows and columns of the images that are tried: even, as for formats with subsampled chroma, and with odd halves."""


class ImageBridge:
    """Reads raw images with cv_bridge, and with this package what cv_bridge doesn't know or fails at. Thread-safe.

    Until cv_bridge has been tried, this package reads all images; the pixels are the same. So are errors, since
    cv_bridge gets only images whose size fits their data.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._bridge: Any = None  # a CvBridge, once it has been tried
        self._encodings: frozenset[str] = frozenset()
        self._closed = False
        self._trial: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        if is_installed():
            pipe = subprocess.PIPE
            try:
                trial = subprocess.Popen(TRIAL, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)
            except OSError as error:  # too little memory, or too many processes
                self._refuse(str(error))
                return
            self._trial = trial
            self._thread = threading.Thread(target=self._finish, args=(trial,), name="cv_bridge", daemon=True)
            self._thread.start()

    @property
    def encodings(self) -> frozenset[str]:
        """The encodings that cv_bridge reads."""
        return self._encodings

    def read(self, message: Any, max_pixels: int) -> np.ndarray:
        """Read the pixels of an image message. Arguments, result and errors are those of `pixels_of`."""
        if self._bridge is None or hasattr(message, "format") or message.encoding not in self._encodings:
            return pixels_of(message, max_pixels)
        if _suits(layout_of(message, max_pixels), message):
            try:
                return read_by(self._bridge, message)
            except Exception as error:
                self._encodings -= {message.encoding}
                self._log.warning(
                    f"cv_bridge cannot read an image in {message.encoding}: {type(error).__name__}: {error}; images in"
                    " this encoding are read without it from now on",
                    kind=message.encoding,
                )
        return pixels_of(message, max_pixels)

    def wait(self, timeout: float | None = None) -> None:
        """Wait until cv_bridge has been tried."""
        if self._thread is not None:
            self._thread.join(timeout)

    def close(self) -> None:
        """End the trial, if it still runs, and use cv_bridge no more."""
        self._closed = True
        if self._trial is not None:
            self._trial.kill()
        self.wait()
        self._bridge = None

    def _finish(self, trial: subprocess.Popen[str]) -> None:
        try:
            output, errors = trial.communicate(timeout=TRIAL_TIMEOUT)
        except subprocess.TimeoutExpired:
            trial.kill()
            trial.communicate()
            self._refuse(f"it did not answer within {TRIAL_TIMEOUT:g} s")
            return
        if self._closed:
            return
        if trial.returncode:
            self._refuse(_reason(trial.returncode, errors))
            return
        try:
            encodings = json.loads(output.splitlines()[-1])
            from cv_bridge import CvBridge

            bridge = CvBridge()
        except Exception as error:
            self._refuse(f"{type(error).__name__}: {error}")
            return
        self._encodings = frozenset(encodings)
        self._bridge = bridge
        others = "this package reads all others"
        self._log.info(f"cv_bridge reads the images in {', '.join(encodings) or 'no encoding'}; {others}")

    def _refuse(self, reason: str) -> None:
        self._log.warning(f"cv_bridge is installed but not used, images are read without it: {reason}")


def is_installed() -> bool:
    """Whether there is a package cv_bridge, working or not."""
    try:
        return importlib.util.find_spec("cv_bridge") is not None
    except (ImportError, ValueError):  # a module without a spec
        return False


def _suits(layout: Layout, message: Any) -> bool:
    """Whether cv_bridge reads an image of a known encoding as this package does.

    It knows neither a step of 0 nor a last row without padding, shears images whose padding is no whole number of
    pixels, cannot swap bytes with NumPy 2, and makes something up where a pixel lacks its half of the chroma.
    """
    return (
        not message.is_bigendian
        and layout.step == message.step
        and layout.step % (layout.channels * layout.number.itemsize) == 0
        and len(message.data) >= layout.step * layout.rows
        and not (layout.channels == 2 and message.width % 2)
    )


def read_by(bridge: Any, message: Any) -> np.ndarray:
    """Read a raw image with a CvBridge: uint8 or uint16, [H, W, 3] RGB or [H, W] grey.

    Raises:
        ValueError: the result is no such image.
    """
    kind, channels, conversion = ENCODINGS[message.encoding]
    target = "passthrough" if conversion is None else {"u1": "rgb8", "u2": "rgb16"}[kind]
    pixels = bridge.imgmsg_to_cv2(message, target)
    size, dtype = (message.height, message.width), np.dtype(kind)
    expected = size if channels == 1 and conversion is None else (*size, 3)
    if not isinstance(pixels, np.ndarray) or pixels.shape != expected or pixels.dtype != dtype:
        raise ValueError(f"it is {getattr(pixels, 'dtype', type(pixels))} {getattr(pixels, 'shape', '')}")
    return pixels


def tried_image(encoding: str, padding: int = 0) -> Image:
    """An image of smooth areas and noise in an encoding, with a number of pixels behind each row."""
    kind, channels, _ = ENCODINGS[encoding]
    height, width = TRIED_SIZE
    noise, dtype = np.random.default_rng(23), np.dtype(kind).newbyteorder("<")
    shape = (height, width + padding, channels)
    values = np.linspace(0, np.iinfo(dtype).max, height * (width + padding) * channels).reshape(shape)
    values[height // 2 :] = noise.integers(0, np.iinfo(dtype).max, values[height // 2 :].shape, endpoint=True)
    data = values.astype(dtype).tobytes()
    return Image(height=height, width=width, encoding=encoding, step=len(data) // height, data=data)


def same_encodings() -> list[str]:
    """The encodings for which cv_bridge gives the same pixels as this package. May end the process."""
    from cv_bridge import CvBridge

    bridge = CvBridge()
    return [encoding for encoding in ENCODINGS if _reads_alike(bridge, encoding)]


def _reads_alike(bridge: Any, encoding: str) -> bool:
    try:
        images = [tried_image(encoding, padding) for padding in (0, 6)]
        return all(np.array_equal(read_by(bridge, image), pixels_of(image)) for image in images)
    except Exception:  # an encoding, or a padding, that one of them does not know
        return False


def _reason(code: int, errors: str) -> str:
    if "compiled using NumPy 1" in errors:
        installed = f"NumPy {np.__version__} is installed"
        return f"it was built for NumPy 1, and {installed}; install numpy<2, or a build of it for NumPy 2"
    lines: Sequence[str] = errors.strip().splitlines() or [""]
    ended = f"with {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
    return excerpt(f"trying it ended {ended}: {lines[-1]}")


def main() -> None:
    try:
        encodings = same_encodings()
    except ImportError as error:
        sys.exit(f"cv_bridge cannot be imported: {error}")
    print(json.dumps(encodings))


if __name__ == "__main__":
    main()
