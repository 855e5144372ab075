"""One run in several processes: joining the process group, work of rank 0 for all, and how all end together.

`torchrun --nproc-per-node 2 -m improved_gan train ...` starts the processes; gloo communicates CPU tensors, NCCL GPU
tensors. Exactly one process reports why a run ends:

    an error in one rank    it increments a counter in the store to 1 and reports; the others lose the connection
                            (gloo at once, NCCL within `TIMEOUT`), get 2 or more, and end silently
    a killed rank           the first of the others to lose the connection gets 1 and reports it (`RankLostError`)
    SIGTERM by torchrun     sent to all others once one has ended; a rank with an unreported error ignores it
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

__all__ = ["TIMEOUT", "ProcessGroup", "choose_device", "init_process_group", "local_device"]

TIMEOUT = timedelta(minutes=10)  # of one collective operation
_RANK0_WORK_TIMEOUT = timedelta(days=7)  # while the others wait for work of rank 0 alone
# Parts of the messages by which PyTorch reports a lost connection; it has no common error type for them.
_CONNECTION_ERRORS = (
    "gloo",
    "Connection closed by peer",
    "Connection reset",
    "Broken pipe",
    "Timed out waiting",
    "NCCL",
)
_R = TypeVar("_R")
_V = TypeVar("_V")


class ProcessGroup:
    """The processes of a run, from the side of one of them.

    Args:
        store: the key-value store of all processes, which needs no collective operation; None for one process.
    """

    def __init__(self, store: Store | None = None) -> None:
        self._store = store
        self._has_unreported_error = False

    @contextmanager
    def reporting_errors(self) -> Iterator[None]:
        """After an error inside, ignore SIGTERM, which torchrun sends to all, until the error is reported."""
        try:
            yield
        except Exception:
            self._has_unreported_error = True
            raise

    def on_sigterm(self, number: int, _: FrameType | None) -> None:
        """The SIGTERM handler outside the training loop: exit, unless an error must be reported first."""
        if not self._has_unreported_error:
            raise SystemExit(128 + number)

    def local_rank0_first(self, work: Callable[[], _R]) -> _R:
        """Do the work in one process of each machine first, then in the others: for downloads and caches on disk.

        The others poll the store, since a collective operation would end with `TIMEOUT`.
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
        """A collective version of rank 0's function: rank 0 computes it, the others wait and get {}.

        They wait in a gloo group of its own, with a long time limit and an error at once if rank 0 ends. All ranks must
        call this; None on all ranks if rank 0's argument is None.
        """
        if world_size() == 1 or not self.broadcast_from_rank0(function is not None):
            return function
        group, number = dist.new_group(backend="gloo", timeout=_RANK0_WORK_TIMEOUT), rank()

        def on_all(value: _V) -> dict[str, float]:
            result = function(value) if number == 0 and function is not None else {}
            dist.barrier(group)
            return result

        return on_all

    def barrier(self) -> None:
        """Wait until all processes are here.

        Raises:
            RankLostError: one of them has ended.
        """
        try:
            all_reduce_max(0)
        except RuntimeError as error:
            raise _as_rank_lost(error) or error from error

    def broadcast_from_rank0(self, value: _R | None) -> _R | None:
        """Rank 0's value on every rank; tensors in it must be on the CPU."""
        if world_size() == 1:
            return value
        values: list[Any] = [value]
        dist.broadcast_object_list(values, 0)
        received: _R | None = values[0]
        return received

    def is_first_to_report(self) -> bool:
        """Whether this process is the first to report why the run ends: the store's counter is atomic."""
        if self._store is None:
            return True
        try:
            return bool(self._store.add("reported", 1) == 1)
        except RuntimeError:  # the store's host process is gone, so nobody else can report
            return True


@contextmanager
def init_process_group() -> Iterator[ProcessGroup]:
    """Join the processes that torchrun has started; does nothing in one process or if a group exists already.

    Raises:
        RunError: torchrun's environment variables are inconsistent.
        RankLostError: another process has ended; reported by this one.
        ReportedByOtherRankError: the run ends, and another process reports why.
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
        raise _as_rank_lost(error) or error from error
    dist.destroy_process_group()


def local_device(name: str | None) -> str | None:
    """The device of this process: with several processes, the GPU with its local rank's number.

    Raises:
        RunError: one GPU is given for all, or there are fewer GPUs than processes.

    >>> local_device("cuda:1")
    'cuda:1'
    """
    if world_size() == 1 or name == "cpu" or not torch.cuda.is_available():
        return name
    if name not in (None, "cuda"):
        raise RunError(
            f"{world_size()} processes cannot share {name}: give --device cuda, and each process takes its own GPU"
        )
    number = int(os.environ.get("LOCAL_RANK", "0"))
    if number >= torch.cuda.device_count():
        raise RunError(
            f"this machine has {torch.cuda.device_count()} GPUs, too few for its processes: "
            f"torchrun --nproc-per-node {torch.cuda.device_count()}, or --device cpu"
        )
    torch.cuda.set_device(number)
    return f"cuda:{number}"


def choose_device(name: str | None) -> str:
    """The named device; without a name a GPU if there is one, otherwise the CPU.

    Raises:
        RunError: the device is not available.
    """
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        if torch.device(name).type not in ("cpu", "cuda"):
            raise RunError(f"device {name!r} is not supported: use cpu or cuda")
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise RunError(
            f"device {name!r} is not available here ({str(error).splitlines()[0]}): try --device cpu"
        ) from error
    return name


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
    """The command line's exit code for this error: stopped by a signal, wrong input, or a failure."""
    if isinstance(error, InterruptedRunError):
        return 128 + error.signal_number
    return 2 if isinstance(error, ValueError) else 1


def _as_rank_lost(error: Exception) -> RankLostError | None:
    """The `RankLostError` for a failed communication; None for any other error."""
    if not isinstance(error, dist.DistError) and not (
        isinstance(error, RuntimeError) and any(sign in str(error) for sign in _CONNECTION_ERRORS)
    ):
        return None
    return RankLostError(
        f"another of the {world_size()} processes was killed or does not respond (reported by rank {rank()}), so "
        "training stops; the last checkpoint is kept: run the same command to continue, with any number of processes"
    )
