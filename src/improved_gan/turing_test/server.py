"""Run the server: the addresses that it may be reached from, and what it prints when it starts."""

import ipaddress
import socket

import uvicorn
from starlette.applications import Starlette

from improved_gan.turing_test.connections import BACKLOG, Connections, limited_protocol, most_connections
from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.log_lines import log_lines_once

__all__ = ["PUBLIC_WARNING", "check_host", "run_server"]

PUBLIC_WARNING = (
    "this server can be reached from other machines. It speaks plain HTTP: for judges outside this network put a proxy "
    "with TLS before it (docs/turing_test.md), and keep the researcher's token to yourself"
)


def check_host(host: str, *, public: bool) -> bool:
    """Whether the address can be reached from other machines.

    Raises:
        TuringTestError: it can, and that was not asked for with --public.

    Example:
        >>> check_host("127.0.0.1", public=False), check_host("0.0.0.0", public=True)
        (False, True)
    """
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback and not public:
        raise TuringTestError(
            f"--host {host} can be reached from other machines: add --public if that is what you want"
        )
    return not loopback


def run_server(app: Starlette, *, host: str, port: int) -> None:
    """Serve until Ctrl-C or SIGTERM; answers that are under way are finished and written.

    Raises:
        TuringTestError: the port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise TuringTestError(
            f"cannot listen on {host}:{port}: {error.strerror or error}: give another --port"
        ) from error
    most = most_connections()
    config = uvicorn.Config(
        app, host=host, port=port, log_level="warning", access_log=False, server_header=False, ws="none",
        loop="asyncio", backlog=BACKLOG,  # this loop accepts BACKLOG connections in one go, uvloop without a bound
        http=limited_protocol(Connections(most, max(8, most // 4))),
        timeout_graceful_shutdown=5, timeout_keep_alive=20,
    )  # fmt: skip
    with log_lines_once():
        uvicorn.Server(config).run()
