"""The order of the answers to prompts."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from sam2_ros import msg


class AnswerOrder:
    """Keeps the answers to the prompts of one message in their order: nothing else tells them apart. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: Future[msg.PromptResult] | None = None
        self._actions: deque[tuple[Future[msg.PromptResult] | None, Callable[[], object]]] = deque()
        self._running = False

    def add_pending(self, answer: Future[msg.PromptResult]) -> None:
        """Add the answer, not yet set, of an accepted prompt."""
        self._last = answer
        answer.add_done_callback(lambda _: self._run_actions())

    def then(self, action: Callable[[], object]) -> None:
        """Call a function once all earlier prompts are answered: now, or in the thread that answers the last."""
        with self._lock:
            self._actions.append((self._last, action))
        self._run_actions()

    def _run_actions(self) -> None:
        while True:
            with self._lock:
                if self._running or not self._actions:
                    return
                pending, action = self._actions[0]
                if pending is not None and not pending.done():
                    return
                self._actions.popleft()
                self._running = True
            try:
                action()
            finally:
                self._running = False
