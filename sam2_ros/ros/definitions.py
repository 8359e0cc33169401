"""Definitions of message types, for recordings that can be read without the message packages."""

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
        ImportError: the type is not installed.
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

    Where its .msg file is not installed, as for types from .idl files and those inside services and actions, or is of
    another version, the definition is generated from the Python class, without constants, defaults and comments.

    Args:
        kind: the type, `package/msg/Name`.
        type_hash: RIHS01_..., as announced by the publisher. Empty: unknown.

    Returns:
        The hash is empty where rosbags, which refuses bags with wrong hashes, computes another or none.

    Raises:
        ImportError: one of the types is not installed.
    """
    text = _assemble(kind, _read_msg_file)
    if not type_hash or _hash(text, kind) == type_hash:
        return text, type_hash
    generated = _assemble(kind, lambda name: None)
    return (generated, type_hash) if _hash(generated, kind) == type_hash else (text, "")


def _hash(text: str, kind: str) -> str:
    try:
        types = get_typestore(Stores.EMPTY)
        types.register(get_types_from_msg(text, kind))
        return types.hash_rihs01(kind)
    except Exception:  # types of services and actions have other names in rosbags
        return ""


def _assemble(kind: str, read: Callable[[str], str | None]) -> str:
    """The ros2msg schema of a type and all that it refers to; `read` gives the text of a type, or None."""
    texts: dict[str, str] = {}
    queue = [(kind, message_class(kind))]
    while queue:
        name, message = queue.pop(0)
        if name in texts:
            continue
        texts[name] = read(name) or _generate(message)
        for slot in message.SLOT_TYPES:
            inner = slot.value_type if isinstance(slot, AbstractNestedType) else slot
            if isinstance(inner, NamespacedType):
                queue.append(("/".join(inner.namespaced_name()), _class_of(inner)))
    main, *others = texts
    parts = [f"MSG: {_short_name(name)}\n{texts[name]}" for name in others]
    return _SEPARATOR.join([texts[main].rstrip("\n"), *(part.rstrip("\n") for part in parts)]) + "\n"


def _member(module: object, name: str, kind: str) -> type:
    if (member := getattr(module, name, None)) is None:
        raise ImportError(f"{kind} is not in the installed package")
    return member


def _class_of(slot: NamespacedType) -> type:
    """The class of a nested type. Types inside services and actions are in a module that does not export them."""
    module = import_module(".".join(slot.namespaces))
    if (message := getattr(module, slot.name, None)) is None:
        for part in (value for value in vars(module).values() if isinstance(value, type)):
            if (message := getattr(sys.modules[part.__module__], slot.name, None)) is not None:
                break
        else:
            raise ImportError(f"{'/'.join(slot.namespaced_name())} is not installed here")
    return message


def _read_msg_file(kind: str) -> str | None:
    """The text of a .msg file, from a sourced workspace or the ROS wheels in this environment; None: there is none."""
    package, folder, name = kind.split("/")
    for prefix in (*filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)), sys.prefix):
        file = Path(prefix, "share", package, folder, f"{name}.msg")
        if file.is_file():
            return file.read_text(encoding="utf-8", errors="replace")
    return None


def _generate(message: type) -> str:
    """The text of a .msg file with the fields of a Python class."""
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
        return _short_name("/".join(slot.namespaced_name()))
    assert isinstance(slot, BasicType)
    return _BASIC.get(slot.typename, slot.typename)


def _short_name(kind: str) -> str:
    """std_msgs/Header, as definitions refer to std_msgs/msg/Header."""
    package, _, name = kind.split("/")
    return f"{package}/{name}"
