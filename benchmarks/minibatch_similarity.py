"""Minibatch similarity forward and backward: the naive formula, torch.cdist and ours, in time and peak memory.

    python benchmarks/minibatch_similarity.py --threads 1 --out minibatch_similarity.json [--num-sizes 1]

Times are interleaved (one round of each method after another) and the median is taken; a method that has used up its
seconds skips the remaining rounds. Peak memory is that of a fresh process, less its memory before the call. A method
that would not fit into memory is left out, and reported.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from improved_gan.techniques import minibatch_similarity

SIZES = [(100, 100, 5), (256, 300, 50), (1024, 300, 50)]
ROUNDS, SECONDS = 21, 60.0  # for one method at one size, at most; one round at least


def naive(projections: Tensor) -> Tensor:
    """The formula with the whole N x N x B x C tensor."""
    return (-(projections[:, None] - projections[None]).abs().sum(-1)).exp().sum(1)


def cdist(projections: Tensor) -> Tensor:
    """torch.cdist with p = 1, one batch entry per kernel: B x N x N distances."""
    points = projections.transpose(0, 1).contiguous()
    return (-torch.cdist(points, points, p=1)).exp().sum(2).t()


METHODS: dict[str, Callable[[Tensor], Tensor]] = {"naive": naive, "cdist": cdist, "ours": minibatch_similarity}


def run(method: str, projections: Tensor) -> float:
    """Seconds for one forward and backward pass: with one thread those of the processor, which other work leaves."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    torch.autograd.grad(METHODS[method](projections).square().sum(), projections)
    return clock() - start


def status_bytes(name: str, path: str = "/proc/self/status") -> int:
    """A memory size from /proc, in bytes."""
    lines = dict(line.split(":", 1) for line in Path(path).read_text().splitlines())
    return int(lines[name].split()[0]) * 1024


def fits(method: str, size: tuple[int, int, int]) -> bool:
    """Whether the naive formula's three float32 tensors of N x N x B x C fit into four fifths of the memory."""
    n, b, c = size
    return method != "naive" or 3 * 4 * n * n * b * c < 0.8 * status_bytes("MemAvailable", "/proc/meminfo")


def peak_bytes(method: str, size: tuple[int, int, int], threads: int) -> int:
    """Peak memory of a fresh process that runs the method once, less its initial memory."""
    arguments = [sys.executable, __file__, "--threads", str(threads), "--child", method, *map(str, size)]
    return int(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)


def child(method: str, size: tuple[int, int, int]) -> None:
    """Warm up on a tiny batch, read the peak memory, run, print its increase."""
    run(method, torch.randn(2, 1, 1, requires_grad=True))
    projections = torch.randn(size, requires_grad=True)
    Path("/proc/self/clear_refs").write_text("5")  # Linux: reset the peak to the current memory
    before = status_bytes("VmHWM")
    run(method, projections)
    print(status_bytes("VmHWM") - before)


def measure(size: tuple[int, int, int], threads: int) -> list[dict[str, object]]:
    """One row for each method: median seconds and peak bytes, or null where it does not fit."""
    projections = torch.randn(size, requires_grad=True)
    present = [method for method in METHODS if fits(method, size)]
    peaks = {method: peak_bytes(method, size, threads) for method in present}
    times: dict[str, list[float]] = {method: [] for method in present}
    for _ in range(ROUNDS):
        for method in present:
            if sum(times[method]) < SECONDS:
                times[method].append(run(method, projections))
    return [
        {
            "size": size,
            "method": method,
            "seconds": median(times[method]) if method in present else None,
            "rounds": len(times.get(method, [])),
            "peak_bytes": peaks.get(method),
        }
        for method in METHODS
    ]


def main() -> None:
    """Print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--num-sizes", type=int, default=len(SIZES), help="measure the first so many sizes")
    parser.add_argument("--out", type=Path, default=Path("minibatch_similarity.json"))
    parser.add_argument("--child", nargs=4, metavar=("METHOD", "N", "B", "C"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.child:
        method, n, b, c = options.child
        child(method, (int(n), int(b), int(c)))
        return
    rows = []
    print(f"{'(N, B, C)':>16} {'method':>8} {'forward+backward':>18} {'peak memory':>14}", flush=True)
    for size in SIZES[: options.num_sizes]:
        for row in measure(size, options.threads):
            seconds, peak = row["seconds"], row["peak_bytes"]
            text = (
                f"{seconds * 1000:15.1f} ms {peak / 2**20:10.1f} MiB"
                if isinstance(seconds, float) and isinstance(peak, int)
                else "does not fit into this machine's memory"
            )
            print(f"{size!s:>16} {row['method']:>8} {text}", flush=True)
            rows.append(row)
    options.out.write_text(json.dumps({"threads": options.threads, "torch": torch.__version__, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
