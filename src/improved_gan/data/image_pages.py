"""The number of images in one file: pages of a TIFF, frames of a GIF, WebP, AVIF or PNG. Only the first is read.

A page may be a slice of a volume, a channel, or a smaller copy of the first; which of them are images of their own only
the user knows. So the others are counted and told, and whoever wants them writes them into files of their own.
"""

import io
from collections.abc import Mapping

from PIL import Image

__all__ = ["further_pages", "pages_notice"]

_MAY_HOLD_MORE = (b"II", b"MM", b"GIF8", b"RIFF", b"\x89PNG")


def further_pages(content: bytes) -> int:
    """Images beyond the first in a file that can be read; 0 where they cannot be counted.

    Args:
        content: of the file.
    """
    if not content.startswith(_MAY_HOLD_MORE) and content[4:8] != b"ftyp":
        return 0
    if content[:4] == b"\x89PNG" and b"acTL" not in content[:4096]:  # most files by far
        return 0
    try:
        with Image.open(io.BytesIO(content)) as image:
            return max(0, int(getattr(image, "n_frames", 1)) - 1)
    except MemoryError:
        raise
    except Exception:  # damaged after the first: Pillow's readers raise anything
        return 0


def pages_notice(further: Mapping[str, int]) -> tuple[str, ...]:
    """One line on files that hold more than one image, or none.

    Args:
        further: number of further images by name, above 0.

    >>> pages_notice({"a.tif": 4, "b.gif": 1})[0][:62]
    '2 files hold 5 further pages or frames (a.tif: 4, b.gif: 1): o'
    """
    if not further:
        return ()
    most = sorted(further, key=lambda name: -further[name])[:3]
    listed = ", ".join(f"{name}: {further[name]}" for name in most) + (" ..." if len(further) > len(most) else "")
    return (
        f"{len(further)} files hold {sum(further.values())} further pages or frames ({listed}): only the first of each "
        "file is read; to use the others, save each as a file of its own",
    )
