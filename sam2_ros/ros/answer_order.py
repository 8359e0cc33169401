"""The order of answers."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from sam2_ros import msg


class AnswerOrder:
    """Has the prompts of one message answered in their order, which alone tells their answers apart. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: Future[msg.PromptResult] | None = None
        self._actions: deque[tuple[Future[msg.PromptResult] | None, Callable[[], object]]] = deque()
        self._acting = False

    def add_pending(self, answer: Future[msg.PromptResult]) -> None:
        """Add a prompt whose answer is still to come."""
        self._last = answer
        answer.add_done_callback(lambda _: self._act())

    def then(self, action: Callable[[], object]) -> None:
        """Call a function once all prompts before have their answers: now, or in the thread that gives the last."""
        with self._lock:
            self._actions.append((self._last, action))
        self._act()

    def _act(self) -> None:
        while True:
            with self._lock:
                if self._acting or not self._actions:
                    return
                before, action = self._actions[0]
                if before is not None and not before.done():
                    return
                self._actions.popleft()
                self._acting = True
            try:
                action()
            finally:
                self._acting = False
