import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from improved_gan.turing_test.beginning import begin
from improved_gan.turing_test.database import open_database, writing
from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.records import read_study_votes
from improved_gan.turing_test.security import csrf_token
from improved_gan.turing_test.server import check_host, run_server
from improved_gan.turing_test.studies import find_study


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


def serve(folders, db: str, port: int) -> subprocess.Popen[str]:
    words = ["--real", folders.real, *(w for n, f in folders.generated.items() for w in ("--generated", f"{n}={f}"))]
    command = [sys.executable, "-m", "improved_gan", "turing-test", "serve", *map(str, words), "--db", db,
               "--port", str(port), "--trials", "400", "--requests-per-second", "5000"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1)
            return process
        except OSError:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.1)
    raise AssertionError("the server did not start")


def test_a_killed_server_loses_and_doubles_no_answer(database: str, folders) -> None:
    """SIGKILL in the middle of answers, three times; the browser's part sends again what was not confirmed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server, confirmed, position = serve(folders, database, port), [], 0
    try:
        engine = open_database(database)
        with writing(engine) as connection:
            study = find_study(connection)
            token = begin(connection, study, None)
        visitor = "v" * 32
        headers = {"Cookie": f"visitor={visitor}; judge-{study.slug}={token}", "Content-Type": "application/json",
                   "X-CSRF-Token": csrf_token(study, visitor)}  # fmt: skip
        for kill_at in (20, 40, 60, None):
            end = kill_at or 80
            while position < end:
                choice = "real" if position % 3 else "generated"
                body = json.dumps({"number": position, "choice": choice, "response_ms": 500}).encode()
                request = urllib.request.Request(f"http://127.0.0.1:{port}/s/{study.slug}/answer", body, headers)
                try:
                    if kill_at and position == kill_at - 1 and (position, choice) not in confirmed:
                        os.kill(server.pid, signal.SIGKILL) if len(confirmed) % 2 else None
                    with urllib.request.urlopen(request, timeout=5) as reply:
                        position = json.load(reply)["position"]
                    confirmed.append((position - 1, choice))
                except urllib.error.HTTPError as error:
                    if error.code != 429:
                        raise
                    time.sleep(0.3)
                except OSError:
                    server.wait(10)
                    server.communicate()
                    server = serve(folders, database, port)
            if kill_at:
                server.kill()
                server.communicate()
                server = serve(folders, database, port)
        with engine.connect() as connection:
            votes = read_study_votes(connection, study)
        assert votes.trial.tolist() == list(range(80))
        assert votes.response.tolist() == [number % 3 == 0 for number in range(80)]
        engine.dispose()
    finally:
        server.send_signal(signal.SIGTERM)
        out, error = server.communicate(timeout=15)
    assert "Traceback" not in error
    assert re.search(r"this study was there", out)
    assert server.returncode in (0, -signal.SIGTERM)
    assert Path(__file__).exists()
