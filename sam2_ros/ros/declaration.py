"""Declaration of a node's parameters to ROS, with descriptions, ranges and one-line refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
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


def refuse_unknown_types(node: Node) -> None:
    """Makes the node refuse parameters of a type that does not exist. rclpy (Jazzy) raises, and never answers."""
    for service in node.services:
        if service.srv_type is SetParameters:
            service.callback = partial(_set_each, service.callback)
        elif service.srv_type is SetParametersAtomically:
            service.callback = partial(_set_all, service.callback)


def _set_each(
    set_parameters: Callable[[Any, Any], Any], request: SetParameters.Request, response: SetParameters.Response
) -> SetParameters.Response:
    for parameter in request.parameters:
        if result := _refused(parameter):
            response.results.append(result)
        else:
            answer = set_parameters(SetParameters.Request(parameters=[parameter]), SetParameters.Response())
            response.results += answer.results
    return response


def _set_all(
    set_parameters: Callable[[Any, Any], Any],
    request: SetParametersAtomically.Request,
    response: SetParametersAtomically.Response,
) -> SetParametersAtomically.Response:
    if result := next(filter(None, map(_refused, request.parameters)), None):
        response.result = result
        return response
    return set_parameters(request, response)


def _refused(parameter: ParameterMessage) -> SetParametersResult | None:
    """The result for a parameter whose type does not exist; None: its type exists."""
    kind = parameter.value.type
    if kind in (known.value for known in Parameter.Type):
        return None
    name = excerpt(parameter.name, MAX_SHOWN_CHARACTERS)
    return SetParametersResult(reason=f"{name} has the type {kind}, which rcl_interfaces/ParameterType does not know")


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
