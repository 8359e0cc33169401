"""A part of a recording, as users say it: --from and --to."""

from __future__ import annotations

from sam2_ros.data.timed_prompt import Moment
from sam2_ros.recordings.recording import Recording


def stretch(recording: Recording, begin: Moment | None, end: Moment | None) -> Recording:
    """The part between two images, both included; None: from the first one, to the last one.

    Raises:
        ValueError: there are no such images; the message names the option.
    """
    bounds = {}
    for option, moment in (("--from", begin), ("--to", end)):
        try:
            bounds[option] = None if moment is None else moment.index(recording.stamps)
        except ValueError as error:
            raise ValueError(f"{option} {moment}: {error}") from error
    first, last = bounds["--from"], bounds["--to"]
    if first is not None and last is not None and last < first:
        raise ValueError(f"--to {end} is before --from {begin}")
    return recording if first is last is None else recording.stretch(first, None if last is None else last + 1)
