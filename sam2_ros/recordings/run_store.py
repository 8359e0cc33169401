"""The store of a run in its output folder: it names what the masklets depend on, so that only the same run goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sam2_ros.acceleration import Network
from sam2_ros.model.sam2 import SAM2
from sam2_ros.recordings.everything import AutomaticMaskletSettings
from sam2_ros.recordings.masklet_store import MaskletStore, OtherRunError, forget
from sam2_ros.recordings.prompts import ScheduledPrompt
from sam2_ros.recordings.recording import Recording
from sam2_ros.recordings.sole_use import sole_use
from sam2_ros.recordings.track import BACKWARDS

STORE = "masklets.db"
"""The masklets in the output folder."""

EVERYTHING = "everything"


@dataclass(frozen=True)
class Search:
    """Everything is to be found."""

    settings: AutomaticMaskletSettings
    max_objects: int
    """Objects that are followed at once."""


@dataclass(frozen=True)
class Prompted:
    """Prompts are to be followed."""

    prompts: Sequence[ScheduledPrompt]
    backward: bool
    """Also to the first image."""


@contextmanager
def open_store(
    out: Path,
    recording: Recording,
    what: Search | Prompted,
    model: SAM2 | Network,
    weights: str,
    restart: bool = False,
) -> Iterator[MaskletStore]:
    """The masklets of a run in its output folder, which is made if it is missing. No other process uses it meanwhile.

    Args:
        recording: the recording, or the stretch of it that is tracked.
        weights: `weights_digest` of the model.
        restart: forget what is there.

    Raises:
        ValueError: the folder can't be made, or holds another run; the message says what to do.
        OSError: the store cannot be written, or another process works on it.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror if out.is_dir() or not out.exists() else "it is no folder"
        raise ValueError(f"{out}: {reason}; choose another folder with --out") from error
    file = out / STORE
    with sole_use(out):
        if restart:
            forget(file)
        try:
            store = MaskletStore(file, _run(recording, what, model, weights))
        except OtherRunError as error:
            raise ValueError(f"{error}; --restart forgets it, --out chooses another folder") from error
        with store:
            if isinstance(what, Prompted) and not what.backward and store.pass_state(BACKWARDS) is not None:
                raise ValueError(
                    f"{out} holds masklets that were followed backwards; --restart forgets them, or choose --out"
                )
            yield store


def weights_digest(model: SAM2 | Network, checkpoint: Path | None) -> str:
    """A hash of the weights; of exported graphs, of their files."""
    digest = hashlib.sha256()
    if isinstance(model, SAM2):
        for name, tensor in model.state_dict().items():
            digest.update(name.encode() + tensor.detach().float().cpu().numpy().tobytes())
    elif checkpoint is not None:
        for file in sorted(checkpoint.expanduser().iterdir()):
            if file.is_file():
                digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:32]


def _run(recording: Recording, what: Search | Prompted, model: SAM2 | Network, weights: str) -> dict[str, object]:
    """What the masklets depend on."""
    search = what if isinstance(what, Search) else None
    prompts = what.prompts if isinstance(what, Prompted) else ()
    return {
        "recording": recording.content(),
        "images": [recording.span.start, recording.span.stop],
        "prompts": EVERYTHING if search else [_described(scheduled) for scheduled in prompts],
        "search": {**asdict(search.settings), "max_objects": search.max_objects} if search else None,
        "model": [model.config.name, weights],
        "size of the input": [model.config.image_size, model.config.aspect],
        "device": model.device.type,
    }


def _described(scheduled: ScheduledPrompt) -> dict[str, object]:
    """A prompt as JSON; its mask as a hash."""
    prompt = scheduled.prompt
    mask = None if prompt.mask is None else hashlib.sha256(np.packbits(prompt.mask).tobytes()).hexdigest()
    return {
        "frame": scheduled.frame,
        "object_id": prompt.object_id,
        "label": prompt.label,
        "clicks": [list(click) for click in prompt.clicks],
        "box": None if prompt.box is None else list(prompt.box),
        "mask": mask,
        "replace": prompt.replace,
    }
