"""Images through cv_bridge: the same pixels as without it, the same errors, and whatever goes wrong with it.

cv_bridge is not on PyPI. Most tests use a stand-in; where it is installed, as on a robot, it is compared itself, too.
"""

from __future__ import annotations

import array
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import node_log
import numpy as np
import pytest
from rclpy.logging import get_logger
from robot import CLICK, Graph, Robot
from sensor_msgs.msg import CompressedImage, Image

from sam2_ros.data.image_message import ENCODINGS, ImageError, pixels_of
from sam2_ros.ros import image_bridge
from sam2_ros.ros.image_bridge import ImageBridge
from sam2_ros.ros.log import Log

pytestmark = pytest.mark.slow  # each trial takes a second
STAND_INS = Path(__file__).parents[1] / "stand_ins"
LIMIT = 10_000  # pixels


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Puts the stand-in in place of cv_bridge; called with the name of a fault, lets it fail that way."""
    monkeypatch.setenv("PYTHONPATH", f"{STAND_INS}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.syspath_prepend(str(STAND_INS))
    saved = sys.modules.pop("cv_bridge", None)
    yield lambda fault: monkeypatch.setenv("STAND_IN_FAULT", fault)
    sys.modules.pop("cv_bridge", None)
    if saved is not None:
        sys.modules["cv_bridge"] = saved


@pytest.fixture(params=["stand-in", "installed"])
def cv_bridge(request: pytest.FixtureRequest) -> None:
    """Both, one after the other."""
    if request.param == "stand-in":
        request.getfixturevalue("stand_in")
    else:
        pytest.importorskip("cv_bridge", reason="cv_bridge is not on PyPI: run this on a robot")


def tried_bridge() -> ImageBridge:
    bridge = ImageBridge(Log(get_logger("bridge")))
    bridge.wait()
    return bridge


def random_image(noise: np.random.Generator) -> Image:
    """An image of any encoding and size, often broken in one way or another."""

    def pick(usual: int, *unusual: int) -> int:
        return int(noise.choice(unusual)) if noise.random() < 0.1 else usual

    encoding = str(noise.choice([*ENCODINGS, "bgr8", "mono8", "yuv422", "32FC1", "x" * 1000]))
    kind, channels, _ = ENCODINGS.get(encoding, ("u1", 3, None))
    height, width = (int(number) for number in noise.integers(1, 12, 2))
    step = (width + pick(0, 1, 2)) * channels * np.dtype(kind).itemsize
    size = step * height * (3 if encoding.startswith("nv") else 1)
    return Image(
        height=pick(height, 0, 2**31),
        width=pick(width, 0, 2**32 - 1),
        encoding=encoding,
        step=pick(step, step + 1, 0, 1, 2**32 - 1),
        is_bigendian=pick(0, 1),
        data=array.array("B", noise.integers(0, 256, max(0, pick(size, size + 7, size - 1, size - step)), np.uint8)),
    )


def result(read: Callable[..., np.ndarray], image: Image) -> tuple[object, ...]:
    try:
        pixels = read(image, LIMIT)
    except ImageError as error:
        return (str(error),)
    return pixels.dtype, pixels.shape, pixels.tobytes()


def test_same_pixels_and_the_same_errors(cv_bridge: None, monkeypatch: pytest.MonkeyPatch) -> None:
    bridge, read_by_it = tried_bridge(), []
    original = image_bridge.read_by
    monkeypatch.setattr(image_bridge, "read_by", lambda *given: read_by_it.append(given[1]) or original(*given))
    common = {"rgb8", "bgr8", "mono8", "mono16", "bgr16", "bayer_rggb8", "yuv422"}
    assert common <= bridge.encodings and "8UC3" not in bridge.encodings
    for encoding in bridge.encodings:
        image = image_bridge.tried_image(encoding)
        assert np.array_equal(bridge.read(image, LIMIT), pixels_of(image)), encoding
    assert len(read_by_it) == len(bridge.encodings)
    noise = np.random.default_rng(5)
    for _ in range(2000):
        image = random_image(noise)
        assert result(bridge.read, image) == result(pixels_of, image), image
    assert common <= bridge.encodings, "it has failed at none"
    assert len(read_by_it) > 300


def test_compressed_images_are_read_without_it(stand_in) -> None:
    with pytest.raises(ImageError, match="3 bytes of compressed image"):
        tried_bridge().read(CompressedImage(format="jpeg", data=b"abc"), LIMIT)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("crash", "it was built for NumPy 1, and NumPy "),
        ("import", "cv_bridge cannot be imported: libopencv_core.so.406: cannot open"),
    ],
)
def test_unusable_build_is_not_loaded(
    stand_in, graph: Graph, capfd: pytest.CaptureFixture[str], fault: str, reason: str
) -> None:
    stand_in(fault)
    bridge = ImageBridge(Log(get_logger("bridge")))
    log = graph.robot.wait_for_line("cv_bridge is installed but not used, images are read without it")
    assert reason in log and "Traceback" not in log
    bridge.wait()
    assert "cv_bridge" not in sys.modules and not bridge.encodings
    image = image_bridge.tried_image("bgr8")
    assert np.array_equal(bridge.read(image, LIMIT), pixels_of(image))


def test_encodings_with_other_pixels_are_read_without_it(stand_in) -> None:
    stand_in("wrong")
    encodings = tried_bridge().encodings
    assert "bgr8" not in encodings and "rgb8" in encodings


def test_encoding_that_it_fails_at_is_read_without_it(stand_in, capfd: pytest.CaptureFixture[str]) -> None:
    bridge = tried_bridge()
    stand_in("error")
    image = image_bridge.tried_image("bgr8")
    for _ in range(3):
        assert np.array_equal(bridge.read(image, LIMIT), pixels_of(image))
    assert "bgr8" not in bridge.encodings and "rgb8" in bridge.encodings
    log = node_log.written()
    assert log.count("cv_bridge cannot read an image in bgr8: CvBridgeError: no reason") == 1


def test_trial_that_hangs_is_given_up(stand_in, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in("hang")
    started = time.monotonic()
    closed = ImageBridge(Log(get_logger("bridge")))
    closed.close()
    monkeypatch.setattr(image_bridge, "TRIAL_TIMEOUT", 0.1)
    assert not tried_bridge().encodings
    assert time.monotonic() - started < 20


def test_nothing_is_started_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv_bridge", None)
    monkeypatch.setattr(image_bridge, "TRIAL", ())
    bridge = tried_bridge()
    bridge.close()
    assert not bridge.encodings


@pytest.mark.parametrize("use", [True, False])
def test_node_reads_images_with_it(
    stand_in, graph: Graph, robot: Robot, checkpoint: Path, capfd: pytest.CaptureFixture[str], use: bool
) -> None:
    node = graph.sam2(checkpoint=str(checkpoint), use_cv_bridge=use)
    robot.wait_until_connected()
    if use:
        robot.wait_for_line("cv_bridge reads the images in rgb8, bgr8")
    robot.show(0)
    assert robot.prompt(CLICK)[0].accepted
    assert len(robot.show(1).masklets) == 1
    assert ("cv_bridge" in sys.modules) == use and (node._bridge is not None) == use
    node.trigger_deactivate()
    node.trigger_cleanup()
    assert node._bridge is None
