"""One run over a recording: everything that can be found in it, or what is prompted."""

from __future__ import annotations

from sam2_ros.acceleration import Network
from sam2_ros.model.sam2 import SAM2
from sam2_ros.recordings.everything import track_everything
from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.recordings.recording import Recording
from sam2_ros.recordings.run_store import Prompted, Search
from sam2_ros.recordings.track import OnProgress, track
from sam2_ros.tracking.tracker import Tracker


def run(
    recording: Recording, what: Search | Prompted, model: SAM2 | Network, store: MaskletStore, on_progress: OnProgress
) -> None:
    """Follow what is asked for; go on where an earlier call was killed.

    Args:
        model: as for `Tracker`.
        store: that of this run (`open_store`).

    Raises:
        PromptError, OSError: as `track`.
    """
    if isinstance(what, Search):
        tracker = Tracker(model, history=1, max_objects=what.max_objects)
        track_everything(recording, tracker, store, what.settings, on_progress=on_progress)
    else:
        objects = {scheduled.prompt.object_id for scheduled in what.prompts}
        tracker = Tracker(model, history=1, max_objects=len(objects))
        track(recording, what.prompts, tracker, store, backward=what.backward, on_progress=on_progress)
