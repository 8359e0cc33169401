"""Time for points and boxes: python benchmarks/depth.py [--size 1280x720] [--share 0.1] [--objects 3] [--repeat 200]

Objects of equal size stand side by side before a wall, with noise, holes and flying pixels. On one core, the median is
printed of: points of all objects; their boxes, oriented and axis-aligned; the clouds; and of all that one image takes
with points and oriented boxes. Boxes are compared with the true ones. Processor time counts, of all threads, so
that other programs disturb little.
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

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from depth_scene import Solid, View, as_measured, turn, view


def scene(camera: CameraModel, share: float, objects: int) -> tuple[View, list[Solid]]:
    """Turned cubes 1.2 m away, each of which covers about `share` of the image, and what a sensor sees of them."""
    side = np.sqrt(share * camera.width * camera.height) / camera.fx * 1.2 * 0.8
    places = (np.arange(objects) - (objects - 1) / 2) * camera.width / camera.fx * 1.2 / objects
    solids = [Solid((float(x), 0.0, 1.2), 3 * (float(side),), turn(20, 30 - 15 * i)) for i, x in enumerate(places)]
    return as_measured(view(*solids, camera=camera)), solids


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
