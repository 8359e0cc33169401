"""The interface that receives the results of a stream."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.tracking.masklet import Frame
from sam2_ros.tracking.prompt import Prompt


class Listener(Protocol):
    """Receives the results of a stream, in the stream's thread."""

    def on_frame(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        """Handle a processed image. `image` is uint8 [H, W, 3] RGB."""

    def on_answer(self, result: msg.PromptResult, prompt: Prompt) -> None:
        """Handle an applied or refused prompt. Immediate refusals are reported in the thread of the caller."""

    def on_change(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        """Handle a change of objects on the newest frame while no newer image is waiting that would show it."""
