"""Declaration of a node's parameters to ROS, with descriptions, ranges and one-line refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from sam2_ros.ros.excerpt import excerpt
from sam2_ros.ros.parameters import MAX_SHOWN_CHARACTERS, ParameterSpec


def declare(
    node: Node,
    specs: Iterable[ParameterSpec],
    checks: Mapping[str, Callable[[Any], object]] | None = None,
    is_configured: Callable[[], bool] = lambda: False,
) -> None:
    """Declares the parameters of a node, now and later restricted to accepted values.

    Args:
        specs: the parameters to declare.
        checks: further checks by parameter name, beyond type, range and choices; they raise ValueError.
        is_configured: whether the node is configured, so that parameters which apply at that moment are fixed.

    Raises:
        ValueError: a value given at the start is not accepted; one line that names the parameter.
    """
    specs_by_name = {spec.name: spec for spec in specs}

    def check(name: str, value: object) -> None:
        specs_by_name[name].check(value)
        try:
            if checks and name in checks:
                checks[name](value)
        except ValueError as error:
            raise ValueError(f"{name} is {excerpt(repr(value), MAX_SHOWN_CHARACTERS)}: {error}") from error

    for name, spec in specs_by_name.items():
        override = node._parameter_overrides.get(name)
        if override is not None and override.value is None and isinstance(spec.default, tuple):
            del node._parameter_overrides[name]  # [] in a YAML file has no type for ROS, and arrives as nothing
        elif override is not None:  # rclpy's errors don't name accepted values
            check(name, override.value)
        default = list(spec.default) if isinstance(spec.default, tuple) else spec.default
        node.declare_parameter(name, default, _descriptor(spec))

    def refusal(parameter: Parameter) -> str:
        if (spec := specs_by_name.get(parameter.name)) is None:
            return ""
        if spec.applies == "configure" and is_configured():
            name = node.get_fully_qualified_name()
            return (
                f"{spec.name} applies when the node is configured, and the node is configured already:"
                f" `ros2 lifecycle set {name} deactivate`, `... cleanup`, set it, `... configure`, `... activate`"
            )
        try:
            check(spec.name, parameter.value)
        except ValueError as error:
            return str(error)
        return ""

    def on_set(parameters: list[Parameter]) -> SetParametersResult:
        reason = next(filter(None, map(refusal, parameters)), "")
        return SetParametersResult(successful=not reason, reason=reason)

    node.add_on_set_parameters_callback(on_set)


def _descriptor(spec: ParameterSpec) -> ParameterDescriptor:
    # Dynamic, because `check` does more: it accepts 5 for 5.0, and names the accepted values.
    descriptor = ParameterDescriptor(description=spec.text, read_only=spec.applies == "start", dynamic_typing=True)
    if spec.choices or spec.values:
        descriptor.additional_constraints = spec.accepted
    if spec.range is not None:
        low, high = spec.range
        if isinstance(spec.default, float):
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        else:
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
    return descriptor
