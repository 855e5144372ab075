"""Files from the first mirror that answers: resumed where they stopped, checked, and moved into place whole."""

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from improved_gan.data.dataset import DataError

__all__ = ["cache_folder", "download", "without_downloads"]

_CHUNK = 1 << 16
_TIMEOUT = 20  # seconds without a byte
_ALLOWED = ContextVar("downloads are allowed", default=True)


def cache_folder() -> Path:
    """Where downloads are kept: IMPROVED_GAN_CACHE, else improved-gan in XDG_CACHE_HOME or ~/.cache."""
    if os.environ.get("IMPROVED_GAN_CACHE"):
        return Path(os.environ["IMPROVED_GAN_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "improved-gan"


@contextmanager
def without_downloads() -> Iterator[None]:
    """While entered, a file that is not at hand is a DataError at once: for commands that only look.

    >>> with without_downloads():
    ...     download(["https://example.com/a.gz"], Path("a.gz"), check=str, remedy="or name its folder")
    Traceback (most recent call last):
    improved_gan.data.dataset.DataError: a.gz is not at hand, and this command downloads nothing: name its folder
    """
    token = _ALLOWED.set(False)
    try:
        yield
    finally:
        _ALLOWED.reset(token)


def download(urls: Sequence[str], target: Path, *, check: Callable[[Path], object], remedy: str) -> None:
    """Fetch `target` from the first of `urls` that gives a file which passes the check.

    What has arrived is kept beside the target as `name.part` and continued by the next call; the target appears only
    when it is whole and checked.

    Args:
        urls: the same file on several mirrors, tried in order.
        target: where it shall lie; its folder is made.
        check: raises DataError for a wrong file.
        remedy: what else the user can do; ends the error's line.

    Raises:
        DataError: no mirror gave a file that passes; one line with each reason and the remedy.
    """
    if not _ALLOWED.get():
        raise DataError(
            f"{target.name} is not at hand, and this command downloads nothing: {remedy.removeprefix('or ')}"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make {target.parent} ({error.strerror}): set IMPROVED_GAN_CACHE, {remedy}") from error
    part = target.with_name(f"{target.name.removesuffix('.gz')}.part.gz")
    reasons = []
    for url in urls:
        try:
            _fetch(url, part)
            check(part)
        except DataError as error:
            part.unlink(missing_ok=True)
            reasons.append(f"{url}: {error}")
        except (OSError, http.client.HTTPException) as error:
            reasons.append(f"{url}: {getattr(error, 'reason', None) or error or type(error).__name__}")
        else:
            part.replace(target)
            return
    raise DataError(
        f"could not download {target.name} ({'; '.join(reasons)}): check the network and try again, {remedy}"
    )


def _fetch(url: str, part: Path) -> None:
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
        resumed = response.status == http.client.PARTIAL_CONTENT
        length = response.headers.get("Content-Length")
        total = None if length is None else int(length) + (have if resumed else 0)
        with part.open("ab" if resumed else "wb") as file, _progress() as progress:
            task = progress.add_task(url.rsplit("/", 1)[-1], total=total, completed=have if resumed else 0)
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                progress.advance(task, len(chunk))
            file.flush()
            os.fsync(file.fileno())
        if total is not None and part.stat().st_size < total:
            raise ConnectionError(f"the connection ended after {part.stat().st_size} of {total} bytes")


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
