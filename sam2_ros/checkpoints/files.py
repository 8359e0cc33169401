"""Files and folders of weights in every format, read without executing or unpacking anything malicious.

The format is recognised by the first bytes, since suffixes are unreliable. Pickles are read with `weights_only=True`.
Sizes are checked first: a small file never makes the reader allocate more memory than a checkpoint of its size needs.
"""

from __future__ import annotations

import io
import json
import pickletools
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from sam2_ros.checkpoints.errors import CheckpointError

FORMATS = (
    "Pass a .pt from Meta or torch.save(model.state_dict()), a .safetensors, a folder of Hugging Face's, or a folder"
    " exported by `python -m sam2_ros.deployment`."
)

MAX_INDEX = 4 << 20
"""Maximum bytes of the index of a file: the pickle beside the tensors of a `.pt`, the header of a safetensors file, the
directory of a zip archive. That of the largest released model has 0.1 MB, 0.5 MB with an optimizer."""

MAX_COMPRESSION = 4
"""Maximum ratio of unpacked to packed size of an archive. `torch.save` does not compress, and weights hardly can be."""

MAX_FOREIGN_CLASSES = 1000
"""Maximum number of classes other than PyTorch's in a checkpoint."""

_ZIP, _ZIP_END, _ZIP_DIRECTORY_END = b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06"
_LEGACY = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""Beginning of the pickles of `torch.save` before PyTorch 1.6, after two bytes for the protocol."""
_LEGACY_PICKLES = 5

_OTHER_FORMATS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a pointer of Git LFS, not the weights themselves; fetch those with `git lfs pull`"),
    (b"<", "a web page, not weights; the download went to another address"),
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"\xfd7zXZ", "compressed with xz; unpack it first"),
    (b"BZh", "compressed with bzip2; unpack it first"),
    (b"(\xb5/\xfd", "compressed with zstd; unpack it first"),
    (b"\x89HDF", "an HDF5 file; save the weights with PyTorch or safetensors"),
    (b"\x93NUMPY", "a NumPy array; save the weights with PyTorch or safetensors"),
    (b"GGUF", "a GGUF file; save the weights with PyTorch or safetensors"),
)

FOLDER_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "average.safetensors",  # of one of our training runs
)
"""Files of weights in a folder, by priority. Without any of them, a single file of any name is accepted."""
FILE_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")


def read_content(path: Path) -> Mapping[Any, Any]:
    """The content of a checkpoint: a mapping with tensors on the CPU by name, possibly nested, among other things.

    Tensors may be memory-mapped views of the file, read at first access.

    Args:
        path: a file, or a folder with one of `FOLDER_FILES`.

    Raises:
        CheckpointError: the file doesn't exist, isn't readable, or is no checkpoint.
    """
    if path.is_dir():
        path = _in_folder(path)
    elif not path.is_file():
        raise CheckpointError(f"{path}: no such file. {FORMATS}")
    if path.suffix == ".json":
        return _read_shards(path)
    try:
        return _read_file(path)
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except Exception as error:  # damaged files make readers raise almost anything
        raise CheckpointError(f"{path}: not a readable checkpoint ({type(error).__name__}). {FORMATS}") from error


def _in_folder(folder: Path) -> Path:
    for name in FOLDER_FILES:
        if (folder / name).is_file():
            return folder / name
    try:
        files = sorted(file for file in folder.iterdir() if file.is_file())
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be read ({error.strerror}).") from error
    weights = [file for file in files if file.suffix in FILE_SUFFIXES]
    if len(weights) == 1:
        return weights[0]
    if weights:
        names = ", ".join(file.name for file in weights[:5])
        raise CheckpointError(f"{folder}: holds {len(weights)} files of weights ({names}). Give one of them.")
    if any(file.suffix == ".onnx" for file in files):
        raise CheckpointError(
            f"{folder}: holds ONNX graphs and no weights for PyTorch. load_model and the node run those that"
            " sam2_ros.deployment has exported; else give the checkpoint that they were exported from."
        )
    snapshots = sorted(folder.glob("snapshots/*"))
    if len(snapshots) == 1:  # Hugging Face's cache
        return _in_folder(snapshots[0])
    inside = f"it holds {', '.join(file.name for file in files[:5])}" if files else "it holds no files"
    raise CheckpointError(f"{folder}: no weights in this folder, no model.safetensors for instance; {inside}.")


def _read_shards(index: Path) -> dict[str, Tensor]:
    """Tensors of a sharded checkpoint; Hugging Face's `*.index.json` has the file of each tensor, beside it."""
    try:
        if index.stat().st_size > MAX_INDEX:
            raise ValueError("too large")
        places = json.loads(index.read_bytes())["weight_map"]
        shards = sorted(set(places.values()))
        if not all(isinstance(name, str) and name == Path(name).name for name in shards):
            raise ValueError("names of files expected")
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{index}: not a readable index of weights ({type(error).__name__}: {error}).") from error
    found: dict[str, Tensor] = {}
    for shard in shards:
        if not (index.parent / shard).is_file():
            raise CheckpointError(f"{index.parent / shard}: no such file, but {index.name} lists it.")
        content = read_content(index.parent / shard)
        found |= {key: content[key] for key, place in places.items() if place == shard and key in content}
    missing = [key for key in places if key not in found]
    if missing:
        raise CheckpointError(f"{index.parent / places[missing[0]]}: lacks {missing[0]}, which {index.name} lists.")
    return found


def _read_file(file: Path) -> Mapping[Any, Any]:
    with open(file, "rb") as opened:
        start = opened.read(64)
    size = file.stat().st_size
    if start.startswith(_ZIP):
        return _read_zip(file, size)
    if start[2:].startswith(_LEGACY):
        return _read_legacy(file)
    if len(start) > 8 and start[8:9] == b"{":
        return _read_safetensors(file, start, size)
    if not start:
        raise CheckpointError(f"{file}: not a readable checkpoint, it is empty. {FORMATS}")
    for head, description in _OTHER_FORMATS:
        if start.lstrip().startswith(head):
            raise CheckpointError(f"{file}: not a readable checkpoint but {description}.")
    if file.suffix == ".onnx":
        raise CheckpointError(f"{file}: an ONNX graph, not weights. Give the folder that sam2_ros.deployment exported.")
    if start.startswith(b"\x80"):
        raise CheckpointError(f"{file}: not a readable checkpoint but a pickle that torch.save has not made. {FORMATS}")
    raise CheckpointError(f"{file}: not a readable checkpoint, neither PyTorch's nor safetensors. {FORMATS}")


def _read_safetensors(file: Path, start: bytes, size: int) -> dict[str, Tensor]:
    (header,) = struct.unpack("<Q", start[:8])
    if header > min(MAX_INDEX, size):
        raise CheckpointError(f"{file}: not a readable checkpoint, its header has {header} bytes.")
    with safe_open(file, framework="pt", device="cpu") as opened:
        return {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118 - it isn't a mapping


def _read_zip(file: Path, size: int) -> Mapping[Any, Any]:
    """A file of `torch.save`, checked before PyTorch reads it: PyTorch allocates whatever the archive declares."""
    _check_directory(file, size)
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if any(name.endswith("/constants.pkl") for name in names):
        raise CheckpointError(f"{file}: a TorchScript program, not weights. Save model.state_dict() instead.")
    if not any(name.endswith("data.pkl") for name in names):
        inside = ", ".join(names[:3])
        raise CheckpointError(f"{file}: a zip archive that torch.save has not made, with {inside}. Unpack it first.")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MAX_COMPRESSION * size:
        raise CheckpointError(
            f"{file}: not a readable checkpoint, {size} bytes that would unpack to {unpacked}. Weights cannot be"
            " compressed so much."
        )
    index = max(entry.file_size for entry in entries if entry.filename.endswith("data.pkl"))
    if index > MAX_INDEX:
        raise CheckpointError(f"{file}: not a readable checkpoint, beside its tensors there are {index} bytes.")
    # Memory-mapped, only tensors that are used are read, not an optimizer's for instance. Compressed ones can't be.
    stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    return _unpickled(
        file, mmap=stored and file.suffix != ".safetensors"
    )  # a suffix by which PyTorch chooses another reader


def _check_directory(file: Path, size: int) -> None:
    """Raise CheckpointError if a zip archive's directory is truncated or huge; `zipfile` would read all of it."""
    with open(file, "rb") as opened:
        opened.seek(max(0, size - (1 << 16) - 22 - 56 - 20))
        tail = opened.read()
    end = tail.rfind(_ZIP_END)
    if end < 0 or len(tail) < end + 22:
        raise CheckpointError(f"{file}: not a readable checkpoint, its end is missing. Copy or download it again.")
    (length,) = struct.unpack_from("<L", tail, end + 12)
    long = tail.rfind(_ZIP_DIRECTORY_END, 0, end)
    if length == 0xFFFFFFFF and long >= 0:
        (length,) = struct.unpack_from("<Q", tail, long + 40)
    if length > MAX_INDEX:
        raise CheckpointError(f"{file}: not a readable checkpoint, its directory has {length} bytes.")


def _read_legacy(file: Path) -> Mapping[Any, Any]:
    """A file of `torch.save` before PyTorch 1.6: pickles, and then tensors."""
    with open(file, "rb") as opened:
        start = io.BytesIO(opened.read(MAX_INDEX))
    try:
        for _ in range(_LEGACY_PICKLES):
            for _ in pickletools.genops(start):
                pass
    except ValueError as error:
        raise CheckpointError(
            f"{file}: not a readable checkpoint, its pickles are damaged or have more than {MAX_INDEX} bytes."
        ) from error
    return _unpickled(file, mmap=False)


class _Inert:
    """Placeholder of an object that is not part of the weights: a trainer's settings, a NumPy number."""

    def __new__(cls, *args: object, **kwargs: object) -> _Inert:
        return object.__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def refuse_pickled_model(file: Path, content: object) -> None:
    """Raise CheckpointError if a checkpoint without named weights holds a whole pickled model."""
    for value in (content, *(content.values() if isinstance(content, Mapping) else ())):
        if isinstance(value, _Inert):
            raise CheckpointError(
                f"{file}: not a readable checkpoint but a whole pickled model ({type(value).__name__}). Reading it"
                " would run foreign code. Where it was made, save its weights: torch.save(model.state_dict(), ...)."
            )


def _unpickled(file: Path, mmap: bool) -> Mapping[Any, Any]:
    try:
        content = _load(file, mmap)
    except Exception as error:
        try:
            foreign = torch.serialization.get_unsafe_globals_in_checkpoint(str(file))
        except Exception:  # written before PyTorch 1.6, or damaged
            raise error from None
        if not foreign or len(foreign) > MAX_FOREIGN_CLASSES:
            raise
        # None of these classes is imported, instantiated or called: inert placeholders stand in for them.
        inert: list[Any] = [(type(name, (_Inert,), {}), name) for name in foreign if name != "collections.defaultdict"]
        with torch.serialization.safe_globals([*inert, (_empty, "collections.defaultdict")]):
            content = _load(file, mmap)
    if not isinstance(content, Mapping):
        refuse_pickled_model(file, content)
        content_type = (
            f"a tensor {tuple(content.shape)}" if isinstance(content, Tensor) else f"a {type(content).__name__}"
        )
        raise CheckpointError(f"{file}: holds no weights but {content_type}. {FORMATS}")
    return content


def _load(file: Path, mmap: bool) -> Any:
    if mmap:
        return torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    with open(file, "rb") as opened:
        return torch.load(opened, map_location="cpu", weights_only=True)


def _empty(*_: object) -> dict:
    return {}
