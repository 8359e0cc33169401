"""Who may use a desk."""

from __future__ import annotations

import pytest

from sam2_ros.desk.access import Access, is_loopback

TOKEN = "correct-horse-battery"


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "::1"])
def test_names_of_this_machine(name: str) -> None:
    assert is_loopback(name)


@pytest.mark.parametrize(
    "name",
    ["", "0.0.0.0", "192.168.1.4", "localhost.evil.com", "127.0.0.1.evil.com", "evil.com", "::", "fe80::1", "robot"],
)
def test_names_of_others(name: str) -> None:
    assert not is_loopback(name)


@pytest.mark.parametrize("host", ["localhost:8642", "127.0.0.1:8642", "[::1]:8642", "localhost", "localhost:9000"])
def test_here_no_token_is_needed(host: str) -> None:
    access = Access("127.0.0.1", 8642)
    assert access.token == ""
    assert access.problem({"Host": host}) is None
    assert access.socket_problem({"Host": host, "Origin": f"http://{host}"}) is None


@pytest.mark.parametrize(
    "host", ["evil.com:8642", "", "localhost.evil.com", "192.168.1.4:8642", "[::1", "evil.com@localhost", "a]b"]
)
def test_another_host_is_refused_here(host: str) -> None:
    """A name of somebody else that was made to lead to this machine."""
    access = Access("127.0.0.1", 8642)
    assert "this machine only" in str(access.problem({"Host": host}))
    assert access.socket_problem({"Host": host, "Origin": f"http://{host}"}) is not None


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        "null",
        "http://evil.com",
        "http://evil.com:8642",
        "http://localhost:3000",
        "http://localhost",
        "file://localhost:8642",
        "http://localhost:8642.evil.com",
        "http://localhost:8642@evil.com",
        "localhost:8642",
        "//localhost:8642",
        "http://[localhost:8642",
    ],
)
def test_another_origin_is_refused(origin: str | None) -> None:
    headers = {"Host": "localhost:8642"} | ({} if origin is None else {"Origin": origin})
    for access in (Access("127.0.0.1", 8642), Access("0.0.0.0", 8642, TOKEN)):
        headers["Cookie"] = f"desk-8642={TOKEN}"
        assert access.socket_problem(headers) is not None


def test_elsewhere_a_token_is_made() -> None:
    tokens = {Access(address, 8642).token for address in ("0.0.0.0", "192.168.1.4", "::", "fe80::1")}
    assert len(tokens) == 4 and all(len(token) >= 43 for token in tokens)


def test_token_in_the_cookie() -> None:
    access = Access("0.0.0.0", 8642, TOKEN)
    for cookie in (f"desk-8642={TOKEN}", f'other="a;b"; desk-8642={TOKEN}', f"desk-8642=old; desk-8642={TOKEN}"):
        assert access.problem({"Host": "robot:8642", "Cookie": cookie}) is None


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        "desk-8642=",
        "desk-8642=wrong",
        f"desk-8642={TOKEN}x",
        f"desk-8642={TOKEN[:-1]}",
        f"desk-1={TOKEN}",
        TOKEN,
        "ü=\udcff",
    ],
)
def test_no_token_or_a_wrong_one(cookie: str) -> None:
    access = Access("0.0.0.0", 8642, TOKEN)
    assert "token" in str(access.problem({"Host": "robot:8642", "Cookie": cookie}))
    assert access.socket_problem({"Host": "robot:8642", "Origin": "http://robot:8642", "Cookie": cookie}) is not None


def test_token_is_compared_whatever_is_given() -> None:
    access = Access("0.0.0.0", 8642, TOKEN)
    assert access.knows_token(TOKEN)
    assert not any(access.knows_token(given) for given in ("", "ü", "\udcff", "x" * 10**6))


def test_token_on_this_machine_is_needed_if_one_is_given() -> None:
    access = Access("127.0.0.1", 8642, TOKEN)
    assert access.problem({"Host": "localhost"}) is not None
    assert access.problem({"Host": "localhost", "Cookie": f"desk-8642={TOKEN}"}) is None


@pytest.mark.parametrize("token", ["", "short", "sixteen letters;", "sixteen-letters-ü"])
def test_token_that_is_none(token: str) -> None:
    with pytest.raises(ValueError, match="at least 16"):
        Access("0.0.0.0", 8642, token)
