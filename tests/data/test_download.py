"""Downloads against real local servers: whole, cut short and resumed, wrong, without ranges, absent."""

import http.server
import threading
from collections.abc import Iterator
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
        if self.path.startswith("/wrong"):
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

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Handler.ranges.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def check(path: Path) -> None:
    if path.read_bytes() != CONTENT:
        raise DataError("another sum")


def get(target: Path, *urls: str) -> None:
    download(urls, target, check=check, remedy="or use --data DIR")


def test_whole_file_and_nothing_else_is_left(server: str, tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.gz"
    get(target, f"{server}/good")
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]


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
        get(tmp_path / "file.gz", f"{server}/wrong")
    assert list(tmp_path.iterdir()) == []
    get(tmp_path / "file.gz", f"{server}/wrong", f"{server}/good")
    assert (tmp_path / "file.gz").read_bytes() == CONTENT


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
