import re
from pathlib import Path

import pytest

from improved_gan.turing_test.security import HEADERS


def test_every_answer_has_the_headers(world) -> None:
    here = world()
    here.begin()
    for path in (
        "/",
        here.base,
        here.base + "/judge",
        here.base + "/state",
        "/static/judge.css",
        "/nothing",
        "/favicon.ico",
    ):
        reply = here.client.get(path)
        assert {name: reply.headers[name] for name in HEADERS} == HEADERS, path
    assert here.client.get(here.base + "/state").headers["cache-control"] == "no-store"
    assert "'unsafe" not in HEADERS["Content-Security-Policy"]


def test_pages_ask_nobody_else_and_hold_no_inline_script_or_style(world) -> None:
    here = world()
    here.begin()
    here.login()
    for path in ("/judge", "/results", "?participant=x"):
        page = here.client.get(here.base + path).text
        assert "http://" not in page.replace("http://www.w3.org", "")
        assert "https://" not in page
        assert "style=" not in page
        assert "<script>" not in page


@pytest.mark.parametrize(
    "headers", [{}, {"X-CSRF-Token": "x"}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_what_another_site_sends_is_403(world, headers) -> None:
    here = world()
    here.begin()
    if any(name != "X-CSRF-Token" for name in headers):
        headers = {**headers, "X-CSRF-Token": here.csrf_token}
    body = {"number": 0, "choice": "real", "response_ms": 700}
    assert here.client.post(here.base + "/answer", json=body, headers=headers).status_code == 403
    assert here.state()["position"] == 0
    assert here.client.post(here.base + "/begin", data={"csrf": "x"}).status_code == 403


def test_cookies_are_out_of_reach_of_scripts_and_sites(world) -> None:
    here = world()
    reply = here.client.get(here.base)
    assert "HttpOnly" in reply.headers["set-cookie"]
    assert "SameSite=lax" in reply.headers["set-cookie"]


def test_the_proxy_of_the_guide_passes_on_what_writing_needs(world) -> None:
    """An answer through a proxy, with the headers that the guide's nginx sets and those that it sets by itself."""
    here = world()
    here.begin()
    guide = (Path(__file__).parents[2] / "docs" / "turing_test.md").read_text()
    block = guide.split("```nginx")[1].split("```")[0] if "```nginx" in guide else ""
    values = {"$host": "study.example", "$remote_addr": "203.0.113.7", "$scheme": "https"}
    told = {name: values[value] for name, value in re.findall(r"proxy_set_header (\S+) ([^;]+);", block)}
    body = {"number": 0, "choice": "real", "response_ms": 700, "shown_ms": None}
    codes = []
    for headers in ({}, told):
        sent = {"Host": "127.0.0.1:8000", "Origin": "https://study.example", "X-CSRF-Token": here.csrf_token, **headers}
        cookies = "; ".join(f"{name}={value}" for name, value in here.client.cookies.items())
        reply = here.client.post(here.base + "/answer", json=body, headers={**sent, "Cookie": cookies})
        codes.append(reply.status_code)
    assert codes == [403, 200]


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("kind", [
    "multipart/form-data; boundary=x; charset=utf-7", "multipart/form-data", f"{FORM}; charset=no-such-charset",
    f"{FORM}; charset=utf-16",
    f"{FORM}; charset=idna", "text/plain", "x", "multipart/form-data; boundary=x; charset=raw_unicode_escape",
])  # fmt: skip
@pytest.mark.parametrize("page", ["/begin", "/results/login"])
def test_a_form_in_another_encoding_is_400(world, page: str, kind: str) -> None:
    here = world()
    body = b'--x\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n\\ud800\r\n--x--\r\n'
    assert here.client.post(here.base + page, content=body, headers={"Content-Type": kind}).status_code == 400


@pytest.mark.parametrize("body", [b"csrf=%ff", b"csrf=\xff", b"a=1&" * 50, b"csrf=%ed%a0%80"])
def test_a_form_that_is_no_text_is_400(world, body: bytes) -> None:
    here = world()
    assert here.client.post(here.base + "/begin", content=body, headers={"Content-Type": FORM}).status_code == 400


@pytest.mark.parametrize("kind", [FORM, f"{FORM}; charset=UTF-8", f"{FORM}; charset=utf8", None])
def test_our_forms_are_read_in_utf_8(world, kind: str | None) -> None:
    here = world()
    headers = {} if kind is None else {"Content-Type": kind}
    body = f"csrf={here.csrf().replace('=', '%3D')}&participant=&caf%C3%A9=%00"
    assert here.client.post(here.base + "/begin", content=body, headers=headers).status_code == 303
