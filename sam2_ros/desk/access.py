"""Who may use a desk: those at this machine, or who knows the token."""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Mapping

SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every response: no other host is asked for anything, and no other page shows or reads this one."""

HOST = re.compile(r"(?:\[(?P<address>[0-9a-fA-F:.]+)\]|(?P<name>[0-9a-zA-Z._-]+))(?::[0-9]+)?")
TOKEN = re.compile(r"[A-Za-z0-9_-]{16,256}")


class Access:
    """Decides about requests.

    On an address of this machine alone, no token is needed. But a page of any other site runs at this machine, too: its
    requests have another Host (even if its name was made to lead here) or another Origin.

    Args:
        address: the address that the desk listens on.
        port: its port.
        token: what those who open the page have to know. None: nothing on a loopback address, else a new one.

    Raises:
        ValueError: the token can be guessed, or does not fit into an address.
    """

    def __init__(self, address: str, port: int, token: str | None = None) -> None:
        if token is not None and not TOKEN.fullmatch(token):
            raise ValueError("a token has at least 16 letters, digits, - and _; leave it out, and the desk makes one")
        self.is_local = is_loopback(address)
        self.token = token or ("" if self.is_local else secrets.token_urlsafe(32))
        self.cookie = f"desk-{port}"  # cookies don't distinguish ports
        self._port = port

    def knows_token(self, given: str) -> bool:
        """Whether this is the token; in a time that does not tell how much of it is right."""
        return secrets.compare_digest(given.encode(errors="surrogatepass"), self.token.encode())

    def problem(self, headers: Mapping[str, str]) -> str | None:
        """Why a request is refused; None: it is not."""
        host = headers.get("Host", "")
        if self.is_local and not is_loopback(_name(host)):
            return f"this desk answers on this machine only: open http://localhost:{self._port}/"
        if self.token and not any(self.knows_token(value) for value in self._cookies(headers.get("Cookie", ""))):
            return (
                "This desk needs its token. Open the address that was printed where it was started, with ?token=... at"
                " its end."
            )
        return None

    def socket_problem(self, headers: Mapping[str, str]) -> str | None:
        """Why a WebSocket is refused, which a browser opens for any page; None: it is not."""
        host = headers.get("Host", "").lower()
        if not host or headers.get("Origin", "").lower() not in (f"http://{host}", f"https://{host}"):
            return "the desk's WebSocket is for the desk's own page"
        return self.problem(headers)

    def _cookies(self, header: str) -> list[str]:
        pairs = (pair.strip().partition("=") for pair in header.split(";"))
        return [value for name, _, value in pairs if name == self.cookie]


def is_loopback(name: str) -> bool:
    """Whether a host's name or address leads to the machine itself, whatever a name server says."""
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    """A Host header without the port and an IPv6 address's brackets; empty: it is none."""
    found = HOST.fullmatch(host)
    return (found["address"] or found["name"]) if found else ""
