"""Answers to the prompts of one message."""

from __future__ import annotations

from concurrent.futures import Future

from sam2_ros.ros.answer_order import AnswerOrder


def test_answers_keep_the_order_of_the_message() -> None:
    order, answered, pending = AnswerOrder(), [], Future()
    order.then(lambda: answered.append(1))
    order.add_pending(pending)
    for number in range(2, 3000):
        order.then(lambda number=number: answered.append(number))
    assert answered == [1]
    pending.set_result(None)
    assert answered == [*range(1, 3000)]
