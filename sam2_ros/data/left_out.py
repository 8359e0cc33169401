"""Summary of unusable parts of a data set."""

from __future__ import annotations

MAX_NAMED = 3
"""Names listed for each reason."""


class LeftOut:
    """Counts unusable parts of a data set by reason, and lists the first names."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}
        """Names by reason."""

    def add(self, reason: str, name: object) -> None:
        """Add a part.

        Args:
            reason: such as "images that are missing".
            name: name of the part.
        """
        self.names.setdefault(reason, []).append(str(name))

    def __bool__(self) -> bool:
        return bool(self.names)

    def __str__(self) -> str:
        return "; ".join(
            f"{reason}: {len(names)} ({', '.join(names[:MAX_NAMED])}{', ...' if len(names) > MAX_NAMED else ''})"
            for reason, names in self.names.items()
        )
