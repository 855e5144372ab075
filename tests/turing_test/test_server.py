import http.client
import json
import logging
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import pytest

from improved_gan.turing_test.beginning import begin
from improved_gan.turing_test.database import open_database, writing
from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.records import read_study_votes
from improved_gan.turing_test.security import csrf_token
from improved_gan.turing_test.server import (
    Connections,
    OnceInAWhile,
    check_host,
    log_lines_once,
    most_connections,
    run_server,
)
from improved_gan.turing_test.studies import find_study
from tests.command_line import Started, start


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.5", "example.org"])
def test_other_machines_are_let_in_only_when_asked_for(host: str) -> None:
    with pytest.raises(TuringTestError, match="add --public"):
        check_host(host, public=False)
    assert check_host(host, public=True)
    assert not check_host("localhost", public=False)
    assert not check_host("::1", public=False)


def test_a_taken_port_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(TuringTestError, match="give another --port"):
            run_server(None, host="127.0.0.1", port=taken.getsockname()[1])


def serve(folders, db: str, port: int) -> Started:
    words = ["--real", folders.real, *(w for n, f in folders.generated.items() for w in ("--generated", f"{n}={f}"))]
    words += ["--db", db, "--port", str(port), "--trials", "400", "--requests-per-second", "5000"]
    process = start("turing-test", "serve", *words)
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return process
        except OSError:
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
    raise AssertionError("the server did not start")


def stop(server: Started, kind: int) -> tuple[str, str]:
    server.send_signal(kind)
    return server.communicate(timeout=30)


@pytest.mark.slow
def test_a_killed_server_loses_and_doubles_no_answer(database: str, folders) -> None:
    """SIGKILL while an answer is under way, three times; what was not confirmed is sent again, as the page does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server, engine = serve(folders, database, port), open_database(database)
    try:
        with writing(engine) as connection:
            study = find_study(connection)
            token = begin(connection, study, None)
        headers = {"Cookie": f"visitor={'v' * 32}; judge-{study.slug}={token}", "Content-Type": "application/json",
                   "X-CSRF-Token": csrf_token(study, "v" * 32)}  # fmt: skip
        position, kills = 0, [10, 20, 30]
        while position < 40:
            choice = "generated" if position % 3 == 0 else "real"
            body = json.dumps({"number": position, "choice": choice, "response_ms": 500}).encode()
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            client.request("POST", f"/s/{study.slug}/answer", body, headers)
            if position in kills:
                kills.remove(position)
                time.sleep(0.002 * len(kills))
                stop(server, signal.SIGKILL)
                client.close()
                server = serve(folders, database, port)
                continue
            position = json.load(client.getresponse())["position"]
            client.close()
        with engine.connect() as connection:
            votes = read_study_votes(connection, study)
        assert votes.trial.tolist() == list(range(40))
        assert votes.response.tolist() == [number % 3 == 0 for number in range(40)]
    finally:
        engine.dispose()
        out, error = stop(server, signal.SIGTERM)
    assert "Traceback" not in error
    assert "this study existed" in out


FILES = 400  # of which the server keeps 320 for what is under way: 80 connections
SERVER = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[2])))
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from improved_gan.turing_test import server
from improved_gan.turing_test.limits import BodyLimit
from improved_gan.turing_test.server import run_server
server.HEAD_SECONDS = 1.0
async def take(request):
    return PlainTextResponse(str(len(await request.body())))
routes = [Route("/", take, methods=["GET", "POST"])]
app = Starlette(routes=routes, middleware=[Middleware(BodyLimit, most=1000, seconds=1.0)])
run_server(app, host="127.0.0.1", port=int(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    pytest.importorskip("resource")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(number), str(FILES)], stderr=subprocess.PIPE, text=True
    )
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", number), 1).close()
            break
        except OSError:
            assert server.poll() is None, server.stderr.read()
            time.sleep(0.1)
    yield number
    server.send_signal(signal.SIGTERM)
    _, log = server.communicate(timeout=30)
    assert len(log.splitlines()) < 10, log[:2000]
    assert "Traceback" not in log


def ask(port: int) -> int:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=1.5)
    try:
        client.request("GET", "/")
        return client.getresponse().status
    finally:
        client.close()


def test_others_are_answered_at_once_while_more_connections_than_files_wait(port: int) -> None:
    held = []
    try:
        for _ in range(FILES + 100):
            one = socket.create_connection(("127.0.0.1", port), 3)
            one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
            held.append(one)
            if len(held) % 100 == 0:
                assert ask(port) == 200
        assert ask(port) == 200
    finally:
        for one in held:
            one.close()


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"])
def test_a_request_that_is_not_finished_in_time_is_told_so_and_closed(port: int, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), 6) as one:
        one.sendall(sent)
        start, reply = time.monotonic(), b""
        while chunk := one.recv(4096):
            reply += chunk
    assert 0.7 < time.monotonic() - start < 4.5
    assert reply.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in reply.lower()


def drip(port: int, part: bytes, pause: float, seconds: float) -> float:
    """Seconds until the server has closed a connection that sends parts of a head without end."""
    with socket.create_connection(("127.0.0.1", port), 6) as one:
        one.sendall(b"GET / HTTP/1.1\r\n")
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            one.sendall(part)
            time.sleep(pause)
    return seconds


def test_dripped_bytes_win_no_time_and_a_head_without_end_is_closed(port: int) -> None:
    for part, pause, seconds in ((b"X: y\r\n", 0.2, 4), (b"X: " + b"y" * 1000 + b"\r\n", 0.0, 1.5)):
        with pytest.raises(OSError, match=r"(?i)reset|broken"):
            drip(port, part, pause, seconds)


def test_two_requests_over_one_connection_and_a_pause_between_them(port: int) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    for _ in range(2):
        client.request("POST", "/", b"four")
        assert client.getresponse().read() == b"4"
        time.sleep(1.4)  # longer than a head may take: between requests the longer limit of idle connections holds
    client.close()


def test_full_the_oldest_unfinished_of_the_greediest_address_gives_way() -> None:
    dropped: list[str] = []

    def enter(name: str, address: str) -> bool:
        return connections.enter(name, address, lambda: dropped.append(name))

    connections = Connections(4, 3)
    assert [enter(f"a{k}", "1.1.1.1") for k in range(4)] == [True, True, True, False]
    assert enter("b", "2.2.2.2")
    connections.finished_request("a0", "1.1.1.1")
    assert enter("c", "3.3.3.3")
    assert dropped == ["a1"]
    for name, address in (("a2", "1.1.1.1"), ("b", "2.2.2.2"), ("c", "3.3.3.3")):
        connections.finished_request(name, address)
    assert not enter("d", "4.4.4.4")  # all have finished a request: nobody is cut off
    connections.leave("c", "3.3.3.3")
    assert enter("d", "4.4.4.4")
    assert len(connections) == 4


def test_addresses_of_this_machine_share_the_whole() -> None:
    connections = Connections(5, 2)
    assert [connections.enter(k, "127.0.0.1", lambda: None) for k in range(5)] == [True] * 5


def test_there_is_room_for_connections() -> None:
    assert 16 <= most_connections() <= 2000


def line(words: str, *values: object, error: Exception | None = None) -> logging.LogRecord:
    shown = None if error is None else (type(error), error, None)
    return logging.LogRecord("server", logging.WARNING, "", 0, words, values, shown)


def test_lines_of_one_kind_are_written_once_and_counted() -> None:
    now = [0.0]
    once = OnceInAWhile(seconds=10, clock=lambda: now[0])
    assert [once.filter(line("from %s", k)) for k in range(1000)] == [True] + [False] * 999
    assert once.filter(line("another"))
    assert once.filter(line("from %s", 0, error=OSError()))
    assert once.filter(line("from %s", 0, error=ValueError()))
    now[0] = 11.0
    later = line("from %s", "here")
    assert once.filter(later)
    assert later.getMessage() == "from here (999 more such lines since the last one)"
    assert not once.filter(line("from %s", "here"))


def test_memory_is_bounded() -> None:
    once = OnceInAWhile(seconds=10, most_kinds=5)
    assert all(once.filter(line(f"kind {k}")) for k in range(100))
    assert len(once._seen) == 5


def test_the_loggers_are_left_as_they_were(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("asyncio")
    before = list(logger.filters)
    with caplog.at_level(logging.WARNING), log_lines_once():
        for _ in range(50):
            logger.warning("out of files")
    assert [one.message for one in caplog.records] == ["out of files"]
    assert logger.filters == before
