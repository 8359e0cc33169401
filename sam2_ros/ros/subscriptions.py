"""Subscriptions that come and go together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSPolicyKind, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription

OVERRIDABLE = QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY
"""Policies that parameters may override."""


class Subscriptions:
    """Base of inputs that are subscribed to while the node is active."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._subscriptions: list[Subscription] = []

    @property
    def topic_names(self) -> list[str]:
        """Full names of the topics that are subscribed to."""
        return [subscription.topic_name for subscription in self._subscriptions]

    def close(self) -> None:
        """Unsubscribe."""
        closed, self._subscriptions = self._subscriptions, []
        for subscription in closed:
            self._node.destroy_subscription(subscription)

    def _subscribe(
        self,
        kind: type[Any],
        topic: str,
        callback: Callable[[Any], None],
        qos: QoSProfile,
        overridable: Sequence[QoSPolicyKind] = OVERRIDABLE,
        raw: bool = False,
    ) -> Subscription:
        options = QoSOverridingOptions(overridable)
        # One group for each, or rclpy would serve a topic only while earlier ones have no messages. New ones each time:
        # it never frees the group of a subscription that is destroyed just before its callback.
        group = MutuallyExclusiveCallbackGroup()
        subscription = self._node.create_subscription(
            kind, topic, callback, qos, callback_group=group, qos_overriding_options=options, raw=raw
        )
        self._subscriptions.append(subscription)
        return subscription
