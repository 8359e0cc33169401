"""`~/prompt_results` and `~/applied_prompts`: the answers to prompts."""

from __future__ import annotations

from rclpy.lifecycle import LifecycleNode

from sam2_ros import msg
from sam2_ros.ros import prompts
from sam2_ros.ros.publishers import publisher
from sam2_ros.ros.topics import Topics
from sam2_ros.tracking.prompt import Prompt

PROMPTS_DEPTH = 1000
"""QoS depth of prompts and results, so that each of many that are sent at once gets an answer."""


class AnswersOutput:
    """Publishes in every state of the node: clients that prompt an inactive one need the answer, too."""

    def __init__(self, node: LifecycleNode, topics: Topics) -> None:
        self._results = publisher(node, msg.PromptResult, topics.private("prompt_results"), PROMPTS_DEPTH, always=True)
        self._applied = publisher(node, msg.PromptArray, topics.private("applied_prompts"), depth=100, always=True)

    def publish(self, result: msg.PromptResult, prompt: Prompt | None = None) -> None:
        """Publish an answer; `prompt` is the applied prompt."""
        if result.accepted and prompt is not None:
            applied = [prompts.to_message(prompt, result.object_id)]
            self._applied.publish(msg.PromptArray(header=result.header, prompts=applied))
        self._results.publish(result)
