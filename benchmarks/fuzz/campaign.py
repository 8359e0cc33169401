"""One run of the fuzzer: bursts of hostile messages, and after each a sign of life."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from std_srvs.srv import Trigger

from fuzz import compressed_images, images, scene
from fuzz.comparison import ROUNDING, difference, differences
from fuzz.kinds import KINDS
from fuzz.rig import Dead, Rig
from sam2_ros import srv
from sam2_ros.ros.stamps import time_message

PARAMETERS = [
    "image_size:=128",
    "history:=4",
    "max_image_pixels:=1000000",
    "prompt_timeout:=2.0",
    "threads:=1",
    "keep_all:=true",
    "time_jump:=keep",
]
"""Parameters of both nodes."""
MODES = (("raw", True, 8), ("compressed", True, 3), ("raw", False, 3), ("compressed", False, 8))
"""Transport, keep_all and max_objects of each stretch of a run. With three, the attackers get no objects of their own,
and masks are equal to the last bit."""
MAX_BURST = 16
"""Maximum number of hostile messages between two signs of life."""
SETTLE_EVERY = 250
"""Number of hostile messages after which all answers are waited for, and objects change."""
SETTLE_TIMEOUT = 10.0
"""Seconds for all answers to come."""
MAX_STRAYS = 3
"""Maximum number of the attackers' objects that are left alone: they cost time."""
HANG = 1.0  # s
LOG_RATE = 1000.0  # bytes / s
MAX_LINES = 20
"""Maximum number of failures that are kept in words."""


@dataclass
class Outcome:
    """What a run has shown."""

    sent: Counter[str] = field(default_factory=Counter)
    """Hostile messages and calls by kind."""
    strange: int = 0
    """Images that can be read, but are strange; both nodes got them."""
    quiet: list[float] = field(default_factory=list)
    """Seconds from image to masklets, without an attack."""
    beats: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Seconds after each burst: from a good image to its masklets, of the victim and its twin; to the answer of ~/list;
    and for which a thread of the victim was ready to run and had no core, because others use this machine."""
    hangs: int = 0
    prompts: int = 0
    unanswered: int = 0
    surplus: int = 0
    good_prompts: int = 0
    calls: int = 0
    unanswered_calls: int = 0
    images: int = 0
    """Compared images."""
    differences: int = 0
    seconds: float = 0.0
    log_bytes: int = 0
    tracebacks: int = 0
    memory: list[float] = field(default_factory=list)
    """MB of the victim, before the first message and each time that everything is answered."""
    death: str = ""
    """Why the run has ended early."""
    status: int | None = None
    """Exit status of the victim after SIGINT."""
    failures: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_LINES))

    @property
    def log_rate(self) -> float:
        """Bytes / s."""
        return self.log_bytes / self.seconds if self.seconds else 0.0

    @property
    def checks(self) -> dict[str, bool]:
        """The properties that must hold."""
        return {
            "no crash": not self.death and self.status == 0 and not self.tracebacks,
            "no hang": not self.hangs,
            "one answer for each prompt": not self.unanswered and not self.surplus,
            "one answer for each call": not self.unanswered_calls,
            "objects equal to the twin's": not self.differences,
            "log": self.log_rate < LOG_RATE,
        }


class Campaign:
    """Attacks the victim until so many messages are sent.

    Each message follows from the seed and its number alone; when it arrives, DDS decides.

    Args:
        rig: both nodes.
        seed: of all random choices.
        messages: number of hostile messages and calls.
        only: kinds of messages; empty: all.
        on_progress: called with the number of messages sent so far.
    """

    def __init__(
        self,
        rig: Rig,
        seed: int,
        messages: int,
        only: Collection[str] = (),
        on_progress: Callable[[int], object] = lambda sent: None,
    ) -> None:
        self._rig = rig
        self._seed = seed
        self._messages = messages
        self._on_progress = on_progress
        self._attacks = [kind(rig) for kind in KINDS if not only or kind.name in only]
        self._modes = MODES if messages >= len(MODES) * SETTLE_EVERY else MODES[:2]
        if only:
            self._modes = MODES[1:2] if "images, compressed" in only else MODES[:1]
        self._list = rig.client(srv.ListObjects, "list")
        self._remove = {
            side.name: rig.node.create_client(srv.RemoveObject, f"/{side.name}/sam2/remove") for side in rig.sides
        }
        self._pause, self._resume = (
            rig.node.create_client(Trigger, f"/victim/sam2/{name}") for name in ("pause", "resume")
        )
        self._reset = [rig.node.create_client(Trigger, f"/{side.name}/sam2/reset") for side in rig.sides]
        self._burst: deque[str] = deque(maxlen=MAX_BURST)
        self._prompted = 0
        self.outcome = Outcome()

    @property
    def _rounding(self) -> int:
        return ROUNDING if self._rig.max_objects > len(scene.GOOD_IDS) else 0

    @property
    def sent(self) -> int:
        return self.outcome.sent.total()

    def run(self) -> Outcome:
        """Raises nothing: a node that has died is the outcome."""
        outcome, log = self.outcome, self._rig.graph.logs / "victim.log"
        started, written = time.monotonic(), 0
        try:
            self._rig.start()
            self._begin()
            for _ in range(20):
                outcome.quiet.append(self._rig.show()["victim"])
            self._compare()
            outcome.memory.append(self._memory())
            started, written = time.monotonic(), log.stat().st_size
            self._attack()
            self._settle(change=False)
        except Dead as error:
            outcome.death = str(error)
            self._fail(f"{error}; sent before: {'; '.join(self._burst)}")
        outcome.seconds = time.monotonic() - started
        text = log.read_text(errors="replace")
        outcome.log_bytes, outcome.tracebacks = log.stat().st_size - written, text.count("Traceback")
        outcome.status = self._rig.graph.end("victim")
        return outcome

    def _attack(self) -> None:
        modes, settled = self._modes, 0
        for number, mode in enumerate(modes):
            if number or mode != MODES[0]:
                self._settle(change=False)
                self._rig.reconfigure(*mode)
                self._begin()
            while self.sent < self._messages * (number + 1) // len(modes):
                random = self._random(self.sent, 1)
                for _ in range(int(random.integers(1, MAX_BURST + 1))):
                    self._send(self._attacks)
                self._beat(random)
                if self.sent - settled >= SETTLE_EVERY:
                    settled = self.sent
                    self._settle(change=True)

    def _random(self, *place: int) -> np.random.Generator:
        return np.random.default_rng((self._seed, *place))

    def _send(self, attacks: list) -> None:
        """Sends one hostile message."""
        random = self._random(self.sent)
        self._rig.wait_for(lambda: any(attack.is_possible for attack in attacks), "the victim to listen")
        possible = [attack for attack in attacks if attack.is_possible]
        shares = np.array([attack.share for attack in possible])
        attack = possible[random.choice(len(possible), p=shares / shares.sum())]
        self.outcome.sent[attack.name] += 1
        self._burst.append(attack.send(random))
        self._on_progress(self.sent)

    def _begin(self) -> None:
        """Shows the first images, and prompts all good objects."""
        self._rig.show(first=True)
        for thing, how in enumerate(("click", "box", "mask")):
            self._prompt(thing, how)
        self._rig.show()
        self._compare()

    def _prompt(self, thing: int, how: str, replace: bool = False) -> None:
        prompt = scene.prompt(self._rig.index, thing, how)
        prompt.replace = replace
        self._prompted += 1
        tag = f"good {self._prompted}"
        ours, theirs = self._rig.prompt(prompt, tag)
        self.outcome.good_prompts += 1
        found = difference(ours.masklet, theirs.masklet, self._rounding)
        found += [f"refused: {result.message}" for result in (ours, theirs) if not result.accepted]
        self._differ([f"{tag}, {how} for object {prompt.object_id}: {line}" for line in found])

    def _beat(self, random: np.random.Generator) -> None:
        """Shows a good image, perhaps after a strange one, and measures how long masklets and ~/list take."""
        rig, outcome = self._rig, self.outcome
        if rig.keep_all and random.random() < 0.2:
            self._show_strange(random)
        answer, called = self._list.call_async(srv.ListObjects.Request()), time.monotonic()
        answered: list[float] = []
        answer.add_done_callback(lambda _: rig.notice(lambda: answered.append(time.monotonic() - called)))
        waited = self._waited()
        latency = rig.show()
        rig.wait_for(lambda: answered, "the answer of ~/list")
        without_core = max(seconds - waited.get(thread, 0.0) for thread, seconds in self._waited().items())
        outcome.beats.append((latency["victim"], latency["twin"], answered[0], without_core))
        undisturbed = max(latency["twin"], float(np.median(outcome.quiet)))
        if max(latency["victim"], answered[0]) > undisturbed + without_core + HANG:
            outcome.hangs += 1
            self._fail(
                f"image {rig.index}: masklets after {latency['victim']:.2f} s, the twin's {latency['twin']:.2f} s,"
                f" ~/list after {answered[0]:.2f} s, {without_core:.2f} s of it without a core; sent before:"
                f" {'; '.join(self._burst)}"
            )
        self._compare()
        self._burst.clear()
        if random.random() < 0.15:
            how = ("click", "box", "mask")[random.integers(3)]
            self._prompt(int(random.integers(3)), how, replace=bool(random.integers(2)))
        strays = [one.object_id for one in answer.result().objects if one.object_id not in scene.GOOD_IDS]
        for object_id in strays[MAX_STRAYS:]:
            rig.ask(self._remove["victim"], srv.RemoveObject.Request(object_id=object_id))

    def _show_strange(self, random: np.random.Generator) -> None:
        """Shows both nodes an image that is unusual, or whose stamp lies ahead."""
        rig = self._rig
        self.outcome.strange += 1
        if random.random() < 0.15:
            image = rig.good_image(rig.index + 1)
            image.header.stamp = time_message(scene.stamp(rig.index) + int(10 ** random.uniform(9.5, 16)))
        else:
            rig.index += 1
            kind = images if rig.transport == "raw" else compressed_images
            image = kind.strange(random, scene.header(rig.index))
        for side in rig.sides:
            side.images[rig.transport].publish(image)

    def _settle(self, change: bool) -> None:
        """Waits until everything is answered, and counts what is not. Then, perhaps, objects come and go."""
        rig, outcome = self._rig, self.outcome
        complete = lambda: rig.answers.is_complete and not rig.unanswered_calls  # noqa: E731
        try:
            rig.wait_for(complete, "all answers", SETTLE_TIMEOUT)
        except Dead:
            if any(process.poll() is not None for process in rig.graph.processes.values()):
                raise
        outcome.memory.append(self._memory())
        missing_calls = rig.unanswered_calls
        outcome.calls += rig.calls.total()
        outcome.unanswered_calls += missing_calls.total()
        rig.calls, rig.answered = Counter(), Counter()
        prompts, missing, surplus = rig.answers.settle()
        outcome.prompts += prompts
        outcome.unanswered += missing.total()
        outcome.surplus += surplus.total()
        if missing or surplus or missing_calls:
            self._fail(
                f"up to message {self.sent}: prompts without an answer: {dict(missing)}, answers without a"
                f" prompt: {dict(surplus)}, calls without an answer: {dict(missing_calls)}"
            )
        if not change:
            return
        random = self._random(self.sent, 2)
        if random.random() < 0.3:
            self._rest(random)
        for one in rig.ask(self._list, srv.ListObjects.Request()).objects:
            if one.object_id not in scene.GOOD_IDS:
                rig.ask(self._remove["victim"], srv.RemoveObject.Request(object_id=one.object_id))
        if random.random() < 0.25:
            for client in self._reset:
                rig.ask(client, Trigger.Request())
            self._begin()
            return
        thing = int(random.integers(3))
        for client in self._remove.values():
            rig.ask(client, srv.RemoveObject.Request(object_id=scene.GOOD_IDS[thing]))
        self._prompt(thing, "box")

    def _rest(self, random: np.random.Generator) -> None:
        """Deactivates or pauses the victim, attacks it meanwhile, and lets it go on."""
        paused = random.random() < 0.5 and self._pause.service_is_ready()
        attacks = [attack for attack in self._attacks if paused or attack.while_inactive]
        if not attacks:
            return
        number = int(random.integers(1, 30))
        if paused:
            self._rig.ask(self._pause, Trigger.Request())
            for _ in range(number):
                self._send(attacks)
            self._rig.ask(self._resume, Trigger.Request())
        else:
            with self._rig.inactive():
                for _ in range(number):
                    self._send(attacks)
        self._rig.show(first=True)
        self._compare()

    def _compare(self) -> None:
        victim, twin = (side.masklets for side in self._rig.sides)
        self.outcome.images += len(twin)
        self._differ(differences(victim, twin, self._rounding))
        victim.clear()
        twin.clear()

    def _differ(self, lines: list[str]) -> None:
        self.outcome.differences += len(lines)
        for line in lines:
            self._fail(f"{line} (message {self.sent}); sent before: {'; '.join(self._burst)}")

    def _fail(self, line: str) -> None:
        self.outcome.failures.append(line)

    def _waited(self) -> dict[str, float]:
        """Seconds for which each thread of the victim has been ready to run without a core."""
        waited = {}
        for thread in Path(f"/proc/{self._rig.graph.processes['victim'].pid}/task").iterdir():
            try:
                waited[thread.name] = int((thread / "schedstat").read_text().split()[1]) / 1e9
            except OSError:  # it has ended
                continue
        return waited

    def _memory(self) -> float:
        """Resident memory of the victim, MB."""
        pages = Path(f"/proc/{self._rig.graph.processes['victim'].pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6
