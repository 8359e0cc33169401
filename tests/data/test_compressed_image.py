"""Compressed images of every kind that cameras send, unsupported ones, and decompression bombs."""

from __future__ import annotations

import io
import resource
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from sam2_ros.data import compressed_image
from sam2_ros.data.compressed_image import MAX_PIXELS, ImageError, decode_image

NOISE = np.random.default_rng(5)
RGB = cv2.resize(NOISE.integers(0, 256, (6, 8, 3), dtype=np.uint8), (64, 48))  # smooth
GREY = RGB[..., 0].copy()
JPEG = cv2.imencode(".jpg", RGB[..., ::-1])[1].tobytes()
PROGRESSIVE = cv2.imencode(".jpg", RGB[..., ::-1], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
SIDE = 30_000


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, pixels: bytes, *more: bytes, colour: int = 0, interlaced: int = 0) -> bytes:
    """8 bits; `pixels` is compressed, `more` stands before it."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, interlaced))
    return b"".join([b"\x89PNG\r\n\x1a\n", header, *more, chunk(b"IDAT", pixels), chunk(b"IEND", b"")])


def tiff(width: int, height: int, **others: int) -> bytes:
    """8 bits, grey, black, compressed; `others` are tags as t278=1."""
    pixels = zlib.compress(bytes(64 * 48))
    fields = {256: width, 257: height, 258: 8, 259: 8, 262: 1, 273: 122, 277: 1, 278: height, 279: len(pixels)}
    fields |= {int(tag[1:]): value for tag, value in others.items()}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(fields.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(fields)) + entries + bytes(4) + pixels


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_lossless_formats_of_image_transport(kind: str, bits: int, channels: int) -> None:
    """Alpha is dropped, grey stays grey, 16 bits stay 16."""
    pixels = NOISE.integers(0, 2**bits, (48, 64, channels), dtype=f"u{bits // 8}")
    decoded = decode_image(cv2.imencode(f".{kind}", pixels)[1].tobytes())
    np.testing.assert_array_equal(decoded, pixels[..., 0] if channels == 1 else pixels[..., 2::-1])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_kind_of_png(mode: str) -> None:
    picture = Image.fromarray(RGB).convert(mode)
    grey = mode in ("1", "L", "LA")
    decoded = decode_image(saved(picture, "PNG"))
    np.testing.assert_array_equal(decoded, np.array(picture.convert("L" if grey else "RGB")))


@pytest.mark.parametrize("harmless", [compressed_image._MAX_UNCHECKED_BYTES, 0])
@pytest.mark.parametrize(("height", "width"), [(48, 64), (1, 1), (3, 5), (5, 1), (9, 17)])
def test_interlaced_png(height: int, width: int, harmless: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed_image, "_MAX_UNCHECKED_BYTES", harmless)
    pixels = NOISE.integers(0, 256, (height, width), dtype=np.uint8)
    passes = [(0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2), (1, 2, 0, 1)]
    rows = [row for y, dy, x, dx in passes for row in pixels[y::dy, x::dx] if row.size]
    decoded = decode_image(
        png(width, height, zlib.compress(b"".join(b"\0" + bytes(row) for row in rows)), interlaced=1)
    )
    np.testing.assert_array_equal(decoded, pixels)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_blocks": 2}])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_every_kind_of_jpeg(mode: str, options: dict) -> None:
    data = saved(Image.fromarray(RGB).convert(mode), "JPEG", **options)
    decoded = decode_image(data + b"\0\xff" * 500)  # cameras send their buffers whole
    with Image.open(io.BytesIO(data)) as picture:
        difference = decoded.astype(int) - np.array(picture.convert("L" if mode == "L" else "RGB"))
    assert np.abs(difference).max() <= 4


def test_exif_rotation_is_ignored() -> None:
    """Clicks and masklets refer to the stored pixels."""
    for kind in ("JPEG", "PNG"):
        exif = Image.Exif()
        exif[0x0112] = 6
        assert decode_image(saved(Image.fromarray(RGB), kind, exif=exif)).shape == (48, 64, 3)


@pytest.mark.parametrize("data", [JPEG, PROGRESSIVE, png(64, 48, zlib.compress(bytes(65 * 48))), tiff(64, 48)])
def test_truncated_images_are_refused(data: bytes) -> None:
    decode_image(data)
    for length in [*range(64), *range(64, len(data) - 1, len(data) // 50), len(data) - 3]:
        with pytest.raises(ImageError):
            decode_image(data[:length])


def test_damage_is_an_image_error() -> None:
    """Any damage gives a picture or an ImageError, nothing else."""
    for whole in (JPEG, PROGRESSIVE, saved(Image.fromarray(RGB), "PNG"), tiff(64, 48)):
        for _ in range(100):
            data = bytearray(whole)
            for place in NOISE.integers(0, min(len(data), 400), 3):
                data[place] = NOISE.integers(256)
            try:
                decode_image(bytes(data), 10_000)
            except ImageError as error:
                assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("suffix", "name"),
    [
        (".bmp", "BMP"),
        (".gif", "GIF"),
        (".webp", "WebP"),
        (".jp2", "JPEG 2000"),
        (".avif", "AVIF"),
        (".ppm", "PNM"),
        (".pfm", "PFM"),
        (".hdr", "Radiance HDR"),
        (".ras", "Sun raster"),
    ],
)
def test_unsupported_formats_are_named(suffix: str, name: str) -> None:
    pixels = RGB.astype(np.float32) if suffix in (".hdr", ".pfm") else RGB
    try:
        data = cv2.imencode(suffix, pixels)[1].tobytes()
    except cv2.error:
        pytest.skip("OpenCV was built without it")
    with pytest.raises(ImageError, match=f"it is {name}.*; only JPEG, PNG and TIFF are decoded"):
        decode_image(data)


def test_video_stream_is_named() -> None:
    with pytest.raises(ImageError, match=r"it is a video stream \(H.264 or H.265\)"):
        decode_image(b"\0\0\0\x01\x67\x42" + bytes(100))


def with_size(jpeg: bytes, width: int, height: int) -> bytes:
    place = max(jpeg.find(b"\xff\xc0"), jpeg.find(b"\xff\xc2")) + 5
    return jpeg[:place] + struct.pack(">HH", height, width) + jpeg[place + 4 :]


ZEROS = zlib.compress(bytes(2_000_000), 9)
BLACK = zlib.compress(bytes(65 * 48))
BOMBS = {
    "png": (png(SIDE, SIDE, ZEROS), f"{SIDE} x {SIDE} pixels are too many"),
    "png, interlaced": (png(SIDE, SIDE, ZEROS, interlaced=1), "are too many"),
    "png, largest": (png(2**32 - 1, 2**32 - 1, ZEROS), "are too many"),
    "png, a row": (png(2**31 - 1, 1, ZEROS), "are too many"),
    "png, a second header": (png(64, 48, BLACK, png(SIDE, SIDE, ZEROS)[8:33]), "IHDR"),
    "png, no size": (png(0, 48, BLACK), "has no size"),
    "png, chunks": (png(64, 48, BLACK, chunk(b"tEXt", b"") * 200_000), "chunks"),
    "jpeg": (with_size(JPEG, 65_500, 65_500), "65500 x 65500 pixels are too many"),
    "jpeg, progressive": (with_size(PROGRESSIVE, 65_500, 65_500), "are too many"),
    "jpeg, no size": (with_size(JPEG, 64, 0), "has no size"),
    "jpeg, scans": (PROGRESSIVE[:-2] + PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2] * 3000 + b"\xff\xd9", "scans"),
    "jpeg, a second size": (JPEG[:2] + JPEG[JPEG.index(b"\xff\xc0") :][:19] + JPEG[2:], "size twice"),
    "jpeg, segments": (JPEG[:2] + b"\xff\xfe\0\2" * 300_000 + JPEG[2:], "its size is missing"),
    "tiff": (tiff(SIDE, SIDE), "are too many"),
    "tiff, a tile": (tiff(64, 48, t322=65_536, t323=65_536, t324=0), "tiled"),
    "tiff, JPEG inside": (tiff(64, 48, t259=7), "compression"),
    "tiff, 64 bits": (tiff(64, 48, t258=64), "64 bits"),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_decompression_bombs_are_refused_before_they_are_decoded(name: str) -> None:
    data, reason = BOMBS[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ImageError, match=reason):
        decode_image(data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000, "KiB"


def test_other_chunks_of_a_png_are_not_decompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts, colour profiles, frames of an animation, and data behind the last row are skipped unread."""
    text = chunk(b"zTXt", b"bomb\0\0" + ZEROS)
    profile = chunk(b"iCCP", b"bomb\0\0" + ZEROS)
    endless = chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))
    frame = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, SIDE, SIDE, 0, 0, 1, 1, 0, 0))
    decode, seen = cv2.imdecode, []
    monkeypatch.setattr(cv2, "imdecode", lambda data, flags: seen.append(bytes(data)) or decode(data, flags))
    monkeypatch.setattr(compressed_image, "_MAX_UNCHECKED_BYTES", 10_000)
    behind = zlib.compress(bytes(65 * 48 + 50_000_000), 9)  # of a larger file, gigabytes
    for pixels in (BLACK, behind):
        assert decode_image(png(64, 48, pixels, text * 50, profile, endless, frame)).shape == (48, 64)
        assert len(seen[-1]) < 65 * 48 + 500
        assert not any(name in seen[-1] for name in (b"zTXt", b"iCCP", b"acTL", b"fcTL"))


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA"])
def test_large_pngs(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(Image.fromarray(RGB).convert(mode), "PNG")
    small = decode_image(data)
    monkeypatch.setattr(compressed_image, "_MAX_UNCHECKED_BYTES", 0)
    np.testing.assert_array_equal(decode_image(data), small)
    with pytest.raises(ImageError):
        decode_image(data[:-400] + data[-399:])


def test_limit_of_pixels() -> None:
    assert 9568 * 6380 < MAX_PIXELS < 100e6
    data = cv2.imencode(".png", GREY)[1].tobytes()
    assert decode_image(data, 64 * 48).shape == (48, 64)
    with pytest.raises(ImageError, match="64 x 48 pixels are too many; 3071 are allowed"):
        decode_image(data, 64 * 48 - 1)
