"""`epochd up`: the API, the slots and the janitor as one service, started, started again when they end, and stopped.

Whatever becomes of the supervisor, SIGKILL included, nothing it started outlives it: each process reads from a pipe
that only the supervisor holds open, and ends with it (worker.lifeline).
"""

import http.client
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from epochd.listening import CannotServe, listen, reachable, url
from mlcore.openmp import environment, usable_cores
from store.datafolder import lock_data_folder
from store.startup import prepare
from worker import cards
from worker.cards import Card
from worker.settings import WorkerSettings
from worker.stopping import Stop, how_it_ended

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.1  # how often the supervisor looks at its processes
STEADY_SECONDS = 5.0  # a process that lived so long is started again at once; a slot is ready after some three
LONGEST_DELAY = 10.0
STOP_SECONDS = 9.0  # what a process gets to end by itself
READY_TIMEOUT = 1.0
MOST_SLOTS = 4


@dataclass(frozen=True)
class Options:
    """What to serve, where and with how many slots."""

    host: str
    port: int  # 0: any free one
    data: Path
    slots: int


@dataclass
class Supervised:
    """A process that is started again, later and later, whenever it ends."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    descriptors: tuple[int, ...]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    due_at: float = 0.0
    failures: int = 0
    last_end: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        """Start the process in a session of its own, so that Ctrl-C reaches the supervisor alone."""
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", *self.command],
            env={**os.environ, **self.environment, **self.last_end},
            pass_fds=self.descriptors,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.started_at = time.monotonic()

    def look(self) -> None:
        """Start the process again if it has ended and its time has come."""
        if self.process is not None and self.process.poll() is not None:
            self._ended(self.process.returncode)
            self.process = None
        if self.process is None and time.monotonic() >= self.due_at:
            try:
                self.start()
            except OSError as problem:  # for want of memory or processes, which may be there later
                self._failed(f"could not be started: {problem}", lived=0.0)

    def _ended(self, status: int) -> None:
        how = how_it_ended(status)
        self.last_end = {"EPOCHD_PREDECESSOR": f"its worker {how}"}
        self._failed(how, lived=time.monotonic() - self.started_at)

    def _failed(self, how: str, *, lived: float) -> None:
        self.failures = 0 if lived >= STEADY_SECONDS else self.failures + 1
        delay = 0.0 if self.failures <= 1 else min(0.5 * 2 ** (self.failures - 2), LONGEST_DELAY)
        self.due_at = time.monotonic() + delay
        logger.warning("%s %s; it is started again%s", self.name, how, f" in {delay:g} s" if delay else "")


def default_slots() -> int:
    """Return one slot per core, at most four; they share the cores, so each trains with cores / slots threads.

    Small runs gain nothing from a second thread, and with several slots they need not wait for a long one to end. A big
    MLP alone on idle cores would train 1.7 times as fast with two threads, but two of them no faster than side by side
    with one each. More than four slots cost memory, some 0.6 GB each with a data set; on more cores the threads grow
    instead.
    """
    return min(len(usable_cores()), MOST_SLOTS)


def serve(options: Options) -> None:
    """Serve until SIGINT or SIGTERM; raises CannotServe, or StoreError as for a data folder in use or old tables."""
    settings = WorkerSettings(data=options.data)
    with ExitStack() as stack:
        stack.enter_context(lock_data_folder(options.data))
        _prepare(settings)  # which may wait long, so signals end it as they end any program
        stop = Stop()
        # Opened here, so that requests wait, and are not refused, while the API is started again.
        listening = stack.enter_context(listen(options.host, options.port, settings.url))
        lifeline = stack.enter_context(_pipe())
        equipment = _equipment(options, settings)
        processes = _processes(options, equipment, listening, lifeline)
        stack.callback(_stop, processes)
        _tell(equipment, listening, options.data)
        _supervise(processes, listening, stop)


def _prepare(settings: WorkerSettings) -> None:
    """Bring the embedded database up to date and drop old hints: the database knows what waits."""
    prepare(settings)
    if settings.broker_url is None:
        shutil.rmtree(settings.broker_folder, ignore_errors=True)


@contextmanager
def _pipe() -> Iterator[int]:
    """Yield the end of a pipe to be read, the other end of which closes with this process at the latest."""
    read_end, write_end = os.pipe()
    try:
        yield read_end
    finally:
        os.close(read_end)
        os.close(write_end)


def _equipment(options: Options, settings: WorkerSettings) -> list[Card | None]:
    """Return what each slot trains on: the first ones on the cards there are, the others on the CPU (None)."""
    try:
        found = cards.for_device(settings.device)
    except cards.NoCard as problem:
        raise CannotServe(str(problem)) from problem
    per_card = settings.slots_per_card
    on_cards = [card.shared_by(per_card) for card in found for _ in range(per_card)]
    return [*on_cards, *[None] * (options.slots - len(on_cards))]


def _processes(
    options: Options, equipment: Sequence[Card | None], listening: socket.socket, lifeline: int
) -> list[Supervised]:
    cores = usable_cores()
    threads = max(1, len(cores) // len(equipment))
    common = {"EPOCHD_DATA": str(options.data), "EPOCHD_LIFELINE": str(lifeline)}
    serve_command = ["-m", "epochd.serve", "--socket", str(listening.fileno())]
    slots = [
        Supervised(
            f"slot-{number + 1}",
            ["-m", "worker"],
            {
                **common,
                **environment(cores[number * threads : (number + 1) * threads]),
                "EPOCHD_SLOT": f"slot-{number + 1}",
                "EPOCHD_THREADS": str(threads),
                **({"EPOCHD_DEVICE": "cpu"} if card is None else {"EPOCHD_DEVICE": "gpu", **card.environment}),
            },
            (lifeline,),
        )
        for number, card in enumerate(equipment)
    ]
    return [
        Supervised("api", serve_command, common, (lifeline, listening.fileno())),
        Supervised("janitor", ["-m", "worker.janitor"], common, (lifeline,)),
        *slots,
    ]


def _supervise(processes: list[Supervised], listening: socket.socket, stop: Stop) -> None:
    is_announced = False
    is_told = False
    while not is_told:
        for process in processes:
            process.look()
        if not is_announced and _is_ready(listening):
            is_announced = True
            print(f"epochd is ready at {url(listening)}", flush=True)
        is_told = stop.wait(LOOK_SECONDS)


def _stop(processes: list[Supervised]) -> None:
    """Ask every process to end, and kill what has not after nine seconds."""
    print("stopping …", flush=True)
    running = [each.process for each in processes if each.process is not None]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_ready(listening: socket.socket) -> bool:
    host, port = reachable(listening)
    connection = http.client.HTTPConnection(host, port, timeout=READY_TIMEOUT)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _tell(equipment: Sequence[Card | None], listening: socket.socket, data: Path) -> None:
    slots = "1 slot" if len(equipment) == 1 else f"{len(equipment)} slots"
    for card in equipment:
        slots += "" if card is None else f", one on {card.name}"
    print(f"epochd starts at {url(listening)} with {slots}; Ctrl-C stops it", flush=True)
    print(f"data folder: {data}", flush=True)
