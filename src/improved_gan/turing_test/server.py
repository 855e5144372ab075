"""Run the server: the addresses from which it is reachable, and the messages at its start."""

import asyncio
import ipaddress
import logging
import socket
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_address
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from improved_gan.turing_test.errors import TuringTestError

__all__ = [
    "PUBLIC_WARNING",
    "Connection",
    "Connections",
    "OnceInAWhile",
    "check_host",
    "limited_protocol",
    "log_lines_once",
    "most_connections",
    "run_server",
]

HEAD_SECONDS = 10.0  # for the head of a request, counted from the connection or from the head's first byte
STALLED_SECONDS = 60.0  # for a client that stops reading its reply
HEAD_BYTES = 65_536
BACKLOG = 64  # connections that the event loop accepts in one go
# What was accepted but not admitted is closed some rounds of the event loop later; database and pictures need files.
_SPARE = 4 * BACKLOG + 64
_MOST = 2000
_NO_LIMIT = 1024  # Windows tells no limit of files


def most_connections() -> int:
    """Connections that fit below this process's limit of open files, which is raised as far as it needs to be."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return _NO_LIMIT - _SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted = _MOST + _SPARE
    raised = wanted if hard == unlimited else min(wanted, hard)
    if soft not in (unlimited, raised) and soft < raised:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft = raised
    return _MOST if soft == unlimited else max(16, min(_MOST, soft - _SPARE))


class Connections:
    """Who is connected. Full, it lets a new connection in for the oldest one that never finished a request.

    That one is taken from the address that has most of them, so an address with a thousand unfinished requests does not
    displace one with a single slow one. Addresses of this machine have no bound of their own: a proxy speaks for many.

    Args:
        most: connections in all.
        most_per_address: connections of one network address.
    """

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most, self._most_per_address = most, most_per_address
        self._count: Counter[str] = Counter()
        self._unfinished: dict[str, dict[Any, Callable[[], None]]] = {}

    def __len__(self) -> int:
        return self._count.total()

    def enter(self, one: Any, address: str, drop: Callable[[], None]) -> bool:
        """Whether there is room; then `one` is counted until it leaves, and `drop` is called if it has to give way."""
        if self._count[address] >= self._most_per_address and not _is_loopback(address):
            return False
        if len(self) >= self._most and not self._make_room():
            return False
        self._count[address] += 1
        self._unfinished.setdefault(address, {})[one] = drop
        return True

    def finished_request(self, one: Any, address: str) -> None:
        """It has sent a whole request, so it does not have to give way any more."""
        waiting = self._unfinished.get(address, {})
        waiting.pop(one, None)
        if not waiting:
            self._unfinished.pop(address, None)

    def leave(self, one: Any, address: str) -> None:
        """It is closed."""
        self.finished_request(one, address)
        self._count[address] -= 1
        if self._count[address] <= 0:
            del self._count[address]

    def _make_room(self) -> bool:
        if not self._unfinished:
            return False
        address = max(self._unfinished, key=lambda one: len(self._unfinished[one]))
        oldest, drop = next(iter(self._unfinished[address].items()))
        self.leave(oldest, address)
        drop()
        return True


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def limited_protocol(connections: Connections) -> Any:
    """What uvicorn's `http` setting takes: makes a Connection around its own protocol."""
    return partial(Connection, connections=connections)


class Connection(asyncio.Protocol):
    """One connection: admitted or closed, closed when a request's head or the reading of a reply takes too long."""

    def __init__(self, *, connections: Connections, **words: Any) -> None:
        self._inner: Any = AutoHTTPProtocol(**words)
        self._loop = words.get("_loop") or asyncio.get_running_loop()
        self._connections = connections
        self._transport: Any = None
        self._address = ""
        self._is_counted = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand the connection on if there is room for it."""
        self._transport = transport
        self._address = (transport.get_extra_info("peername") or ("",))[0]
        self._is_counted = self._connections.enter(self, self._address, self._give_way)
        if not self._is_counted:
            self._transport.abort()
            return
        self._inner.connection_made(transport)
        self._head_timer = self._loop.call_later(HEAD_SECONDS, self._too_slow)

    def data_received(self, data: bytes) -> None:
        """Hand the bytes on; then see whether a head is still unfinished."""
        if not self._is_counted or self._transport.is_closing():
            return
        self._inner.data_received(data)
        cycle = self._inner.cycle
        if cycle is not None and not cycle.response_complete:  # the head is there: the body has a limit of its own
            self._stop_head_timer()
            if not cycle.more_body:
                self._connections.finished_request(self, self._address)
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES:
            self._transport.abort()
        elif self._head_timer is None:
            self._head_timer = self._loop.call_later(HEAD_SECONDS, self._too_slow)

    def eof_received(self) -> bool | None:
        """The client has sent all it wants to."""
        return self._inner.eof_received() if self._is_counted else None

    def pause_writing(self) -> None:
        """The client does not read its reply."""
        self._inner.pause_writing()
        self._stall_timer = self._loop.call_later(STALLED_SECONDS, self._transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        self._stop_stall_timer()
        self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        """Closed, by whomever."""
        self._stop_head_timer()
        self._stop_stall_timer()
        was_made = self._inner.transport is not None
        if self._is_counted:
            self._is_counted = False
            self._connections.leave(self, self._address)
        if was_made:
            self._inner.connection_lost(error)

    def _give_way(self) -> None:
        self._is_counted = False  # `Connections` has taken it off its count already
        self._transport.abort()

    def _too_slow(self) -> None:
        self._head_timer = None
        if self._transport.is_closing():
            return
        self._transport.write(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        self._transport.abort() if self._transport.get_write_buffer_size() else self._transport.close()

    def _stop_head_timer(self) -> None:
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None


_LOGGERS = ("uvicorn.error", "asyncio", "improved_gan.turing_test")


class OnceInAWhile(logging.Filter):
    """Lets a line through once in `seconds`; the next one of its kind says how many were left out.

    Lines are of one kind if they have the same template and, where they carry a traceback, the same type of error.

    Example:
        >>> once = OnceInAWhile(seconds=60)
        >>> line = logging.LogRecord("name", logging.WARNING, "", 0, "no %s", ("file",), None)
        >>> once.filter(line), once.filter(line)
        (True, False)
    """

    def __init__(self, *, seconds: float, clock: Callable[[], float] = time.monotonic, most_kinds: int = 1000) -> None:
        super().__init__()
        self._seconds, self._clock, self._most_kinds = seconds, clock, most_kinds
        self._seen: OrderedDict[tuple[object, ...], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        now = self._clock()
        error = record.exc_info[0] if record.exc_info else None
        kind = (record.name, record.levelno, str(record.msg), error)
        then, left_out = self._seen.pop(kind, (-float("inf"), 0))
        if now - then < self._seconds:
            self._seen[kind] = (then, left_out + 1)
            return False
        self._seen[kind] = (now, 0)
        if len(self._seen) > self._most_kinds:
            self._seen.popitem(last=False)
        if left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out} more such lines since the last one)", ()
        return True


@contextmanager
def log_lines_once(*, seconds: float = 10.0) -> Iterator[None]:
    """What the server, the event loop and this room log, once in `seconds` for each kind of line."""
    once = OnceInAWhile(seconds=seconds)
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(once)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(once)


PUBLIC_WARNING = (
    "this server can be reached from other machines. It speaks plain HTTP: for judges outside this network put a proxy "
    "with TLS before it (docs/turing_test.md), and keep the researcher's token to yourself"
)


def check_host(host: str, *, public: bool) -> bool:
    """Whether the address can be reached from other machines.

    Raises:
        TuringTestError: it can, and that was not asked for with --public.

    Example:
        >>> check_host("127.0.0.1", public=False), check_host("0.0.0.0", public=True)
        (False, True)
    """
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback and not public:
        raise TuringTestError(
            f"--host {host} can be reached from other machines: add --public if that is what you want"
        )
    return not loopback


def run_server(app: Starlette, *, host: str, port: int) -> None:
    """Serve until Ctrl-C or SIGTERM; answers that are under way are finished and written.

    Raises:
        TuringTestError: the port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise TuringTestError(
            f"cannot listen on {host}:{port}: {error.strerror or error}: give another --port"
        ) from error
    most = most_connections()
    config = uvicorn.Config(
        app, host=host, port=port, log_level="warning", access_log=False, server_header=False, ws="none",
        loop="asyncio", backlog=BACKLOG,  # this loop accepts BACKLOG connections in one go, uvloop without a bound
        http=limited_protocol(Connections(most, max(8, most // 4))),
        timeout_graceful_shutdown=5, timeout_keep_alive=20,
    )  # fmt: skip
    with log_lines_once():
        uvicorn.Server(config).run()
