"""Small studies for the tests of this room: folders of pictures, databases of both kinds, a client."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from improved_gan.turing_test.app import create_app
from improved_gan.turing_test.beginning import begin
from improved_gan.turing_test.collection import StudyFolders
from improved_gan.turing_test.database import open_database, writing
from improved_gan.turing_test.settings import StudySettings
from improved_gan.turing_test.studies import create_study

POSTGRES = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> StudyFolders:
    """Thirty real pictures and thirty of each of two generators, 8 x 8, each kind bright in another color."""
    root, generator = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for channel, name in enumerate(("real", "a", "b")):
        (root / name).mkdir()
        for k in range(30):
            pixels = generator.integers(0, 100, (8, 8, 3), dtype=np.uint8)
            pixels[..., channel] += 150
            Image.fromarray(pixels).save(root / name / f"{name}-{k}.png")
    return StudyFolders(root / "real", {"a": root / "a", "b": root / "b"})


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server of our own, for as long as the tests run."""
    if not (POSTGRES / "initdb").exists():
        pytest.skip("PostgreSQL 15 (Debian's package) is not installed")
    user = {}
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("there is no user postgres to run PostgreSQL as")
        user = {"user": "postgres", "group": "postgres", "extra_groups": []}
    # not below pytest's own folder: that is closed to other users
    folder = Path(tempfile.mkdtemp(prefix="turing-test-postgres-"))
    if user:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(*words: str | Path) -> None:
        subprocess.run(words, check=True, capture_output=True, cwd="/", timeout=60, **user)

    data = folder / "data"
    run(POSTGRES / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
    run(POSTGRES / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-o", options, "start")
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        run(POSTGRES / "pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return str(tmp_path / "study.db")
    address = request.getfixturevalue("postgres")
    engine = open_database(address)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()
    return str(address)


class World:
    """A study with its application and a client."""

    def __init__(self, address: str, folders: StudyFolders, settings: StudySettings) -> None:
        self.engine = open_database(address)
        self.study, self.token, _ = create_study(self.engine, folders, settings)
        self.app = create_app(self.engine)
        self.client = TestClient(self.app, follow_redirects=False)
        self.base = f"/s/{self.study.slug}"

    def csrf(self) -> str:
        return self.client.get(self.base + "?participant=csrf").text.split('name="csrf" value="')[1].split('"')[0]

    def begin(self, participant: str = "") -> dict:
        self.csrf_token = self.csrf()
        reply = self.client.post(self.base + "/begin", data={"csrf": self.csrf_token, "participant": participant})
        assert reply.status_code == 303, reply.text
        return self.state()

    def state(self) -> dict:
        return self.client.get(self.base + "/state").json()

    def answer(self, number: int, choice: str | int, **more: object):
        body = {"number": number, "choice": choice, "response_ms": 700, "shown_ms": None, **more}
        return self.client.post(self.base + "/answer", json=body, headers={"X-CSRF-Token": self.csrf_token})

    def judge(self) -> str:
        with writing(self.engine) as connection:
            return begin(connection, self.study, None)

    def login(self) -> None:
        page = self.client.get(self.base + "/results").text
        csrf = page.split('name="csrf" value="')[1].split('"')[0]
        reply = self.client.post(self.base + "/results/login", data={"csrf": csrf, "token": self.token})
        assert reply.status_code == 303


@pytest.fixture
def world(tmp_path: Path, folders: StudyFolders) -> Iterator[Callable[..., World]]:
    """Make a World of some settings, in SQLite unless another address is given."""
    made: list[World] = []

    def make(address: str | None = None, **settings: object) -> World:
        words = {"trials": 6, "practice": 1, "checks": 1, "break_every": 0, **settings}
        made.append(World(address or str(tmp_path / "world.db"), folders, StudySettings(**words)))
        return made[-1]

    yield make
    for one in made:
        one.app.state.site.close()
