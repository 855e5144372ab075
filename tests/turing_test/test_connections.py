import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from improved_gan.turing_test.connections import Connections, most_connections

FILES = 400  # of which the server keeps 320 for what is under way: 80 connections
SERVER = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[2])))
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from improved_gan.turing_test import connections
from improved_gan.turing_test.limits import BodyLimit
from improved_gan.turing_test.server import run_server
connections.HEAD_SECONDS = 1.0
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
