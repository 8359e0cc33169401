"""The checkpoints that Meta released, and their copies on this machine."""

from __future__ import annotations

import logging
from http.client import HTTPException
from pathlib import Path

from sam2_ros.checkpoints.download import DamagedError, checksum, download
from sam2_ros.checkpoints.errors import CheckpointError
from sam2_ros.system.cache import cache_folder, make_folder

log = logging.getLogger("sam2_ros")

RELEASES = "https://dl.fbaipublicfiles.com/segment_anything_2"

# SHA-256 of the released files, as several public projects pin them independently of each other.
OFFICIAL: dict[str, tuple[str, str]] = {
    name: (f"{RELEASES}/{date}/{name}.pt", sha256)
    for name, date, sha256 in (
        ("sam2_hiera_tiny", "072824", "65b50056e05bcb13694174f51bb6da89c894b57b75ccdf0ba6352c597c5d1125"),
        ("sam2_hiera_small", "072824", "95949964d4e548409021d47b22712d5f1abf2564cc0c3c765ba599a24ac7dce3"),
        ("sam2_hiera_base_plus", "072824", "d0bb7f236400a49669ffdd1be617959a8b1d1065081789d7bbff88eded3a8071"),
        ("sam2_hiera_large", "072824", "7442e4e9b732a508f80e141e7c2913437a3610ee0c77381a66658c3a445df87b"),
        ("sam2.1_hiera_tiny", "092824", "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69"),
        ("sam2.1_hiera_small", "092824", "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38"),
        ("sam2.1_hiera_base_plus", "092824", "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5"),
        ("sam2.1_hiera_large", "092824", "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318"),
    )
}
"""Name of a released model -> URL of its checkpoint, and SHA-256 of that file."""


def cached_checkpoint(name: str) -> Path:
    """Path in the cache of the checkpoint of one of Meta's models; it need not exist yet."""
    return cache_folder() / f"{name}.pt"


def fetch_official(name: str) -> Path:
    """Path of the checkpoint of one of Meta's models, downloaded with a progress bar if it isn't cached.

    Its checksum is verified each time: power cuts and full disks leave truncated files, which are downloaded again.

    Raises:
        CheckpointError: it cannot be downloaded, or is not the released file; the message says which file to put where.
        Stopped: the process is ending.
    """
    url, sha256 = OFFICIAL[name]
    try:
        path = cached_checkpoint(name)
    except OSError as error:
        raise CheckpointError(f"There is no place to keep {url}: {error} Or give a `checkpoint`.") from error
    by_hand = f"Put {url} at {path} by hand, or give its path as `checkpoint`."
    try:
        if path.is_file():
            if checksum(path) == sha256:
                return path
            log.warning("%s is damaged, or not the file that was released; downloading it again", path)
        make_folder(path.parent)
        download(url, path, sha256)
    except DamagedError as error:
        raise CheckpointError(f"{url} did not arrive as it was released ({error}). {by_hand}") from error
    except (OSError, HTTPException, ValueError) as error:  # ValueError: a proxy variable holds no valid URL
        raise CheckpointError(f"Cannot fetch {url} ({error}). {by_hand}") from error
    return path
