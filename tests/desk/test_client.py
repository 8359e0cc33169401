"""What a page is sent, and what it is not."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from sam2_ros.desk.client import MAX_WAITING_BYTES, Client
from sam2_ros.desk.event import Event
from sam2_ros.desk.picture import Picture


def picture(number: int) -> Picture:
    return Picture({"type": "frame", "number": number}, b"jpeg")


def taken(client: Client) -> list[Any]:
    """All that the page would get now: events, and the numbers of pictures."""
    messages: list[Any] = []
    while (message := client.take()) is not None:
        messages.append(json.loads(message) if isinstance(message, str) else json.loads(message[4:-4])["number"])
    return messages


def events(*names: str) -> list[Event]:
    return [{"type": name} for name in names]


def test_events_leave_in_their_order() -> None:
    client = Client()
    for event in events("a", "b", "c"):
        client.send(event)
    assert taken(client) == events("a", "b", "c")
    assert taken(client) == []


def test_event_takes_the_place_of_the_one_with_its_key() -> None:
    client = Client()
    client.send({"type": "cameras", "rate": 1}, key="cameras")
    client.send({"type": "other"})
    client.send({"type": "cameras", "rate": 2}, key="cameras")
    assert taken(client) == [{"type": "cameras", "rate": 2}, {"type": "other"}]
    client.send({"type": "cameras", "rate": 3}, key="cameras")
    assert taken(client) == [{"type": "cameras", "rate": 3}]


def test_events_leave_before_pictures() -> None:
    client = Client()
    client.send_picture("a", picture(1))
    client.send({"type": "answer"})
    assert taken(client) == [{"type": "answer"}, 1]


def test_newest_picture_leaves_and_at_most_two_are_unshown() -> None:
    client = Client()
    got = []
    for number in range(5):
        client.send_picture("a", picture(number))
        got += taken(client)
    assert got == [0, 1]
    client.shown("a")
    assert taken(client) == [4]
    client.send_picture("a", picture(5))
    assert taken(client) == []
    client.shown("a")
    assert taken(client) == [5]


def test_pictures_of_several_cameras_do_not_wait_for_each_other() -> None:
    client = Client()
    for number in range(3):
        client.send_picture("a", picture(number))
        client.send_picture("b", picture(10 + number))
        taken(client)
    client.shown("b")
    assert taken(client) == [12]


def test_pictures_of_cameras_take_turns() -> None:
    """A fast camera does not keep the picture of a slow one from leaving."""
    client = Client()
    client.send_picture("fast", picture(0))
    client.send_picture("slow", picture(10))
    client.send_picture("fast", picture(1))
    client.shown("fast")
    assert taken(client) == [1, 10]


def test_shown_without_a_picture_allows_no_more() -> None:
    client = Client()
    for _ in range(9):
        client.shown("a")
    got = []
    for number in range(5):
        client.send_picture("a", picture(number))
        got += taken(client)
    assert got == [0, 1]


def test_page_that_leaves_too_much_unread_is_disconnected() -> None:
    client = Client()
    event = {"type": "changed", "text": "x" * 2**16}
    for _ in range(MAX_WAITING_BYTES // 2**16 + 2):
        client.send(event)
    assert client.closed and "too little" in client.reason
    client.send(event)
    client.send_picture("a", picture(0))
    assert taken(client) == []


def test_page_that_reads_stays_connected() -> None:
    client = Client()
    for _ in range(3 * MAX_WAITING_BYTES // 2**16):
        client.send({"type": "changed", "text": "x" * 2**16})
        assert len(taken(client)) == 1
    assert not client.closed


def test_replaced_events_do_not_count() -> None:
    client = Client()
    for _ in range(3 * MAX_WAITING_BYTES // 2**16):
        client.send({"type": "changed", "text": "x" * 2**16}, key="changed")
    assert not client.closed and len(taken(client)) == 1


def test_one_long_event_is_sent() -> None:
    client = Client()
    client.send({"type": "masks", "text": "x" * (2 * MAX_WAITING_BYTES)})
    assert not client.closed and len(taken(client)) == 1


def test_next_waits_for_a_message_and_ends_with_the_connection() -> None:
    async def use() -> None:
        client = Client()
        waiting = asyncio.create_task(client.next())
        await asyncio.sleep(0)
        assert not waiting.done()
        client.send({"type": "a"})
        assert await waiting == '{"type":"a"}'
        for number in range(3):
            client.send_picture("a", picture(number))
            message = await client.next() if number < 2 else b""
            assert isinstance(message, bytes)
        waiting = asyncio.create_task(client.next())
        await asyncio.sleep(0)
        assert not waiting.done(), "two are unshown"
        client.shown("a")
        assert await waiting == picture(2).message
        waiting = asyncio.create_task(client.next())
        await asyncio.sleep(0)
        client.disconnect("enough")
        assert await waiting is None and client.reason == "enough"

    asyncio.run(use())
