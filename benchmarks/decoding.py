"""Decoded images per second at 32, 64 and 128 pixels with one and two workers.

    python benchmarks/decoding.py cifar10-jpeg.tar.xz photos [--num N] [--json FILE]

Images are decoded once, before training, into memory or the cache. A step uses three batches of images: decoding in
each step would need 3 x batch size / (seconds per step) images per second.
"""

import argparse
import json
import os
import time
from pathlib import Path

from improved_gan.data.decoded_cache import decode_rows
from improved_gan.data.image_index import ImageIndex, index_images
from improved_gan.data.image_sources import ImageSource, open_images

SIZES, WORKERS = (32, 64, 128), (1, 2)


def first_images(path: Path, num: int) -> ImageSource:
    """The first images, in memory, so that reading and decompressing the archive are not timed."""
    source = open_images(path)
    contents = []
    for name, read in source.stream():
        contents.append((name, read()))
        if len(contents) == num:
            break
    names = tuple(name for name, _ in contents)
    return ImageSource(path, names, lambda: ((name, lambda data=data: data) for name, data in contents))  # type: ignore[misc]


def rates(scan: ImageIndex, *, repeats: int) -> dict[str, float]:
    """Images per second by size and workers: the best of several interleaved rounds."""
    best: dict[str, float] = {}
    for _ in range(repeats):
        for size in SIZES:
            for workers in WORKERS:
                started = time.perf_counter()
                num = sum(1 for _ in decode_rows(scan, (3, size, size), workers=workers))
                key = f"{size} px, {workers} workers"
                best[key] = max(best.get(key, 0.0), num / (time.perf_counter() - started))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--num", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result: dict[str, object] = {"load": os.getloadavg(), "cores": os.cpu_count()}
    for path in arguments.paths:
        source = first_images(path, arguments.num)
        started = time.perf_counter()
        scan = index_images(source, workers=1)
        looked = len(scan) / (time.perf_counter() - started)
        found = rates(scan, repeats=arguments.repeats)
        result[path.name] = {"images": len(scan), "scan": looked, **found}
        print(f"{path.name}: {len(scan)} images, looked at {looked:.0f} a second")
        for key, rate in found.items():
            print(f"  {key:20s} {rate:8.0f} images/s")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
