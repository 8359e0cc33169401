"""Hostile depth: images and calibrations that no depth camera should send."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from fuzz import scene
from fuzz.attack import Attack, number, text
from fuzz.prompts import when
from fuzz.rig import Rig
from sam2_ros.ros.images import to_message


class DepthImages(Attack):
    """Depth that cannot be read, of another size, or of no place: NaN, infinity, zero."""

    name = "depth"

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self._depth = rig.publisher(Image, "depth")
        rig.listen(PointCloud2, "points")  # measured only while somebody listens

    @property
    def is_possible(self) -> bool:
        return self._depth.get_subscription_count() > 0

    def send(self, random: np.random.Generator) -> str:
        header = Header(stamp=when(random, self.rig.index), frame_id=text(random))
        shape = [(scene.HEIGHT, scene.WIDTH), (1, 1), (7, 2000), (240, 320)][random.integers(4)]
        if random.random() < 0.5:
            values = random.choice(np.array([np.nan, np.inf, -np.inf, -1, 0, 1e-30, 3e38, 2], np.float32), shape)
            image = Image(encoding="32FC1", step=4 * shape[1])
        else:
            values = random.integers(0, 2**16, shape, np.uint16)
            image = Image(encoding="16UC1", step=2 * shape[1])
        image.header, (image.height, image.width), image.data = header, shape, values.tobytes()
        wrong = random.integers(6)
        if wrong == 0:
            image = to_message(scene.picture(0), "rgb8", header)
        elif wrong == 1:
            image.encoding = text(random)
        elif wrong == 2:
            image.data = image.data[: int(random.integers(len(image.data)))]
        elif wrong == 3:
            image.width, image.height = 2**32 - 1, 2**32 - 1
        elif wrong == 4:
            image.step, image.is_bigendian = int(random.choice([0, 1, 2**32 - 1])), 255
        self._depth.publish(image)
        return f"depth {image.width}x{image.height}, {image.encoding[:20]!r}, step {image.step}"


class CameraInfos(Attack):
    """Calibrations that no camera has."""

    name = "camera_info"

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self._infos = rig.publisher(CameraInfo, "camera_info")

    @property
    def is_possible(self) -> bool:
        return self._infos.get_subscription_count() > 0

    def send(self, random: np.random.Generator) -> str:
        header = Header(stamp=when(random, self.rig.index), frame_id=text(random))
        info = CameraInfo(header=header, height=scene.HEIGHT, width=scene.WIDTH, distortion_model="plumb_bob")
        info.k = [150.0, 0.0, 80.0, 0.0, 150.0, 60.0, 0.0, 0.0, 1.0]
        info.p = [150.0, 0.0, 80.0, 0.0, 0.0, 150.0, 60.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        info.d = [0.0] * 5
        wrong = random.integers(6)
        if wrong == 0:
            info.k[random.integers(9)] = number(random)
        elif wrong == 1:
            info.d = [number(random)] * int(random.choice([0, 1, 5, 8, 15, 50_000]))
        elif wrong == 2:
            info.distortion_model = text(random)
        elif wrong == 3:
            info.k, info.p = [0.0] * 9, [0.0] * 12
        elif wrong == 4:
            info.height, info.width = int(random.choice([0, 1, 2**32 - 1])), int(random.choice([0, 7, 2**32 - 1]))
        self._infos.publish(info)
        return f"camera_info, wrong in {('k', 'd', 'model', 'all zero', 'size', 'nothing')[wrong]}"
