"""The number of answers per second that one server process stores, over loopback, also after it was killed.

    python benchmarks/turing_test_load.py --pictures --database both --seconds 30 --out turing_test_load.json

An open loop: answers are due at fixed times, and each client sends the next one when it is due and the last one is
confirmed, so a late reply makes later latencies longer, not fewer. Latency counts from the time an answer was due.
--pictures: each client also fetches the picture of the next trial, as the page does, before its next answer.
--kill N: SIGKILL N times at equal distances, restart, then compare every confirmed answer with the database.
The server's resident memory is read after a tenth of the time and at the end, its processor time at the end: seconds
of processor for one answer do not depend on what else the machine does.
--database postgresql or both: a PostgreSQL server is started for it (Debian's package, as user postgres where this
program runs as root).
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from improved_gan.turing_test.beginning import begin
from improved_gan.turing_test.collection import StudyFolders
from improved_gan.turing_test.database import open_database, writing
from improved_gan.turing_test.records import read_study_votes
from improved_gan.turing_test.security import csrf_token
from improved_gan.turing_test.settings import StudySettings
from improved_gan.turing_test.studies import OpenStudy, create_study

PORT, VISITOR, TRIALS = 8765, "v" * 32, 2000
SERVER = """
import sys
from improved_gan.turing_test.app import create_app
from improved_gan.turing_test.database import open_database
from improved_gan.turing_test.limits import Limits
from improved_gan.turing_test.server import run_server
limits = Limits(per_address=1e6, per_judge=1e6)
run_server(create_app(open_database(sys.argv[1]), limits), host="127.0.0.1", port=int(sys.argv[2]))
"""


def make_study(folder: Path, database: str, judges: int) -> tuple[OpenStudy, list[str]]:
    """A study of random images, and the tokens of its judges."""
    generator = np.random.default_rng(0)
    for name in ("real", "generated"):
        (folder / name).mkdir()
        for k in range(100):
            pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{k}.png")
    engine = open_database(database)
    folders = StudyFolders(folder / "real", {"generated": folder / "generated"})
    study, _, _ = create_study(engine, folders, StudySettings(trials=TRIALS, practice=0, checks=0))
    tokens = []
    for _ in range(judges):
        with writing(engine) as connection:
            tokens.append(begin(connection, study, None))
    engine.dispose()
    return study, tokens


def start_server(database: str) -> subprocess.Popen[bytes]:
    """Start the server in its own process."""
    return subprocess.Popen([sys.executable, "-c", SERVER, database, str(PORT)])


class JudgeClient:
    """A client for one judge, over one connection; sends each answer until it is confirmed."""

    def __init__(self, study: OpenStudy, token: str, start: int) -> None:
        self.head = (
            f"POST /s/{study.slug}/answer HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\nContent-Type: application/json\r\n"
            f"X-CSRF-Token: {csrf_token(study, VISITOR)}\r\nCookie: visitor={VISITOR}; judge-{study.slug}={token}\r\n"
        )
        self.study, self.token, self.next = study, token, ""
        self.number, self.confirmed, self.start, self.retries = 0, [], start, 0  # type: ignore[var-annotated]
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[bytes, bytes]:
        """Head and body of the reply, on the connection that is open."""
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", PORT)
        reader, writer = self.streams
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        return head, await reader.readexactly(length)

    async def picture(self) -> float:
        """Fetch the next trial's picture; the seconds it took."""
        begun, path = time.perf_counter(), f"/s/{self.study.slug}/picture/{self.next}.png"
        cookie = f"visitor={VISITOR}; judge-{self.study.slug}={self.token}"
        while True:
            try:
                head, body = await self.ask(f"GET {path} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n".encode())
                assert head.startswith(b"HTTP/1.1 200"), head
                assert body.startswith(b"\x89PNG")
                return time.perf_counter() - begun
            except (OSError, asyncio.IncompleteReadError):
                self.streams = None
                await asyncio.sleep(0.1)

    async def answer(self) -> None:
        """Send the next answer, repeatedly until the server confirms it."""
        choice = "generated" if (self.number + self.start) % 3 == 0 else "real"
        body = json.dumps({"number": self.number, "choice": choice, "response_ms": 700, "shown_ms": None})
        request = f"{self.head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
        while True:
            try:
                head, body_ = await self.ask(request)
                reply = json.loads(body_)
                assert head.startswith(b"HTTP/1.1 200"), (head, reply)
                self.confirmed.append(choice)
                self.number, self.next = reply["position"], reply["next"][0]
                return
            except (OSError, asyncio.IncompleteReadError):
                self.streams = None
                self.retries += 1
                await asyncio.sleep(0.1)


async def load(
    clients: list[JudgeClient], rate: float, seconds: float, *, pictures: bool = False
) -> tuple[list[float], list[float]]:
    """Answers due at a fixed rate, shared by the judges; seconds from due to confirmed, and of each picture."""
    latencies: list[float] = []
    fetched: list[float] = []
    first = time.perf_counter() + 0.2

    async def judge(index: int, client: JudgeClient) -> None:
        for k in range(index, int(rate * seconds), len(clients)):
            due = first + k / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await client.answer()
            latencies.append(time.perf_counter() - due)
            if pictures:
                fetched.append(await client.picture())

    await asyncio.gather(*(judge(index, client) for index, client in enumerate(clients)))
    return latencies, fetched


async def run(options: argparse.Namespace, database: str, study: OpenStudy, tokens: list[str]) -> dict[str, Any]:
    server = start_server(database)
    await wait_for_server()
    clients = [JudgeClient(study, token, start) for start, token in enumerate(tokens)]
    await load(clients, 50, 1.0)  # warm
    begun = time.perf_counter()
    task = asyncio.create_task(load(clients, options.rate, options.seconds, pictures=options.pictures))
    for number in range(1, options.kill + 1):  # at fixed times: a restart takes some of the seconds
        due = begun + number * options.seconds / (options.kill + 1)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        server.send_signal(signal.SIGKILL)
        server.wait()
        server = start_server(database)
        await wait_for_server()
    await asyncio.sleep(options.seconds / 10)
    memory, before = [resident(server)], processor_seconds(server)
    answered = sum(len(client.confirmed) for client in clients)
    latencies, fetched = await task
    elapsed = time.perf_counter() - begun - 0.2
    memory.append(resident(server))
    processor = processor_seconds(server) - before
    after = sum(len(client.confirmed) for client in clients) - answered
    server.send_signal(signal.SIGTERM)
    server.wait(20)
    engine = open_database(database)
    with engine.connect() as connection:
        votes = read_study_votes(connection, study)
    lost = doubled = wrong = 0
    for index, client in enumerate(clients):
        own = votes.where(votes.judge == index)
        lost += max(0, len(client.confirmed) - len(own))
        doubled += len(own) - len(set(own.trial.tolist())) + max(0, len(own) - len(client.confirmed))
        pairs = zip(own.response.tolist(), client.confirmed, strict=False)
        wrong += sum(stored != (sent == "generated") for stored, sent in pairs)
    p50, p95, p99 = 1000 * np.quantile(latencies, [0.5, 0.95, 0.99])
    return {
        "database": "postgresql" if "://" in database else "sqlite",
        "judges": len(clients), "asked_per_second": options.rate, "answers_per_second": len(latencies) / elapsed,
        "picture_p99_ms": 1000 * np.quantile(fetched, 0.99) if fetched else float("nan"),
        "processor_ms_per_answer": 1000 * processor / after if after else float("nan"),
        "memory_mib": [round(one / 2**20, 1) for one in memory],
        "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "max_ms": 1000 * max(latencies), "killed": options.kill,
        "retries": sum(client.retries for client in clients), "confirmed": sum(len(c.confirmed) for c in clients),
        "stored": len(votes), "lost": lost, "doubled": doubled, "wrong": wrong,
    }  # fmt: skip


def resident(server: subprocess.Popen[bytes]) -> int:
    """Bytes of memory that the process has (Linux)."""
    return int(Path(f"/proc/{server.pid}/statm").read_text(encoding="utf-8").split()[1]) * 4096


def processor_seconds(server: subprocess.Popen[bytes]) -> float:
    """Seconds that all threads of the process have run, in user mode and in the kernel (Linux)."""
    fields = Path(f"/proc/{server.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def wait_for_server() -> None:
    for _ in range(1200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", PORT)
            writer.close()
            return
        except OSError:
            await asyncio.sleep(0.1)
    raise RuntimeError("the server did not start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--judges", type=int, default=64)
    parser.add_argument("--rate", type=float, default=300)
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="sqlite")
    parser.add_argument("--kill", type=int, default=0)
    parser.add_argument("--pictures", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.rate * options.seconds / options.judges > TRIALS - 10 or options.seconds > 120:
        parser.error("bounded: at most 120 seconds and 1,990 answers a judge")
    kinds = ["sqlite", "postgresql"] if options.database == "both" else [options.database]
    found = [measure(options, kind) for kind in kinds]
    for one in found:
        for name, value in one.items():
            print(f"{name:24} {value:.1f}" if isinstance(value, float) else f"{name:24} {value}")
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


def measure(options: argparse.Namespace, kind: str) -> dict[str, Any]:
    """One run with a new database of this kind."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as servers:
        database = str(Path(folder) / "load.db") if kind == "sqlite" else servers.enter_context(postgresql())
        study, tokens = make_study(Path(folder), database, options.judges)
        return asyncio.run(run(options, database, study, tokens))


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The address of a PostgreSQL server with its own settings (fsync on), stopped and removed at the end."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        raise SystemExit("PostgreSQL is not installed: apt-get install postgresql")
    owner: dict[str, Any] = {}
    folder = Path(tempfile.mkdtemp(prefix="turing-test-load-"))
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        owner = {"user": "postgres", "group": "postgres", "extra_groups": []}
        shutil.chown(folder, "postgres", "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def call(*words: str | Path) -> None:
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd="/", **owner)

    data = folder / "data"
    call(programs[-1] / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8")
    control = (programs[-1] / "pg_ctl", "-D", data, "-w", "-l", folder / "log")
    try:
        call(*control, "-o", f"-p {port} -k {folder} -c listen_addresses=127.0.0.1", "start")
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        call(*control, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
