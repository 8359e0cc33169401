"""The definitions of message types, so that whoever reads a recording needs nothing else."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosidl_parser.definition import (
    AbstractGenericString,
    AbstractNestedType,
    AbstractWString,
    Array,
    BasicType,
    BoundedSequence,
    BoundedString,
    BoundedWString,
    NamespacedType,
    UnboundedSequence,
)

_SEPARATOR = "\n" + "=" * 80 + "\n"
_BASIC = {"boolean": "bool", "octet": "byte", "float": "float32", "double": "float64"}


def message_class(kind: str) -> type:
    """The Python class of a message type, such as std_msgs/msg/Header, also of those inside services and actions.

    Raises:
        ImportError: it is not installed here.
    """
    try:
        package, folder, name = kind.split("/")
    except ValueError:
        raise ImportError(f"{kind} is not the name of a message type") from None
    module = import_module(f"{package}.{folder}")
    if folder == "srv" and name.endswith("_Event"):
        return getattr(_member(module, name.removesuffix("_Event"), kind), "Event")  # noqa: B009
    if folder == "action" and name.endswith("_FeedbackMessage"):
        return _member(module, name.removesuffix("_FeedbackMessage"), kind).Impl.FeedbackMessage
    return _member(module, name, kind)


def definition(kind: str, type_hash: str = "") -> tuple[str, str]:
    """The definition of a type and of all that it refers to, as a ros2msg schema; and its hash.

    Where its .msg file is not installed, as with types from .idl files and those inside services and actions, or is
    another version's, it is written from the Python class, without constants, defaults and comments.

    Args:
        kind: the type, `package/msg/Name`.
        type_hash: RIHS01_..., as the publisher has it. Empty: nobody knows.

    Returns:
        The hash is empty where rosbags, which refuses bags for wrong ones, finds another or none.

    Raises:
        ImportError: one of the types is not installed here.
    """
    text = _assembled(kind, _file)
    if not type_hash or _hash(text, kind) == type_hash:
        return text, type_hash
    written = _assembled(kind, lambda name: None)
    return (written, type_hash) if _hash(written, kind) == type_hash else (text, "")


def _hash(text: str, kind: str) -> str:
    try:
        types = get_typestore(Stores.EMPTY)
        types.register(get_types_from_msg(text, kind))
        return types.hash_rihs01(kind)
    except Exception:  # services' and actions' types have other names there
        return ""


def _assembled(kind: str, read: Callable[[str], str | None]) -> str:
    texts: dict[str, str] = {}
    waiting = [(kind, message_class(kind))]
    while waiting:
        name, message = waiting.pop(0)
        if name in texts:
            continue
        texts[name] = read(name) or _written(message)
        for slot in message.SLOT_TYPES:
            inner = slot.value_type if isinstance(slot, AbstractNestedType) else slot
            if isinstance(inner, NamespacedType):
                waiting.append(("/".join(inner.namespaced_name()), _class_of(inner)))
    main, *others = texts
    parts = [f"MSG: {_short(name)}\n{texts[name]}" for name in others]
    return _SEPARATOR.join([texts[main].rstrip("\n"), *(part.rstrip("\n") for part in parts)]) + "\n"


def _member(module: object, name: str, kind: str) -> type:
    if (found := getattr(module, name, None)) is None:
        raise ImportError(f"{kind} is not in the package that is installed here")
    return found


def _class_of(slot: NamespacedType) -> type:
    """Those inside services and actions are in the module of these, which does not export them."""
    module = import_module(".".join(slot.namespaces))
    if (found := getattr(module, slot.name, None)) is None:
        for part in (value for value in vars(module).values() if isinstance(value, type)):
            if (found := getattr(sys.modules[part.__module__], slot.name, None)) is not None:
                break
        else:
            raise ImportError(f"{'/'.join(slot.namespaced_name())} is not installed here")
    return found


def _file(kind: str) -> str | None:
    """The .msg file of a type: of a sourced workspace, or of the ROS wheels in this environment."""
    package, folder, name = kind.split("/")
    for prefix in (*filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)), sys.prefix):
        file = Path(prefix, "share", package, folder, f"{name}.msg")
        if file.is_file():
            return file.read_text(encoding="utf-8", errors="replace")
    return None


def _written(message: type) -> str:
    names = list(message.get_fields_and_field_types())
    return "".join(f"{_type(slot)} {name}\n" for name, slot in zip(names, message.SLOT_TYPES, strict=True))


def _type(slot: object) -> str:
    """A field's type as .msg files write it."""
    if isinstance(slot, Array):
        return f"{_type(slot.value_type)}[{slot.size}]"
    if isinstance(slot, BoundedSequence):
        return f"{_type(slot.value_type)}[<={slot.maximum_size}]"
    if isinstance(slot, UnboundedSequence):
        return f"{_type(slot.value_type)}[]"
    if isinstance(slot, AbstractGenericString):
        word = "wstring" if isinstance(slot, AbstractWString) else "string"
        return f"{word}<={slot.maximum_size}" if isinstance(slot, BoundedString | BoundedWString) else word
    if isinstance(slot, NamespacedType):
        return _short("/".join(slot.namespaced_name()))
    assert isinstance(slot, BasicType)
    return _BASIC.get(slot.typename, slot.typename)


def _short(kind: str) -> str:
    """std_msgs/Header, as definitions refer to std_msgs/msg/Header."""
    package, _, name = kind.split("/")
    return f"{package}/{name}"
