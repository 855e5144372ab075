"""Download files from the first mirror that responds; downloads resume, are verified, and are renamed when complete.

One process at a time fetches a file, the others wait for it; a reply that is malformed, larger than the file can be, or
a web page is one line with the mirror's address.
"""

import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from improved_gan.data.dataset import DataError
from improved_gan.data.waiting_lock import waiting_lock

__all__ = ["cache_folder", "download", "offline"]

_CHUNK = 1 << 16
_TIMEOUT = 20  # seconds without a byte
_LARGEST = 1 << 30  # bytes
_ALLOWED = ContextVar("downloads are allowed", default=True)


def cache_folder() -> Path:
    """Where downloads are kept: IMPROVED_GAN_CACHE, else improved-gan in XDG_CACHE_HOME or ~/.cache.

    Raises:
        DataError: none of them is set, and there is no home directory.
    """
    if os.environ.get("IMPROVED_GAN_CACHE"):
        return Path(os.environ["IMPROVED_GAN_CACHE"])
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "improved-gan"
    except RuntimeError as error:
        raise DataError(
            "there is no home directory for the cache: set IMPROVED_GAN_CACHE to a folder that you can write to"
        ) from error


@contextmanager
def offline() -> Iterator[None]:
    """While entered, a file that is not at hand is a DataError at once: for commands that only look.

    >>> with offline():
    ...     download(["https://example.com/a.gz"], Path("a.gz"), check=str, remedy="or name its folder")
    Traceback (most recent call last):
    improved_gan.data.dataset.DataError: a.gz was not found, and this command downloads nothing: name its folder
    """
    token = _ALLOWED.set(False)
    try:
        yield
    finally:
        _ALLOWED.reset(token)


def download(
    urls: Sequence[str], target: Path, *, check: Callable[[Path], object], remedy: str, largest: int = _LARGEST
) -> None:
    """Fetch `target` from the first of `urls` that gives a file which passes the check.

    What has been received is kept next to the target as `name.part` and continued by the next call; the target appears
    only when it is complete and checked. Of several processes one fetches; the others wait and find the file.

    Args:
        urls: the same file on several mirrors, tried in order.
        target: path of the file; its folder is made. A file that is there already is downloaded again unless it passes
            the check.
        check: raises DataError for a wrong file.
        remedy: what else the user can do; ends the error's line.
        largest: bytes; a mirror that sends more is not listened to.

    Raises:
        DataError: no mirror gave a file that passes; one line with each reason and the remedy.
    """
    if not _ALLOWED.get():
        raise DataError(
            f"{target.name} was not found, and this command downloads nothing: {remedy.removeprefix('or ')}"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        busy = f"waiting for another process that downloads {target.name}"
        with waiting_lock(target.with_name(f".{target.name}.lock"), busy=busy):
            if not _passes(target, check):
                _from_first(urls, target, check, remedy, largest)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"cannot write into {target.parent} ({reason}): set IMPROVED_GAN_CACHE, {remedy}") from error


def _passes(path: Path, check: Callable[[Path], object]) -> bool:
    if not path.is_file():
        return False
    try:
        check(path)
    except DataError:
        return False
    return True


def _from_first(urls: Sequence[str], target: Path, check: Callable[[Path], object], remedy: str, largest: int) -> None:
    part = target.with_name(f"{target.name.removesuffix('.gz')}.part.gz")
    reasons = []
    for url in urls:
        begun = part.exists()
        reason = _tried(url, part, check, largest)
        if reason and begun and not part.exists():
            reason = _tried(url, part, check, largest)  # the part of an earlier call was wrong: from the start
        if not reason:
            part.replace(target)
            return
        reasons.append(f"{url}: {reason}")
    raise DataError(
        f"could not download {target.name} ({'; '.join(reasons)}): check the network and try again, {remedy}"
    )


def _tried(url: str, part: Path, check: Callable[[Path], object], largest: int) -> str:
    """Fetch into `part` and check it; why that failed, in one line, or nothing. A wrong part is dropped."""
    try:
        _fetch(url, part, largest)
        check(part)
    except DataError as error:
        part.unlink(missing_ok=True)
        return _line(error)
    except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: of addresses in a redirection
        cause = error if isinstance(error, urllib.error.HTTPError) else getattr(error, "reason", None) or error
        return _line(cause)
    return ""


def _line(reason: object) -> str:
    """A server's words may hold anything."""
    text = " ".join(str(reason).split()) or type(reason).__name__
    return "".join(one if one.isprintable() else "?" for one in text)[:300]


def _fetch(url: str, part: Path, largest: int) -> None:
    """Add what is missing to `part`; a server that does not know ranges sends it all anew."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
                return  # nothing is missing: the check decides
            raise
    with response:
        start, total = _announced(response, have)
        if total is not None and total > largest:
            raise DataError(f"it announces {total:,} bytes, where at most {largest:,} are expected")
        with part.open("ab" if start else "wb") as file, _progress() as progress:
            task = progress.add_task(url.rsplit("/", 1)[-1], total=total, completed=start)
            for chunk in _chunks(response):
                file.write(chunk)
                progress.advance(task, len(chunk))
                if file.tell() > largest:
                    raise DataError(f"it sends more than the {largest:,} bytes that are expected at most")
            file.flush()
            os.fsync(file.fileno())
        if total is not None and part.stat().st_size < total:
            raise ConnectionError(f"the connection ended after {part.stat().st_size} of {total} bytes")


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """What arrives, also before a reply in chunks breaks off."""
    try:
        while chunk := response.read1(_CHUNK):
            yield chunk
    except (http.client.IncompleteRead, ValueError) as error:  # ValueError: a chunk's length that is no number
        raise ConnectionError(f"the connection ended within a chunk ({_line(error)})") from error


def _announced(response: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    """The offset of the content, and the size of the whole file where the response has it.

    Raises:
        DataError: another part of the file than was asked for, numbers that are none, or a web page.
    """
    kind = response.headers.get_content_type()
    if kind in ("text/html", "application/xhtml+xml"):
        raise DataError(
            f"it answers with a web page ({kind}), not with the file: is there a proxy or a login page in between?"
        )
    length = response.headers.get("Content-Length")
    if length is not None and not _is_number(length):
        raise DataError(f"its Content-Length is not a number: {_line(length)[:60]!r}")
    num_bytes = None if length is None else int(length)
    if response.status != http.client.PARTIAL_CONTENT:
        return 0, num_bytes
    content_range = response.headers.get("Content-Range", f"bytes {have}-")  # some leave it out: the check decides
    found = re.match(r"bytes (\d{1,18})-", content_range.strip())
    if found is None or int(found[1]) != have:
        raise DataError(
            f"the server responds with {_line(content_range)[:60]!r}, where the bytes from {have} on were asked for"
        )
    return have, None if num_bytes is None else num_bytes + have


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def _progress() -> Progress:
    """A bar on a terminal, nothing elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
