"""Snapshots of the tracker's state, for other threads than its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from std_msgs.msg import Header

from sam2_ros.ros.stamps import nanoseconds
from sam2_ros.tracking.prompt import Prompt, PromptError

UNKNOWN_SIZE = 2**31
"""Assumed sides of an image that has not arrived yet, pixels: any prompt fits."""


@dataclass(frozen=True)
class ProcessedImage:
    """The header of a processed image, and its size in pixels."""

    header: Header
    height: int
    width: int


@dataclass(frozen=True)
class Snapshot:
    """The images that can be prompted and the objects that are tracked, at one moment."""

    images: Mapping[int, ProcessedImage] = field(default_factory=dict)
    """Processed images by the tracker's stamps, ascending, ns."""
    object_ids: frozenset[int] = frozenset()
    max_objects: int = 1

    @property
    def stamps(self) -> tuple[int, ...]:
        """The tracker's stamps of all images, ascending, ns."""
        return tuple(self.images)

    def find(self, stamp: int) -> int | None:
        """The tracker's stamp of the image with this header stamp, ns; None: there is no such image.

        The two differ if stamps were corrected. Of several images with the same header stamp, the newest counts.
        """
        for tracker_stamp, image in reversed(self.images.items()):
            if nanoseconds(image.header.stamp) == stamp:
                return tracker_stamp
        return stamp if stamp in self.images else None

    def header_of(self, stamp: int) -> Header:
        """The header of the image with this tracker stamp; empty if there is no such image."""
        return self.images[stamp].header if stamp in self.images else Header()

    def too_old(self, stamp: int) -> str | None:
        """Reason to refuse a prompt with this stamp as too late; None: it is not."""
        stamps = self.stamps
        if not stamps or self.find(stamp) is not None or stamp >= stamps[0]:
            return None
        return (
            f"the prompted image is {(stamps[-1] - stamp) / 1e9:.3f} s older than the newest, but the history of"
            f" {len(stamps)} frames reaches back {(stamps[-1] - stamps[0]) / 1e9:.3f} s; prompt a newer image or keep a"
            " longer history"
        )

    def checked(self, prompt: Prompt, stamp: int | None) -> Prompt:
        """A prompt after all checks that need no network.

        Args:
            stamp: stamp of the image, ns; None: it has not arrived, and may have any size.

        Raises:
            PromptError: the prompt cannot be applied.
        """
        if stamp is None or not self.images:
            height, width = (UNKNOWN_SIZE,) * 2 if prompt.mask is None else prompt.mask.shape[:2]
        else:
            match = self.find(stamp)
            image = self.images[min(self.images, key=lambda other: abs(other - stamp)) if match is None else match]
            height, width = image.height, image.width
        prompt = prompt.checked(height, width, may_name=True)
        starts = prompt.object_id not in self.object_ids or prompt.replace
        if starts and prompt.box is None and prompt.mask is None and not any(click.positive for click in prompt.clicks):
            if prompt.object_id and not prompt.replace:
                return prompt  # another waiting prompt may start the object
            raise PromptError("only negative clicks; a new object needs a positive click, a box or a mask")
        return prompt
