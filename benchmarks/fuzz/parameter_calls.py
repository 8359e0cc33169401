"""Calls of the parameter services: names that are not there, values of any type, and now and then a valid one."""

from __future__ import annotations

import numpy as np
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)

from fuzz.attack import Attack, number, text
from fuzz.rig import Rig
from sam2_ros.ros.parameters import SAM2_PARAMETERS

HARMLESS = {
    "prompt_timeout": (0.0, 2.0),
    "detection_min_score": (0.0, 1.0),
    "detection_max_overlap": (0.0, 1.0),
    "detection_forget_after": (0.0, 1e6),
    "overlay_opacity": (0.0, 1.0),
    "overlay_max_rate": (0.0, 1000.0),
}
"""Parameters whose valid values change nothing about good objects, and their ranges."""
NAMES = [spec.name for spec in SAM2_PARAMETERS if spec.applies != "immediately"]
KINDS = {
    "get": GetParameters,
    "describe": DescribeParameters,
    "types": GetParameterTypes,
}


def value(random: np.random.Generator) -> ParameterValue:
    """Anything but a valid value: of a type that no parameter of ours has, or that does not exist."""
    kind = int(random.choice([0, 5, 6, 7, 8, 10, 77, 255]))
    big = int(random.choice([0, 1, 10_000]))
    return ParameterValue(
        type=kind,
        string_value=text(random),
        double_value=number(random),
        integer_value=-(2**63),
        byte_array_value=[b"\xff"] * big,
        double_array_value=[number(random)] * big,
        string_array_value=[text(random)] * min(big, 3),
    )


def wrong(random: np.random.Generator) -> Parameter:
    """A parameter that cannot be set to this value, or at all."""
    if random.random() < 0.2:  # applies only while the node is not configured: any value is refused
        name = NAMES[random.integers(len(NAMES))]
        texts = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=text(random))
        numbers = ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=int(random.integers(2**40)))
        return Parameter(name=name, value=[texts, numbers][random.integers(2)])
    if random.random() < 0.3:  # of the right type, out of range
        name = [*HARMLESS][random.integers(len(HARMLESS))]
        far = float(random.choice([-1e-9, 1e7, np.nan, np.inf, -np.inf]))
        return Parameter(name=name, value=ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=far))
    names = [*(spec.name for spec in SAM2_PARAMETERS), text(random), text(random)]
    return Parameter(name=names[random.integers(len(names))], value=value(random))


class SettingCalls(Attack):
    """Parameters are set, mostly to what they cannot be."""

    name = "set parameters"
    while_inactive = True

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self._set = rig.client(SetParameters, "set_parameters")
        self._atomically = rig.client(SetParametersAtomically, "set_parameters_atomically")

    def send(self, random: np.random.Generator) -> str:
        if random.random() < 0.15:
            name = [*HARMLESS][random.integers(len(HARMLESS))]
            low, high = HARMLESS[name]
            right = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=random.uniform(low, high))
            parameters = [Parameter(name=name, value=right)]
        else:
            parameters = [wrong(random) for _ in range(int(random.choice([0, 1, 1, 1, 3])))]
        if random.random() < 0.5:
            self.rig.call(self._set, SetParameters.Request(parameters=parameters))
        else:
            self.rig.call(self._atomically, SetParametersAtomically.Request(parameters=parameters))
        return "set " + ", ".join(f"{one.name[:30]!r} of type {one.value.type}" for one in parameters)


class ReadingCalls(Attack):
    """Parameters are read, described and listed."""

    name = "read parameters"
    while_inactive = True
    share = 0.5

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        names = {"get": "get_parameters", "describe": "describe_parameters", "types": "get_parameter_types"}
        self._clients = {kind: rig.client(KINDS[kind], name) for kind, name in names.items()}
        self._list = rig.client(ListParameters, "list_parameters")

    def send(self, random: np.random.Generator) -> str:
        names = [text(random) if random.random() < 0.5 else NAMES[random.integers(len(NAMES))] for _ in range(3)]
        if random.random() < 0.3:
            depth = int(random.choice([0, 1, 2**63 - 1]))
            self.rig.call(self._list, ListParameters.Request(prefixes=names, depth=depth))
            return f"list parameters to depth {depth}"
        kind = [*KINDS][random.integers(len(KINDS))]
        self.rig.call(self._clients[kind], KINDS[kind].Request(names=names))
        return f"{kind} {[name[:20] for name in names]}"
