"""Reading in a thread of its own, a few items ahead."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from queue import SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")

AHEAD = 3
"""Items that are ready before they are asked for. Large images take 50 MB each."""


class _End:
    """The end of the items, or the error that ended them."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def read_ahead(items: Generator[Item, None, None], ahead: int = AHEAD) -> Generator[Item, None, None]:
    """The same items, computed in a thread while earlier ones are used.

    Errors come through in their place. The thread begins with the first item that is asked for, and has ended, and
    closed `items`, when this iterator is closed or garbage.

    Args:
        items: used by the thread alone.
        ahead: maximum number of items that wait or are being computed.
    """
    ready: SimpleQueue[Item | _End] = SimpleQueue()
    room, stopped = threading.Semaphore(ahead), threading.Event()

    def read() -> None:
        end = _End()
        try:
            while True:
                room.acquire()
                if stopped.is_set():
                    break
                ready.put(next(items))
        except StopIteration:
            pass
        except BaseException as error:  # whatever it is, it belongs to who asks for the item
            end = _End(error)
        finally:
            items.close()
            ready.put(end)

    thread = threading.Thread(target=read, name="read_ahead", daemon=True)
    thread.start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            room.release()
            yield item
            del item
    finally:
        stopped.set()
        room.release()
        if not sys.is_finalizing():  # at the end of the process, Python has stopped the thread already
            thread.join()
