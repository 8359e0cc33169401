"""The address that a desk listens on."""

from __future__ import annotations

import socket

import pytest

from sam2_ros.desk.address import CannotListen, listening


def test_any_free_port() -> None:
    with listening("127.0.0.1", 0) as one, listening("127.0.0.1", 0) as other:
        assert one.getsockname()[1] != other.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "0.0.0.0"])
def test_port_that_is_in_use(host: str) -> None:
    with listening(host, 0) as one, pytest.raises(CannotListen, match=r"is in use, .*\(0: any free one\)"):
        listening(host, one.getsockname()[1])


def test_localhost_is_this_machine() -> None:
    with listening("localhost", 0) as listener:
        assert listener.family is socket.AF_INET and listener.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        ("192.0.2.7", 0, "192.0.2.7 is no address of this machine"),
        ("no-such-host.invalid", 0, "there is no host 'no-such-host.invalid' here"),
        ("x" * 300, 0, "there is no host"),
        ("a\0b", 0, "there is no host"),
        ("127.0.0.1", 70000, "port 70000 is none; give one from 1024 to 65535"),
        ("127.0.0.1", -1, "port -1 is none"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_address_that_is_none(host: str, port: int, message: str) -> None:
    with pytest.raises(CannotListen) as raised:
        listening(host, port)
    assert message in str(raised.value) and "\n" not in str(raised.value)
