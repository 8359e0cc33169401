"""stub"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReviewSettings:
    pass


def review(store, settings):
    pass
