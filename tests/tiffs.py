"""TIFF and PNG files that Pillow cannot write: bytes built from the formats' own descriptions."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray


def tiff(values: NDArray[np.generic], *, bits: int | None = None, photometric: int | None = None) -> bytes:
    """One uncompressed strip, little-endian; (H, W) or (H, W, C) of any number type, or packed in 12 bits."""
    height, width = values.shape[:2]
    num = 1 if values.ndim == 2 else values.shape[2]
    form = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    data = values.astype(values.dtype.newbyteorder("<")).tobytes() if bits is None else _packed(values, bits)
    bits = bits or 8 * values.dtype.itemsize
    photometric = (1 if num == 1 else 2) if photometric is None else photometric
    start = 8 + 2 + 12 * 10 + 4
    several = struct.pack(f"<{num}H", *[bits] * num) + struct.pack(f"<{num}H", *[form] * num)
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, num, bits if num == 1 else start), (259, 3, 1, 1),
        (262, 3, 1, photometric), (273, 4, 1, start + len(several)), (277, 3, 1, num), (278, 4, 1, height),
        (279, 4, 1, len(data)), (339, 3, num, form if num == 1 else start + 2 * num),
    ]  # fmt: skip
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + struct.pack("<I", 0) + several + data


def png(values: NDArray[np.uint16], *, color: int) -> bytes:
    """Sixteen bits a channel; the type of color is PNG's: 0 gray, 2 RGB, 4 gray with alpha, 6 RGBA."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _packed(values: NDArray[np.generic], bits: int) -> bytes:
    rows = []
    for row in values.tolist():
        text = "".join(f"{value:0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        rows.append(int(text, 2).to_bytes(len(text) // 8, "big"))
    return b"".join(rows)
