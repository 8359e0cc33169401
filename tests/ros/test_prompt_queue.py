"""The limits of the queue of waiting prompts."""

from __future__ import annotations

from std_msgs.msg import Header

from sam2_ros.ros.prompt_queue import PromptQueue
from sam2_ros.ros.waiting_prompt import Source, WaitingPrompt
from sam2_ros.tracking.prompt import Prompt

LIMITED = Source("limited", max_waiting=2)
NEWEST = 100


def prompt(stamp: int, source: Source = LIMITED, object_id: int = 0) -> WaitingPrompt:
    return WaitingPrompt(Header(), Prompt(object_id=object_id), stamp, False, 0.0, 1.0, source, None)


def test_full_queue_evicts_the_latest_stamp() -> None:
    queue, far, near = PromptQueue(), prompt(900), prompt(101)
    assert queue.put(prompt(500), NEWEST) is None and queue.put(far, NEWEST) is None
    assert queue.put(near, NEWEST) is far and near in queue
    assert queue.put(far, NEWEST) is far and len(queue) == 2


def test_due_prompts_and_other_sources_have_separate_limits() -> None:
    queue = PromptQueue()
    for stamp in (200, 200, 100, 99):
        assert queue.put(prompt(stamp), NEWEST) is None
    late = prompt(1)
    assert queue.put(late, NEWEST) is late, "the new prompt is refused"
    assert queue.put(prompt(200, Source("other", max_waiting=1)), NEWEST) is None


def test_waiting_prompts_count_towards_max_objects() -> None:
    queue = PromptQueue()
    queue.put(prompt(100), NEWEST)
    queue.put(prompt(100, Source("other"), object_id=7), NEWEST)
    queue.put(prompt(300, Source("other"), object_id=8), NEWEST)

    def room(limit: int, object_id: int = 0) -> bool:
        return queue.has_room(prompt(100, object_id=object_id), NEWEST, {1}, limit)

    assert room(4) and not room(3)
    assert room(3, object_id=1) and room(3, object_id=7) and not room(3, object_id=8)
    first = next(iter(queue))
    assert queue.take(first) and not queue.take(first)
    assert not room(3), "it is being applied"
    queue.done()
    assert room(3)
