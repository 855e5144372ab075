"""Two real processes in one gloo group, kept for the whole session: starting them costs more than all their tests."""

import os
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from tests.command_line import fork_server

WORLD_SIZE = 2


def _serve(rank: int, rendezvous: Path, calls: Connection) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=WORLD_SIZE)
    while (call := calls.recv()) is not None:
        function, arguments = call
        torch.manual_seed(0)
        try:
            calls.send((function(*arguments), None))
        except Exception:
            calls.send((None, traceback.format_exc()))
    dist.destroy_process_group()


class TwoRanks:
    """Call a module-level function on both ranks at once; the results come back in order of rank."""

    def __init__(self, folder: Path) -> None:
        context = fork_server()
        pipes = [context.Pipe() for _ in range(WORLD_SIZE)]
        self.calls = [ours for ours, _ in pipes]
        self.processes = [
            context.Process(target=_serve, args=(rank, folder / "rendezvous", theirs), daemon=True)
            for rank, (_, theirs) in enumerate(pipes)
        ]
        for process in self.processes:
            process.start()

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        for call in self.calls:
            call.send((function, arguments))
        answers = [call.recv() for call in self.calls]
        errors = [error for _, error in answers if error]
        assert not errors, "\n".join(errors)
        return [result for result, _ in answers]

    def close(self) -> None:
        for call, process in zip(self.calls, self.processes, strict=True):
            call.send(None)
            process.join(10)
            if process.is_alive():
                process.kill()
