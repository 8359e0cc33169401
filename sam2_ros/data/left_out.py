"""What of a data set can't be used."""

from __future__ import annotations

NAMED = 3


class LeftOut:
    """Counts it by reason, and names the first few."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}
        """By reason."""

    def add(self, reason: str, name: object) -> None:
        """One more.

        Args:
            reason: such as "images that are missing".
            name: which one it is.
        """
        self.names.setdefault(reason, []).append(str(name))

    def __bool__(self) -> bool:
        return bool(self.names)

    def __str__(self) -> str:
        return "; ".join(
            f"{reason}: {len(names)} ({', '.join(names[:NAMED])}{', ...' if len(names) > NAMED else ''})"
            for reason, names in self.names.items()
        )
