"""Impossible lifecycle transitions. The possible ones are made by the run itself: both nodes have to follow."""

from __future__ import annotations

import numpy as np
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetAvailableTransitions, GetState

from fuzz.attack import Attack, text
from fuzz.rig import Rig

ALWAYS_IMPOSSIBLE = (Transition.TRANSITION_CREATE, Transition.TRANSITION_DESTROY, 9, 10, 42, 62, 99, 200, 255)
"""Numbers of transitions that nobody may ask for, in any state."""
IMPOSSIBLE = {
    True: (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_CLEANUP),
    False: (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_DEACTIVATE),
}
"""Numbers of transitions that are impossible while the node is active, and while it is inactive."""


class ImpossibleTransitions(Attack):
    """Transitions that do not exist, or not in this state."""

    name = "transitions"
    while_inactive = True
    share = 0.3

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self._change = rig.client(ChangeState, "change_state")
        self._get = rig.client(GetState, "get_state")
        self._available = rig.client(GetAvailableTransitions, "get_available_transitions")

    def send(self, random: np.random.Generator) -> str:
        choice = random.random()
        if choice < 0.15:
            self.rig.call(self._get, GetState.Request())
            return "get_state"
        if choice < 0.3:
            self.rig.call(self._available, GetAvailableTransitions.Request())
            return "get_available_transitions"
        numbers = (*ALWAYS_IMPOSSIBLE, *IMPOSSIBLE[self.rig.active])
        number = int(numbers[random.integers(len(numbers))])
        label = text(random) if random.random() < 0.5 else ""  # if there is one, it counts and not the number
        self.rig.call(self._change, ChangeState.Request(transition=Transition(id=number, label=label)))
        return f"transition {number} {label[:20]!r}"
