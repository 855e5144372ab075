import http.client
import json
import signal
import socket
import time
import urllib.request

import pytest

from improved_gan.turing_test.beginning import begin
from improved_gan.turing_test.database import open_database, writing
from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.records import read_study_votes
from improved_gan.turing_test.security import csrf_token
from improved_gan.turing_test.server import check_host, run_server
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
