"""A study behind a proxy with TLS, as the guide and compose.yaml have it, judged in a browser."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.turing_test.test_browser import READY, served, step  # noqa: F401 (fixture)

pytestmark = pytest.mark.slow
NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    location /lab/study/ {{
      proxy_pass http://127.0.0.1:{server}/;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Prefix /lab/study;
    }}
  }}
}}
"""


def nginx(folder: Path, port: int, server: int) -> tuple[list[str], str]:
    """The command, and the path at which it serves the study."""
    subject = ["-subj", "/CN=localhost", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject], check=True, capture_output=True
    )
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, server=server))
    return ["nginx", "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(folder / "nginx.conf")], "/lab/study"


def caddy(folder: Path, port: int, server: int) -> tuple[list[str], str]:
    """The command of compose.yaml, with a certificate of its own instead of one that it fetches."""
    words = ["reverse-proxy", "--from", f"https://localhost:{port}", "--to", f"127.0.0.1:{server}", "--internal-certs"]
    return ["caddy", *words], ""


@contextmanager
def running(command: list[str], folder: Path, port: int) -> Iterator[None]:
    environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize("proxy", [nginx, caddy])
def test_a_study_behind_a_proxy_with_tls(browser, served, tmp_path: Path, proxy: Callable) -> None:  # noqa: F811
    if shutil.which(proxy.__name__) is None or shutil.which("openssl") is None:
        pytest.skip(f"{proxy.__name__} or openssl (Debian's packages) is not installed")
    study = served(trials=2, practice=0, checks=0)
    server = int(study.url.rpartition(":")[2].partition("/")[0])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command, path = proxy(tmp_path, port, server)
    with running(command, tmp_path, port):
        page = browser.new_page(ignore_https_errors=True)
        page.goto(f"https://localhost:{port}{path}/s/{study.study.slug}", timeout=60_000)
        page.check("input[type=checkbox]")
        page.click("button.primary")
        page.wait_for_selector(READY)
        for _ in range(2):
            step(page, lambda: page.keyboard.press("ArrowLeft"))
        page.wait_for_url(f"https://localhost:{port}{path}/s/{study.study.slug}/thanks")
        cookies = page.context.cookies()
        assert {cookie["path"] for cookie in cookies} == {path or "/"}
        assert all(cookie["secure"] and cookie["httpOnly"] for cookie in cookies)
    assert study.votes().response.tolist() == [False, False]
