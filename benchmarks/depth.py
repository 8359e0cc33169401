"""Time for points and boxes: python benchmarks/depth.py [--size 1280x720] [--share 0.1] [--objects 3] [--repeat 200]

Objects of equal size stand side by side before a wall, with noise, holes and flying pixels. On one core, the median is
printed of: points of all objects; their boxes, oriented and axis-aligned; the clouds; and of all that one image takes
with points and oriented boxes. Boxes are compared with the true ones. Processor time counts, of all threads, so
that other programs disturb little. --picture FILE draws the scene instead, as in docs/depth.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from std_msgs.msg import Header

from sam2_ros.geometry.box import axis_aligned, oriented
from sam2_ros.geometry.camera import CameraModel
from sam2_ros.geometry.measured_frame import MeasuredFrame
from sam2_ros.ros import clouds
from sam2_ros.tracking.masklet import Frame, Masklet
from sam2_ros.tracking.object_colours import colour

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from depth_scene import Solid, View, as_measured, turn, view


def scene(camera: CameraModel, share: float, objects: int) -> tuple[View, list[Solid]]:
    """Turned cubes 1.2 m away, each of which covers about `share` of the image, and what a sensor sees of them."""
    side = np.sqrt(share * camera.width * camera.height) / camera.fx * 1.2 * 0.8
    places = (np.arange(objects) - (objects - 1) / 2) * camera.width / camera.fx * 1.2 / objects
    solids = [Solid((float(x), 0.0, 1.2), 3 * (float(side),), turn(20, 30 - 15 * i)) for i, x in enumerate(places)]
    return as_measured(view(*solids, camera=camera)), solids


EDGES = [(a, b) for a in range(8) for b in range(a) if (a ^ b).bit_count() == 1]
"""Pairs of corners of a box that are ends of an edge."""


def picture(seen: View, measured: MeasuredFrame) -> np.ndarray:
    """The scene from the camera and from above, uint8 [H, W, 3] BGR.

    Points that were left out are red, the others have the colours of the objects, and boxes are drawn as edges.
    """
    camera, (height, width) = measured.camera, seen.depth.shape
    far = np.nan_to_num(seen.depth, nan=0.0, posinf=0.0)
    front = cv2.cvtColor(np.uint8(255 - 50 * np.clip(far, 0, 4.5)), cv2.COLOR_GRAY2BGR)
    above = np.full((height, width, 3), 250, np.uint8)
    scale = height / 1.3  # px/m, of 0.8 m to 2.1 m

    def places(points: np.ndarray) -> np.ndarray:
        """Pixels of points, [3, N], seen from above: [N, 2]."""
        return np.int32([points[0] * scale + width / 2, height - (points[2] - 0.8) * scale]).T

    for one in measured.objects:
        mask = one.masklet.mask & (far > 0.8)
        raw, bgr = camera.rays[:, mask] * far[mask], colour(one.masklet.object_id)[::-1]
        for points, ink in ((np.stack([*raw, far[mask]]), (60, 60, 220)), (one.points.xyz, bgr)):
            columns, rows = places(points).T
            inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
            above[rows[inside], columns[inside]] = ink
        front[one.points.window][one.points.pixels] = bgr
        front[mask & ~(front == bgr).all(-1)] = (60, 60, 220)
    for one in measured.objects:
        box, ends = one.oriented, np.array(np.meshgrid(*3 * [[-0.5, 0.5]], indexing="ij")).reshape(3, 8)
        corners = box.centre[:, None] + box.rotation @ (ends * box.size[:, None])
        for canvas, pixels in (
            (front, np.int32(camera.project((corners[:2] / corners[2]).T))),
            (above, places(corners)),
        ):
            for start, end in EDGES:
                cv2.line(canvas, pixels[start].tolist(), pixels[end].tolist(), (20, 20, 20), 2, cv2.LINE_AA)
    return np.hstack([front, above])


def median(function: Callable[[], object], repeat: int) -> float:
    """Milliseconds of all threads of this process together."""
    times = []
    for _ in range(repeat):
        started = time.process_time()
        function()
        times.append(time.process_time() - started)
    return float(np.median(times)) * 1e3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--share", type=float, default=0.1, help="of the image, that each object covers")
    parser.add_argument("--objects", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=200)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    width, height = map(int, options.size.split("x"))
    camera = CameraModel(width, height, 0.72 * width, 0.72 * width, width / 2 - 0.5, height / 2 - 0.5)
    seen, solids = scene(camera, options.share, options.objects)
    masklets = tuple(Masklet(i + 1, "", True, 0.9, 0.9, mask) for i, mask in enumerate(seen.masks))
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    depths = {"16UC1": seen.millimetres, "32FC1": seen.depth}

    def measured(encoding: str = "16UC1") -> MeasuredFrame:
        return MeasuredFrame(Frame(0, height, width, masklets), image, depths[encoding], camera)

    if options.picture:
        drawn = cv2.resize(picture(seen, measured()), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(options.picture), drawn, [cv2.IMWRITE_JPEG_QUALITY, 80])
        return 0

    def whole() -> None:
        frame = measured()
        clouds.to_message(clouds.objects_cloud(frame), Header())
        for one in frame.objects:
            _ = one.oriented, one.points.centroid

    def report(what: str, function: Callable[[], object]) -> None:
        print(f"{what:28} {median(function, options.repeat):6.2f}")

    shares = ", ".join(f"{100 * mask.mean():.1f} %" for mask in seen.masks)
    print(f"{len(solids)} objects of {shares} of {width}x{height}; milliseconds for all of them, one core")
    report("points of 16UC1", lambda: measured("16UC1").objects)
    report("points of 32FC1", lambda: measured("32FC1").objects)
    ready = measured()
    points, number = [one.points.xyz for one in ready.objects], sum(len(one.points) for one in ready.objects)
    report("boxes, oriented", lambda: [oriented(xyz) for xyz in points])
    report("boxes, axis-aligned", lambda: [axis_aligned(xyz) for xyz in points])
    report(f"cloud of {number} points", lambda: clouds.objects_cloud(ready))
    report("cloud and its message", lambda: clouds.to_message(clouds.objects_cloud(ready), Header()))
    report("one image: cloud and boxes", whole)
    for solid, one in zip(solids, ready.objects, strict=True):
        off, size = np.linalg.norm(one.oriented.centre - solid.centre), one.oriented.size.round(3)
        print(f"a box of {size} m, truly {np.round(solid.size, 3)}; its centre is {1000 * off:.0f} mm off")
    return 0


if __name__ == "__main__":
    sys.exit(main())
