"""A fleet of workers on Ray, on this machine or on a cluster."""

from __future__ import annotations

import os
import socket
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray.exceptions import RayActorError, RayError, WorkerCrashedError

from sam2_ros.fleet.job import Job
from sam2_ros.fleet.piece import Outcome, Piece
from sam2_ros.fleet.plan import Machine, Plan, plan
from sam2_ros.fleet.worker import Board, Setup, Worker

RETRIES = 3
"""How often a piece is tried again whose worker was killed."""

REACH = 10.0
"""Seconds for a cluster to answer."""

POLL = 0.3
"""Seconds between two looks at the progress."""

STORE = 100 * 2**20
"""Bytes of Ray's object store on this machine: only names and numbers go through it."""

Call = TypeVar("Call", bound=tuple)
Progress = Callable[[float, float], None]
"""Called with the number of images that are done, of all recordings together, and their number."""


@dataclass(frozen=True)
class News:
    """Callbacks about a run."""

    on_progress: Progress = lambda done, total: None
    on_outcome: Callable[[Outcome], None] = lambda outcome: None
    """A piece is done, or has failed."""
    on_restart: Callable[[str], None] = lambda piece: None
    """The worker of a piece was killed, and it goes on in another one."""


TOKEN = (
    "If it asks for a token, as clusters do where one was made: RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or"
    " ~/.ray/auth_token with the cluster's"
)
"""What to do if a cluster that is there does not answer."""


@contextmanager
def started(workers: int | None = None, address: str | None = None, gpus: float | None = None) -> Iterator[Plan]:
    """Start Ray on this machine, or connect to a cluster. When the context is left, all workers end.

    Args:
        workers, gpus: see `plan`.
        address: of a cluster: `auto`, `HOST:6379`; None: this machine, where Ray runs for this run alone.

    Raises:
        ValueError: see `plan`.
        ConnectionError: there is no cluster at this address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # sends nothing
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # as Ray will do
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    cpus = len(os.sched_getaffinity(0))
    if address is None:
        slots = max(cpus, workers or 1)
        ray.init("local", num_cpus=slots, include_dashboard=False, object_store_memory=STORE, **quiet)
    else:
        _check_reachable(address)
        try:
            ray.init(address, **quiet)
        except ConnectionError as error:
            raise ConnectionError(f"{error}. {TOKEN}") from error
    try:
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        machines = [Machine(int(one.get("CPU", 0)), int(one.get("GPU", 0))) for one in alive]
        machines = [machine for machine in machines if machine.cpus]
        if not machines:
            raise ValueError("no machine of the cluster has a CPU to spare")
        chosen = plan(machines, workers, gpus)
        if address is None:  # more workers than CPUs share them
            chosen = replace(chosen, cpus=max(1, min(chosen.cpus, cpus // chosen.workers)))
        yield chosen
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise ConnectionError if nothing answers: Ray would wait for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "://" not in address:
        try:
            socket.create_connection((host, int(port)), timeout=REACH).close()
        except OSError as error:
            raise ConnectionError(
                f"there is no Ray cluster at {address} (--address): {error.strerror or error}"
            ) from error


def run(
    job: Job,
    recordings: Sequence[tuple[str, Path]],
    chosen: Plan,
    weights: str,
    news: News | None = None,
    retries: int = RETRIES,
    threads: int | None = None,
) -> list[Outcome]:
    """Do a job with recordings. Ray must be there (`started`).

    Every piece is done by one worker, on its own, so that its results are those of one machine. A piece whose worker
    is killed is done again, by Ray, and goes on where it was.

    Args:
        recordings: names and paths.
        weights: digest of the network's weights.
        retries: how often a piece is tried again whose worker was killed.
        threads: of each worker; None: one a CPU. With other numbers, scores differ in their last bits.

    Returns:
        What became of each piece, in the order of recordings.

    Raises:
        OSError: the output folder cannot be written.
    """
    job.out.mkdir(parents=True, exist_ok=True)
    marker = job.out / f".fleet-{uuid.uuid4().hex}"
    marker.touch()
    board: Any = ray.remote(Board).options(num_cpus=0, max_restarts=-1).remote()
    setup = Setup(job, threads or chosen.cpus, weights, marker, board)
    try:
        return _Run(setup, chosen, news or News(), retries).all(recordings)
    finally:
        with suppress(OSError):
            marker.unlink()


class _Run:
    """One run: all recordings are looked at first, then all pieces are done, the longest first."""

    def __init__(self, setup: Setup, chosen: Plan, news: News, retries: int) -> None:
        self._board = setup.board
        worker: Any = ray.remote(Worker).options(
            num_cpus=chosen.cpus, num_gpus=chosen.gpus, max_restarts=-1, max_task_retries=retries
        )
        self._workers = [worker.remote() for _ in range(chosen.workers)]
        self._setup = setup
        self._news, self._retries = news, retries
        self._progress = _Progress(news)

    def all(self, recordings: Sequence[tuple[str, Path]]) -> list[Outcome]:
        found: dict[str, Sequence[Piece]] = {}
        outcomes: dict[str, Outcome] = {}
        looks = [(name, path, path.exists()) for name, path in recordings]
        for (name, path, _), answer in self._each("look", looks, are_last=False):
            if isinstance(answer, RayError):
                answer = self._killed(Piece(name, path, 0), answer)
            if isinstance(answer, Outcome):
                found[name], outcomes[answer.piece.name] = [answer.piece], answer
                self._news.on_outcome(answer)
            else:
                found[name] = answer
        pieces = [piece for name, _ in recordings for piece in found[name]]
        todo = sorted((piece for piece in pieces if piece.name not in outcomes), key=lambda piece: -piece.images)
        self._progress.pieces = todo
        for (piece,), answer in self._each("work", [(piece,) for piece in todo], are_last=True):
            if isinstance(answer, RayError):
                answer = self._killed(piece, answer)
            outcomes[piece.name] = answer
            self._progress.finished.add(piece.name)
            self._news.on_outcome(answer)
        return [outcomes[piece.name] for piece in pieces]

    def _each(self, method: str, calls: Sequence[Call], are_last: bool) -> Iterator[tuple[Call, Any]]:
        """Call a method of the workers with all these arguments, and yield each with its answer, or with a RayError.

        This is `ray.util.ActorPool`, which does not tell whose answer an error is, and keeps idle workers.

        Args:
            are_last: workers that have nothing to do are ended.
        """
        waiting, idle = deque(calls), list(self._workers)
        running: dict[Any, tuple[Call, Any]] = {}
        while waiting or running:
            while waiting and idle:
                call, worker = waiting.popleft(), idle.pop(0)
                running[getattr(worker, method).remote(self._setup, *call)] = call, worker
            while are_last and idle:  # a worker whose machine is lost needs a place where it can go on
                ray.kill(idle.pop())
            done, _ = ray.wait(list(running), timeout=POLL)
            self._show_progress()
            for answer in done:
                call, worker = running.pop(answer)
                idle.append(worker)
                try:
                    yield call, ray.get(answer)
                except RayError as error:
                    yield call, error
        self._show_progress()

    def _show_progress(self) -> None:
        if self._progress.pieces:
            with suppress(RayError):  # its process was killed, and begins again
                self._progress.show(*ray.get(self._board.now.remote()))

    def _killed(self, piece: Piece, error: RayError) -> Outcome:
        """What became of a piece that ended with an error of Ray."""
        if isinstance(error, (RayActorError, WorkerCrashedError)):
            reason = f"its workers were killed, {self._retries + 1} times; is there enough memory?"
            return Outcome(piece, "failed", reason, starts=self._retries + 1)
        return Outcome(piece, "failed", " ".join(str(error).split())[-300:])


class _Progress:
    """Adds up the progress of pieces, as images of the recordings. Pieces may take several passes over theirs."""

    def __init__(self, news: News) -> None:
        self._news = news
        self._starts: dict[str, int] = {}
        self.pieces: Sequence[Piece] = ()
        self.finished: set[str] = set()

    def show(self, starts: Mapping[str, int], passes: Mapping[str, tuple[int, int]]) -> None:
        for name, count in starts.items():
            if count > max(1, self._starts.get(name, 1)):
                self._news.on_restart(name)
        self._starts = dict(starts)
        images = {piece.name: piece.images or passes.get(piece.name, (0, 0))[1] for piece in self.pieces}
        known = [count for count in images.values() if count]
        mean = sum(known) / len(known) if known else 0.0
        total = done = 0.0
        for name, count in images.items():
            total += count or mean
            passed, of = passes.get(name, (0, 0))
            share = 1.0 if name in self.finished else passed / of if of else 0.0
            done += share * (count or mean)
        self._news.on_progress(done, total)
