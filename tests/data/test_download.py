"""Downloads against real local servers: whole, cut short and resumed, wrong, without ranges, absent."""

import http.server
import socketserver
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from improved_gan.data.dataset import DataError
from improved_gan.data.download import cache_folder, download

CONTENT = bytes(range(256)) * 2000


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT; the path says how badly."""

    ranges: list[str | None] = []  # noqa: RUF012 (what each request asked for, for the tests)

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        body = CONTENT
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        if self.path.startswith("/num_errors"):
            body = CONTENT[:-1] + b"?"
        if start >= len(body):
            self.send_error(416)
            return
        partial = asked is not None and not self.path.startswith("/no-ranges")
        body = body[start:] if partial else body
        self.send_response(206 if partial else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.path.startswith("/cut") else body)

        if self.path.startswith("/slow"):
            time.sleep(0.3)  # so that the others meet the lock

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(reply: bytes) -> Iterator[str]:
    """A server that gives these bytes, whatever is asked."""

    class Fixed(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while b"\r\n\r\n" not in self.request.recv(4096):
                pass
            with suppress(OSError):  # who asked may have heard enough
                self.request.sendall(reply)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Fixed) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}/file"
        running.shutdown()
        thread.join()


@pytest.fixture
def server() -> Iterator[str]:
    Handler.ranges.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def check(path: Path) -> None:
    if path.read_bytes() != CONTENT:
        raise DataError("another sum")


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def get(target: Path, *urls: str) -> None:
    download(urls, target, check=check, remedy="or use --data DIR", largest=2 * len(CONTENT))


def test_whole_file_and_nothing_else_is_left(server: str, tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.gz"
    get(target, f"{server}/good")
    assert target.read_bytes() == CONTENT
    assert left(target.parent) == ["file.gz"]


def test_the_next_mirror_continues_where_one_broke_off(server: str, tmp_path: Path) -> None:
    get(tmp_path / "file.gz", f"{server}/missing", f"{server}/cut", f"{server}/good")
    assert (tmp_path / "file.gz").read_bytes() == CONTENT
    assert Handler.ranges == [None, None, f"bytes={len(CONTENT) // 2}-"]


def test_the_next_call_continues_too(server: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"ended after {len(CONTENT) // 2} of {len(CONTENT)} bytes"):
        get(tmp_path / "file.gz", f"{server}/cut")
    assert not (tmp_path / "file.gz").exists()
    get(tmp_path / "file.gz", f"{server}/good")
    assert (tmp_path / "file.gz").read_bytes() == CONTENT
    assert Handler.ranges[-1] == f"bytes={len(CONTENT) // 2}-"


def test_a_server_without_ranges_sends_it_all_anew(server: str, tmp_path: Path) -> None:
    (tmp_path / "file.part.gz").write_bytes(CONTENT[:1000])
    get(tmp_path / "file.gz", f"{server}/no-ranges")
    assert (tmp_path / "file.gz").read_bytes() == CONTENT


def test_a_whole_part_needs_no_more_bytes(server: str, tmp_path: Path) -> None:
    (tmp_path / "file.part.gz").write_bytes(CONTENT)
    get(tmp_path / "file.gz", f"{server}/good")
    assert (tmp_path / "file.gz").read_bytes() == CONTENT


def test_a_wrong_file_never_gets_its_name_and_does_not_spoil_the_next_mirror(server: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="another sum"):
        get(tmp_path / "file.gz", f"{server}/num_errors")
    assert left(tmp_path) == []
    get(tmp_path / "file.gz", f"{server}/num_errors", f"{server}/good")
    assert (tmp_path / "file.gz").read_bytes() == CONTENT


def test_a_part_that_was_wrong_is_fetched_anew_from_the_same_mirror(server: str, tmp_path: Path) -> None:
    (tmp_path / "file.part.gz").write_bytes(b"x" * 1000)
    get(tmp_path / "file.gz", f"{server}/good")
    assert (tmp_path / "file.gz").read_bytes() == CONTENT
    (tmp_path / "file.part.gz").write_bytes(CONTENT + b"more than there is")
    (tmp_path / "file.gz").unlink()
    get(tmp_path / "file.gz", f"{server}/good")
    assert (tmp_path / "file.gz").read_bytes() == CONTENT


def test_a_file_that_another_process_has_fetched_is_taken_and_a_wrong_one_replaced(server: str, tmp_path: Path) -> None:
    (tmp_path / "file.gz").write_bytes(CONTENT)
    get(tmp_path / "file.gz", f"{server}/missing")
    assert Handler.ranges == []
    (tmp_path / "file.gz").write_bytes(b"wrong")
    get(tmp_path / "file.gz", f"{server}/good")
    assert (tmp_path / "file.gz").read_bytes() == CONTENT


def test_side_by_side_one_fetches_and_all_end_with_the_file(server: str, tmp_path: Path) -> None:
    """Three threads: a lock of one of them holds off the others as it does processes."""
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(get, tmp_path / "file.gz", f"{server}/slow") for _ in range(3)]:
            done.result()
    assert (left(tmp_path), (tmp_path / "file.gz").read_bytes() == CONTENT) == (["file.gz"], True)
    assert Handler.ranges == [None]


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\n"
PART = b"HTTP/1.1 206 Partial Content\r\n"


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (HEAD + b"Content-Length: lots\r\n\r\nabc", "Content-Length is not a number: 'lots'"),
        (HEAD + b"Content-Length: -7\r\n\r\nabc", "Content-Length is not a number: '-7'"),
        (HEAD + b"Content-Length: 99999999\r\n\r\nabc", "announces 99,999,999 bytes, where at most 1,024,000 are"),
        (HEAD + b"\r\n" + bytes(1_100_000), "sends more than the 1,024,000 bytes"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n10\r\nabc", "ended within a chunk"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n", "ended within a chunk"),
        (
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + (b"80000\r\n" + bytes(0x80000) + b"\r\n") * 3,
            "sends more than",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<h1>Log in</h1>", "web page .*login page"),
        (PART + b"Content-Range: bytes 5-9/10\r\n\r\nabc", "responds with 'bytes 5-9/10', where the bytes from 0 on"),
        (PART + b"Content-Range: \xff\xfe\r\n\r\nabc", "where the bytes from 0 on"),
        (b"HTTP/1.1 200 \x1b[31mred\r\n\r\nabc", "another sum"),
        (b"HTTP/1.1 404 \x1b[31mred\r\n\r\nabc", r"404: \?\[31mred"),
        (b"nonsense\r\n\r\n", "nonsense"),
        (b"", "closed connection"),
        (b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n", "file:///etc/passwd"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300 + b"\r\n", "headers"),
        (b"HTTP/1.1 200 " + b"x" * 70_000 + b"\r\n\r\n", "more than 65536 bytes|reset"),
    ],
)
def test_a_malformed_reply_is_one_line(reply: bytes, message: str, tmp_path: Path) -> None:
    with answering(reply) as address, pytest.raises(DataError, match=message) as error:
        get(tmp_path / "file.gz", address)
    text = str(error.value)
    assert text.isprintable()
    assert len(text) < 600
    assert text.startswith(f"could not download file.gz ({address}: ")


def test_another_part_than_was_asked_for_does_not_spoil_the_file(server: str, tmp_path: Path) -> None:
    (tmp_path / "file.part.gz").write_bytes(CONTENT[:100])
    with answering(PART + b"Content-Range: bytes 0-9/10\r\nContent-Length: 10\r\n\r\n0123456789") as address:
        get(tmp_path / "file.gz", address, f"{server}/good")
    assert (tmp_path / "file.gz").read_bytes() == CONTENT


def test_a_folder_that_cannot_be_written_is_one_line(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot write into .*: set IMPROVED_GAN_CACHE, or use --data DIR"):
        get(tmp_path / "file" / "below" / "file.gz", f"{server}/good")


def test_an_address_that_is_none_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"could not download file.gz \(http://\[::1/x: Invalid IPv6 URL\)"):
        get(tmp_path / "file.gz", "http://[::1/x")


def test_no_network_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        get(tmp_path / "file.gz", "http://127.0.0.1:9/one", "http://127.0.0.1:9/two")
    message = str(error.value)
    assert message.startswith("could not download file.gz")
    assert message.count("refused") == 2
    assert message.endswith("check the network and try again, or use --data DIR")
    assert "\n" not in message


def test_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("IMPROVED_GAN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "improved-gan"
    monkeypatch.setenv("IMPROVED_GAN_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


def test_without_a_home_directory_the_cache_must_be_named(
    no_home: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="no home directory for the cache: set IMPROVED_GAN_CACHE"):
        cache_folder()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "improved-gan"
