"""Masklets of `sam2_ros track` become proposals in an annotation project."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from sam2_ros.annotation.annotated_mask import AUTOMATIC, PROMPTED, PROPAGATED, AnnotatedMask
from sam2_ros.annotation.annotated_object import PROPOSED, REJECTED
from sam2_ros.annotation.project import Project, ProjectError
from sam2_ros.recordings import everything, track
from sam2_ros.recordings.masklet_store import MaskletStore
from sam2_ros.recordings.recording import split_fingerprint

BY = "automatic"
"""The annotator of proposals. As it is nobody, anybody may verify them."""


def propose(
    project: Project,
    store: MaskletStore,
    rejected: bool = False,
    by: str = BY,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[int]:
    """Propose all masklets of a run, one action each. Those that the project has from an earlier call are left out, and
    of a project of a stretch the masks beside it.

    Automatic masklets (`--everything`) have automatic masks. Those of a prompted run are prompted on the frame that
    they begin on, and propagated elsewhere.

    Args:
        rejected: also take those that the run has rejected: as rejected ones, with the reason.
        on_progress: called with the numbers of masklets that are done, and of all.

    Returns:
        The IDs that they got in the project.

    Raises:
        ProjectError: the masklets are of another recording, or the run is not complete.
    """
    _check(project, store)
    reasons = store.rejected
    labels, first_frames = store.labels, store.first_frames
    wanted = sorted({*labels, *(reasons if rejected else ())})
    known = {
        action.detail["masklet"]
        for action in project.actions()
        if action.undone_by is None and action.kind == "add" and "masklet" in action.detail
    }
    run = hashlib.sha256(json.dumps(store.run, sort_keys=True).encode()).hexdigest()[:16]
    sizes = store.sizes_by_frame
    automatic = store.pass_state(everything.REVIEW) is not None
    made = []
    for number, object_id in enumerate(wanted):
        on_progress(number, len(wanted))
        if (name := f"{run}/{object_id}") in known:
            continue
        masks = []
        for stored in store.masks_of(object_id):
            if stored.frame not in project.span:
                continue
            begins = stored.frame == first_frames.get(object_id) and stored.present
            origin = AUTOMATIC if automatic else PROMPTED if begins else PROPAGATED
            height, width = sizes[stored.frame]
            masks.append(
                AnnotatedMask(
                    0,
                    stored.frame,
                    height,
                    width,
                    stored.present,
                    stored.presence,
                    stored.iou,
                    stored.counts,
                    origin,
                    0,
                )
            )
        if not masks:  # the project is of a stretch on which it is not
            continue
        made.append(
            project.add_object(
                by,
                labels.get(object_id, ""),
                state=REJECTED if object_id in reasons else PROPOSED,
                masks=masks,
                reason=reasons.get(object_id, ""),
                detail={"masklet": name},
            )
        )
    on_progress(len(wanted), len(wanted))
    return made


def _check(project: Project, store: MaskletStore) -> None:
    """Raise ProjectError if a store is of another recording, or not complete."""
    recording, _ = split_fingerprint(project.fingerprint)  # a stretch has the images of the whole
    if store.run.get("recording") != recording:
        raise ProjectError(f"{store.file} has masklets of another recording; give those of {project.recording_path}")
    passes = [store.pass_state(name) for name in (everything.REVIEW, track.FORWARDS, track.BACKWARDS)]
    begun = [state for state in passes if state is not None]
    if not begun or not all(state.done for state in begun):
        raise ProjectError(f"{store.file} is not complete; start `sam2_ros track` again, which goes on where it was")
