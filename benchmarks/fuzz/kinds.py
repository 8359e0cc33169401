"""All kinds of hostile messages and calls."""

from __future__ import annotations

from fuzz.attack import Attack
from fuzz.clicks import Clicks, MouseClicks
from fuzz.compressed_images import CompressedImages
from fuzz.garbage import Garbage
from fuzz.images import RawImages, Stamps
from fuzz.object_calls import ListCalls, RemoveCalls
from fuzz.parameter_calls import ReadingCalls, SettingCalls
from fuzz.prompts import PromptCalls, Prompts
from fuzz.transitions import ImpossibleTransitions

KINDS: tuple[type[Attack], ...] = (
    RawImages,
    CompressedImages,
    Stamps,
    Prompts,
    PromptCalls,
    Clicks,
    MouseClicks,
    RemoveCalls,
    ListCalls,
    SettingCalls,
    ReadingCalls,
    ImpossibleTransitions,
    Garbage,
)
