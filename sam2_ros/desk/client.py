"""One page in a browser, seen from the server."""

from __future__ import annotations

from sam2_ros.desk.event import Event


class Client:
    """Sends events and pictures to a page, never more than it takes.

    All methods return at once, in the server's event loop.
    """

    def send(self, event: Event, key: str = "") -> None:
        """Send an event. With a key, it takes the place of one with the same key that still waits.

        A page that leaves too many events unread is disconnected; it asks for everything again when it comes back.
        """
        raise NotImplementedError

    def send_picture(self, key: str, header: Event, jpeg: bytes) -> None:
        """Send a picture, with an event about it. It takes the place of one with the same key that still waits.

        It leaves when the page has shown all but one of the earlier ones of this key (`shown`).
        """
        raise NotImplementedError

    def shown(self, key: str) -> None:
        """The page has shown a picture of this key."""
        raise NotImplementedError
