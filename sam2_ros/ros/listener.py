"""Who receives the results of a stream."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from std_msgs.msg import Header

from sam2_ros import msg
from sam2_ros.tracking.masklet import Frame
from sam2_ros.tracking.prompt import Prompt


class Listener(Protocol):
    """Receives the results. Called in the stream's thread."""

    def on_frame(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        """An image was processed. `image` is uint8 [H, W, 3] RGB."""

    def on_answer(self, result: msg.PromptResult, prompt: Prompt) -> None:
        """A prompt was applied or refused. What is refused at once is reported in the thread of whoever prompts."""

    def on_change(self, frame: Frame, header: Header, image: np.ndarray) -> None:
        """Objects on the newest frame have changed, and no newer image waits which will show it."""
