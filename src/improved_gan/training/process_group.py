"""One run in several processes: joining them, what one does for all, and how they end together.

`torchrun --nproc-per-node 2 -m improved_gan train ...` starts the processes; gloo carries what lies on CPUs, NCCL what
lies on GPUs. Whichever of them meets an error first tells it; the others notice that it is gone (gloo at once, NCCL
within `TIMEOUT`) and end without another word. A process that was killed is told by the first that notices.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from improved_gan.distributed import all_reduce_max, rank, world_size
from improved_gan.training.errors import InterruptedRunError, RankLostError, ReportedByOtherRankError, RunError

__all__ = ["TIMEOUT", "ProcessGroup", "init_process_group", "local_device"]

TIMEOUT = timedelta(minutes=10)  # for one message between steps
_PATIENCE = timedelta(days=7)  # where the others wait for work of rank 0 alone
_LOST = ("gloo", "Connection closed by peer", "Connection reset", "Broken pipe", "Timed out waiting", "NCCL")
_R = TypeVar("_R")
_V = TypeVar("_V")


class ProcessGroup:
    """The processes of this run, as one of them sees them.

    Args:
        store: what they can read and write without taking turns; None for one process.
    """

    def __init__(self, store: Store | None = None) -> None:
        self._store = store
        self._has_to_tell = False

    @contextmanager
    def reporting_errors(self) -> Iterator[None]:
        """From an error in here on no signal ends this process before it has told: torchrun sends one to all."""
        try:
            yield
        except Exception:
            self._has_to_tell = True
            raise

    def on_sigterm(self, number: int, _: FrameType | None) -> None:
        """What SIGTERM means while nothing listens for it: the end, unless an error has to be told first."""
        if not self._has_to_tell:
            raise SystemExit(128 + number)

    def local_rank0_first(self, work: Callable[[], _R]) -> _R:
        """Let one process of each machine do the work, then the others: for data that is fetched and kept on disk.

        The others wait for as long as it takes.
        """
        if self._store is None:
            return work()
        name = f"first on {os.environ.get('GROUP_RANK', '0')}"
        if int(os.environ.get("LOCAL_RANK", "0")) == 0:
            try:
                return work()
            finally:
                self._store.set(name, "done")
        while not self._store.check([name]):
            time.sleep(0.1)
        return work()

    def on_rank0(self, function: Callable[[_V], dict[str, float]] | None) -> Callable[[_V], dict[str, float]] | None:
        """Rank 0's function, for all to call at once: rank 0 computes, the others wait as long as it takes and get {}.

        They wait in a group of their own, over gloo, so that they hear of it at once if rank 0 ends. All must ask for
        it; None for all where rank 0 gives None.
        """
        if world_size() == 1 or not self.broadcast_from_rank0(function is not None):
            return function
        group, number = dist.new_group(backend="gloo", timeout=_PATIENCE), rank()

        def together(value: _V) -> dict[str, float]:
            result = function(value) if number == 0 and function is not None else {}
            dist.barrier(group)
            return result

        return together

    def barrier(self) -> None:
        """Go on when all have come here.

        Raises:
            RankLostError: one of them has ended before.
        """
        try:
            all_reduce_max(0)
        except RuntimeError as error:
            raise _lost(error) or error from error

    def broadcast_from_rank0(self, value: _R | None) -> _R | None:
        """Rank 0's value on every rank; tensors in it on the CPU."""
        if world_size() == 1:
            return value
        held: list[Any] = [value]
        dist.broadcast_object_list(held, 0)
        received: _R | None = held[0]
        return received

    def is_first_to_report(self) -> bool:
        """Whether this process is the first of all that has to tell why the run ends."""
        if self._store is None:
            return True
        try:
            return bool(self._store.add("told", 1) == 1)
        except RuntimeError:  # whoever kept the store is gone, so nobody else can be asked
            return True


@contextmanager
def init_process_group() -> Iterator[ProcessGroup]:
    """Join the processes that torchrun has started; alone, or in a group that exists already, nothing is done.

    Raises:
        RunError: torchrun's variables do not fit.
        RankLostError: another process has ended; told by this one.
        ReportedByOtherRankError: the run ends, and another process says why.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield ProcessGroup()
        return
    processes = ProcessGroup(_join())
    signal.signal(signal.SIGTERM, processes.on_sigterm)
    try:
        with processes.reporting_errors():
            yield processes
    except Exception as error:
        if not processes.is_first_to_report():
            raise ReportedByOtherRankError(_exit_code(error)) from error
        raise _lost(error) or error from error
    dist.destroy_process_group()


def local_device(name: str | None) -> str | None:
    """The device for this process: with several on a machine with GPUs each takes the GPU of its own number.

    Raises:
        RunError: one GPU for all, or fewer GPUs than processes.

    >>> local_device("cuda:1")
    'cuda:1'
    """
    if world_size() == 1 or name == "cpu" or not torch.cuda.is_available():
        return name
    if name not in (None, "cuda"):
        raise RunError(f"{world_size()} processes cannot share {name}: give --device cuda, and each takes its own GPU")
    number = int(os.environ.get("LOCAL_RANK", "0"))
    if number >= torch.cuda.device_count():
        raise RunError(
            f"this machine has {torch.cuda.device_count()} GPUs, too few for its processes: "
            f"torchrun --nproc-per-node {torch.cuda.device_count()}, or --device cpu"
        )
    torch.cuda.set_device(number)
    return f"cuda:{number}"


def _join() -> Store:
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    try:
        store, number, size = next(rendezvous("env://", timeout=TIMEOUT))
        shared = PrefixStore("group", store)
        dist.init_process_group(backend, store=shared, rank=number, world_size=size, timeout=TIMEOUT)
    except (ValueError, RuntimeError) as error:
        raise RunError(f"the processes cannot find each other ({error}): start them with torchrun") from error
    return PrefixStore("improved-gan", store)


def _exit_code(error: Exception) -> int:
    """That of the command line for this error: asked to stop, wrong input, or a failure."""
    if isinstance(error, InterruptedRunError):
        return 128 + error.signal_number
    return 2 if isinstance(error, ValueError) else 1


def _lost(error: Exception) -> RankLostError | None:
    """What a message that nobody answered means; None for any other error."""
    if not isinstance(error, dist.DistError) and not (
        isinstance(error, RuntimeError) and any(sign in str(error) for sign in _LOST)
    ):
        return None
    return RankLostError(
        f"another of the {world_size()} processes was killed or does not answer (told by rank {rank()}), so training "
        "stops; the last checkpoint is kept: run the same command to go on, with any number of processes"
    )
