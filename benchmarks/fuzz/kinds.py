"""All kinds of hostile messages and calls."""

from __future__ import annotations

from fuzz.attack import Attack
from fuzz.clicks import Clicks, MouseClicks
from fuzz.compressed_images import CompressedImages
from fuzz.depth import CameraInfos, DepthImages
from fuzz.detections import Detections
from fuzz.everything_calls import EverythingCalls
from fuzz.garbage import Garbage
from fuzz.images import RawImages, Stamps
from fuzz.object_calls import ListCalls, RemoveCalls
from fuzz.parameter_calls import ReadingCalls, SettingCalls
from fuzz.prompts import PromptCalls, Prompts
from fuzz.save_calls import SaveCalls
from fuzz.segment_calls import SegmentCalls
from fuzz.transitions import ImpossibleTransitions

KINDS: tuple[type[Attack], ...] = (
    RawImages,
    CompressedImages,
    Stamps,
    Prompts,
    PromptCalls,
    Clicks,
    MouseClicks,
    Detections,
    DepthImages,
    CameraInfos,
    RemoveCalls,
    ListCalls,
    SegmentCalls,
    EverythingCalls,
    SaveCalls,
    SettingCalls,
    ReadingCalls,
    ImpossibleTransitions,
    Garbage,
)
