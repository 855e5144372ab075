"""The rule that decides which files are images: by their ending, or without one by their first bytes."""

__all__ = ["IMAGE_SUFFIXES", "holds_an_image"]

# Formats of single images that Pillow decodes by itself. Some builds of it lack AVIF: such files are then reported.
IMAGE_SUFFIXES = frozenset({
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pcx", ".pgm",
    ".png", ".pnm", ".ppm", ".qoi", ".tga", ".tif", ".tiff", ".webp",
})  # fmt: skip
_BEGINNINGS = (
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  "
)  # fmt: skip


def holds_an_image(beginning: bytes) -> bool:
    """Whether a file that begins so (32 bytes) is an image: PNG, JPEG, GIF, TIFF, BMP, WebP, AVIF or JPEG 2000.

    >>> holds_an_image(b"GIF89a..."), holds_an_image(b"Dear reader,")
    (True, False)
    """
    if beginning[:4] == b"RIFF":
        return beginning[8:12] == b"WEBP"
    if beginning[:2] == b"BM":
        return len(beginning) >= 10 and beginning[6:10] == bytes(4)
    return beginning.startswith(_BEGINNINGS) or beginning[4:12] in (b"ftypavif", b"ftypavis")
