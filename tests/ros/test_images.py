"""Pixels of image messages, compared with rosbags-image and with images of given colours."""

from __future__ import annotations

import array
import resource
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from rclpy.parameter import Parameter
from robot import CLICK, Graph, Robot, header_of, picture
from rosbags.image import message_to_cvimage
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from sam2_ros import srv
from sam2_ros.data.image_message import ENCODINGS, ImageDecoder, ImageError, mask_of, to_rgb
from sam2_ros.ros.images import to_jpeg, to_message
from sam2_ros.ros.recording import Recording

HEIGHT, WIDTH = 12, 16
NOISE = np.random.default_rng(3)
# rosbags-image leaves the order of their colours open
ALIASES = {"8UC1": "mono8", "8UC3": "bgr8", "8UC4": "bgra8", "16UC3": "bgr16", "16UC4": "bgra16"}


def noise(encoding: str, padding: int = 0) -> Image:
    kind, channels, _ = ENCODINGS[encoding]
    rows = int(HEIGHT * {"nv12": 1.5, "nv21": 1.5, "nv24": 3}.get(encoding, 1))
    step = WIDTH * channels * np.dtype(kind).itemsize + padding
    data = array.array("B", NOISE.integers(0, 256, rows * step, dtype=np.uint8).tobytes())
    return Image(height=HEIGHT, width=WIDTH, encoding=encoding, step=step, data=data)


@pytest.mark.parametrize("encoding", sorted(ENCODINGS.keys() - {"nv24"}))
def test_every_encoding_agrees_with_rosbags_image(encoding: str) -> None:
    image = noise(encoding)
    pixels = to_rgb(image)
    assert pixels.dtype == np.uint8 and pixels.shape == (HEIGHT, WIDTH, 3)
    image.encoding = ALIASES.get(encoding, encoding)
    if encoding in ("nv12", "nv21"):
        image.height = HEIGHT * 3 // 2  # required by rosbags-image, unlike what drivers send
    difference = pixels.astype(int) - message_to_cvimage(image, "rgb8")
    assert np.abs(difference).max() <= 1, "rosbags-image truncates 16 bits, ours rounds"


@pytest.mark.parametrize("encoding", ["rgb8", "bgra8", "mono8", "mono16", "bayer_rggb8", "nv12", "yuyv"])
def test_padded_rows(encoding: str) -> None:
    padded = noise(encoding, padding=7)
    rows = np.frombuffer(padded.data, np.uint8).reshape(-1, padded.step)[:, :-7]
    plain = noise(encoding)
    plain.data = array.array("B", rows.tobytes())
    assert np.array_equal(to_rgb(padded), to_rgb(plain))
    padded.data = padded.data[:-7]  # the last row may come without
    assert np.array_equal(to_rgb(padded), to_rgb(plain))


def test_byte_order() -> None:
    numbers = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH) * 257
    little, big = (
        Image(height=HEIGHT, width=WIDTH, encoding="mono16", is_bigendian=flag, data=numbers.astype(kind).tobytes())
        for flag, kind in ((0, "<u2"), (1, ">u2"))
    )
    assert np.array_equal(to_rgb(little), to_rgb(big))
    assert np.array_equal(to_rgb(little)[..., 0], np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH))


def test_nv24_agrees_with_nv12() -> None:
    """If each four pixels have one colour, as in nv12."""
    sparse = noise("nv12")
    sparse.data = array.array("B", np.clip(np.frombuffer(sparse.data, np.uint8), 16, 235).tobytes())
    brightness, colour = np.split(np.frombuffer(sparse.data, np.uint8).reshape(-1, WIDTH), [HEIGHT])
    colour = colour.reshape(HEIGHT // 2, WIDTH // 2, 2).repeat(2, 0).repeat(2, 1)
    dense = Image(height=HEIGHT, width=WIDTH, encoding="nv24", data=brightness.tobytes() + colour.tobytes())
    assert np.abs(to_rgb(dense).astype(int) - to_rgb(sparse)).max() <= 2


def test_bayer_colours() -> None:
    """Red light falls on the top-left pixel of each four."""
    raw = np.zeros((HEIGHT, WIDTH), np.uint8)
    raw[::2, ::2] = 200
    assert to_rgb(to_message(raw, "bayer_rggb8", Header()))[4, 4].tolist() == [200, 0, 0]
    assert to_rgb(to_message(raw, "bayer_bggr8", Header()))[4, 4].tolist() == [0, 0, 200]


def test_jpeg_and_png_are_decoded() -> None:
    colour = np.full((HEIGHT, WIDTH, 3), (200, 30, 60), np.uint8)
    header = Header(frame_id="eye")
    jpeg = to_jpeg(np.ascontiguousarray(colour[..., ::-1]), header)
    assert jpeg.header == header and np.abs(to_rgb(jpeg).astype(int) - colour).max() < 4
    png = CompressedImage(format="png", data=cv2.imencode(".png", colour[..., 0])[1].tobytes())
    assert np.array_equal(to_rgb(png), np.full((HEIGHT, WIDTH, 3), 200, np.uint8)), "grey ones become RGB, too"


def test_pixels_round_trip_through_a_message() -> None:
    pixels = NOISE.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    message = to_message(pixels, "rgb8", Header(frame_id="eye"))
    assert (message.height, message.width, message.step) == (HEIGHT, WIDTH, 3 * WIDTH)
    assert np.array_equal(to_rgb(message), pixels)
    labels = NOISE.integers(0, 2**16, (HEIGHT, WIDTH), dtype=np.uint16)
    message = to_message(labels, "mono16", Header())
    assert message.step == 2 * WIDTH
    assert np.array_equal(message_to_cvimage(message), labels)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"encoding": "hsv9"}, "'hsv9' is not known; known: rgb8"),
        ({"encoding": ""}, "'' is not known"),
        ({"encoding": "32FC1"}, "looks like depth"),
        ({"height": 0}, "no size"),
        ({"width": 0}, "no size"),
        ({"data": array.array("B")}, "0 bytes instead of 576"),
        ({"data": array.array("B", bytes(575))}, "575 bytes instead of 576"),
        ({"step": 47}, "step is 47 bytes, but a row of 16 pixels in rgb8 takes 48"),
        ({"step": 2**32 - 1}, "cut off"),
        ({"height": 2**32 - 1, "width": 2**30}, "4294967295 pixels are too many"),
        ({"height": 1, "width": 4_000_000_000}, "4000000000 x 1 pixels are too many"),
        ({"height": 2**13, "width": 2**13, "step": 0}, "576 bytes instead of 201326592"),
        ({"height": 2**26, "width": 1, "step": 2**32 - 1}, "cut off"),
        ({"encoding": "uyvy", "width": 15}, "cannot be converted"),
    ],
)
def test_unreadable_image_errors_name_the_problem(change: dict, reason: str) -> None:
    image = noise("rgb8")
    for field, value in change.items():
        setattr(image, field, value)
    with pytest.raises(ImageError, match=reason):
        to_rgb(image)


def test_unreadable_compressed_image_errors_name_the_problem() -> None:
    whole = to_jpeg(np.zeros((HEIGHT, WIDTH, 3), np.uint8), Header()).data
    for data, reason in ((b"", "is empty"), (b"no picture", "no known format"), (bytes(whole[:60]), "cut off")):
        problem = f"{len(data)} bytes of compressed image .'jpeg'. cannot be decoded: .*{reason}"
        with pytest.raises(ImageError, match=problem):
            to_rgb(CompressedImage(format="jpeg", data=data))


def test_foreign_strings_are_shortened_in_errors() -> None:
    """They appear in the log and in results of prompts."""
    endless = "x" * 1_000_000
    images = [Image(encoding=endless), *(CompressedImage(format=form) for form in (endless, f"8UC{'1' * 10**6}; png"))]
    for read, message in [(to_rgb, image) for image in images] + [(mask_of, images[0])]:
        with pytest.raises(ImageError) as caught:
            read(message)
        assert len(str(caught.value)) < 700, "the known encodings are listed"


def test_images_above_the_limit_are_refused() -> None:
    decoder = ImageDecoder(max_pixels=HEIGHT * WIDTH - 1)
    small = to_message(np.zeros((HEIGHT - 1, WIDTH), np.uint8), "mono8", Header())
    assert decoder.to_rgb(small).shape == (HEIGHT - 1, WIDTH, 3)
    jpeg = to_jpeg(np.zeros((HEIGHT, WIDTH, 3), np.uint8), Header())
    for image in (noise("rgb8"), jpeg):
        with pytest.raises(ImageError, match=r"16 x 12 pixels are too many; 191 are allowed .max_image_pixels"):
            decoder.to_rgb(image)


def test_mask_of_grey_image() -> None:
    assert mask_of(noise("mono8")).shape == (HEIGHT, WIDTH)
    with pytest.raises(ImageError, match="must be mono8, not 'mono16'"):
        mask_of(noise("mono16"))


def test_recorded_images_are_decoded_like_live_ones() -> None:
    mosaic = np.full((HEIGHT, WIDTH), 90, np.uint8)
    mosaic[::2, ::2] = 200
    message = CompressedImage(format="bayer_rggb8; png compressed ", data=cv2.imencode(".png", mosaic)[1].tobytes())
    recording = Recording(images={1: message, 2: CompressedImage(format="gif", data=b"GIF89a" + bytes(50))})
    assert np.array_equal(recording.image(1), to_rgb(message)) and recording.image(1)[4, 4].tolist() == [200, 90, 90]
    with pytest.raises(ImageError, match="it is GIF"):
        recording.image(2)


def test_decompression_bomb_does_not_stop_the_node(graph: Graph, robot: Robot, checkpoint: Path, capfd) -> None:
    """It costs neither time nor memory, and other images are processed meanwhile."""
    node = graph.sam2(checkpoint=str(checkpoint), image_transport="compressed", keep_all=True)
    camera = robot.create_publisher(CompressedImage, "image/compressed", 50)
    robot.wait_for(
        lambda: (
            node.cameras[0].inputs._subscriptions and node.cameras[0].inputs._subscriptions[0].get_publisher_count()
        ),
        "for the camera",
    )
    robot.wait_for(camera.get_subscription_count, "for the node")
    robot.wait_for(lambda: robot.count_publishers("sam2/masklets"), "for the node")
    camera.publish(to_jpeg(picture(0), header_of(0)))
    robot.wait_for(lambda: robot.masklets, "for masklets")
    assert robot.call(srv.PromptObject, "sam2/prompt", prompt=CLICK).result.accepted

    side = 9000  # more than max_image_pixels
    bomb = cv2.imencode(".png", np.zeros((side, side), np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for index in range(1, 6):
        camera.publish(CompressedImage(header=header_of(index), format="mono8; png compressed ", data=bomb))
    assert robot.call(srv.ListObjects, "sam2/list").success
    camera.publish(to_jpeg(picture(6), header_of(6)))
    robot.wait_for(lambda: len(robot.masklets) > 1, "for masklets")
    assert robot.masklets[1].header == header_of(6) and len(robot.masklets[1].masklets) == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000, "KiB: it was not decoded"
    robot.wait_for_line("9000 x 9000 pixels are too many")


@pytest.mark.parametrize("range_16bit", ["auto", "7500..8100"])
def test_thermal_images_have_contrast(graph: Graph, robot: Robot, checkpoint: Path, range_16bit: str) -> None:
    node = graph.sam2(checkpoint=str(checkpoint), range_16bit=range_16bit)
    overlay = robot.listen(Image, "sam2/overlay")
    robot.wait_until_connected()
    robot.wait_for(node.cameras[0].outputs.overlay._raw.get_subscription_count, "for the subscription")
    grey = picture(0)[..., 0]
    robot.send(to_message((7600 + grey * np.float64(1.5)).astype(np.uint16), "mono16", header_of(0)))
    robot.wait_for(lambda: overlay, "for the picture")
    values = to_rgb(overlay[0])[..., 0]
    assert np.corrcoef(values.ravel(), grey.ravel())[0, 1] > 0.9 and np.ptp(values) > 150
    (answer,) = node.set_parameters([Parameter("range_16bit", value="full")])
    assert not answer.successful


def test_parameters_of_images_are_checked(graph: Graph) -> None:
    with pytest.raises(ValueError, match=r"'bright' is no range of values; it must be auto, full, or MIN..MAX"):
        graph.sam2(range_16bit="bright")


def test_image_messages_load_neither_opencv_nor_pytorch() -> None:
    code = "import sys, sam2_ros.ros.images; print(*{'torch', 'cv2', 'PIL'} & sys.modules.keys())"
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not completed.stdout.strip()
