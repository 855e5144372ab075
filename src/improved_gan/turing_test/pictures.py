"""Pictures from folders of anybody's files, read safely and made alike: one size, one mode, one format, no metadata.

Whatever cannot be used is refused with its reason and listed; nothing is served from the folders later on.
"""

import io
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from improved_gan.turing_test.errors import TuringTestError

__all__ = [
    "Picture",
    "Refused",
    "dim_warning",
    "encode",
    "false_picture",
    "find_files",
    "pad",
    "picture_size",
    "read_picture",
    "to_square",
]

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"))
SAMPLE_OVERVIEWS = frozenset(  # what `sample` writes beside the folder `images`
    ("grid.png", "interpolation.gif", "interpolation.png", "nearest.png", "training.gif", "training.png")
)
THUMBNAILS = frozenset(("@eaDir", "__MACOSX"))  # what network drives and archives of macOS add to every folder
MAX_FILE_BYTES = 64 * 2**20
MAX_PIXELS = 40_000_000


@dataclass(frozen=True)
class Refused:
    """A file that is not used, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Picture:
    """A decoded picture, RGB, and what the file was: the differences that could give the answer away."""

    file: str
    image: Image.Image
    source_format: str
    is_gray: bool
    peak: int | None = None  # largest value of a 16-bit file; else None


def dim_warning(name: str, peaks: list[int | None]) -> Iterator[str]:
    """Whether a condition's 16-bit pictures hold 14 bits or fewer, as of microscopes and scanners: they look black.

    Example:
        >>> next(dim_warning("real", [4000, 4095, None]))
        'the 16-bit pictures of real have no value above 4095 of 65535, so they are nearly black: rescale the files'
    """
    known = [one for one in peaks if one is not None]
    if known and max(known) < 1 << 14:
        yield (
            f"the 16-bit pictures of {name} have no value above {max(known)} of 65535, so they are nearly black: "
            "rescale the files"
        )


def find_files(folder: Path) -> tuple[list[Path], list[Refused]]:
    """Every file below the folder, sorted, that may be a picture, each once; links that lead out of it are refused.

    Raises:
        TuringTestError: no such folder.
    """
    if not folder.is_dir():
        raise TuringTestError(f"{folder} is not a folder: --real and --generated need folders of pictures")
    root, found, refused = folder.resolve(), [], []
    seen: dict[Path, str] = {}
    for path in sorted(_walk(folder), key=lambda one: (one.is_symlink(), one)):  # a file before the links to it
        name = str(path.relative_to(folder))
        if path.name.startswith(".") or path.name in THUMBNAILS:
            refused.append(Refused(name, "hidden, or a folder of thumbnails: not looked into"))
            continue
        if not _is_text(name):
            refused.append(Refused(ascii(name)[1:-1], "its name is not UTF-8 text: rename it"))
            continue
        try:
            target = path.resolve(strict=True)
            mode = target.stat().st_mode
        except (OSError, RuntimeError):
            refused.append(Refused(name, "a broken link"))
            continue
        if not target.is_relative_to(root):
            refused.append(Refused(name, "a link that leads out of the folder"))
        elif not stat.S_ISREG(mode):
            refused.append(Refused(name, "no regular file"))
        elif path.suffix.lower() not in SUFFIXES:
            refused.append(Refused(name, f"no picture by its name ({path.suffix or 'no ending'})"))
        elif path.name in SAMPLE_OVERVIEWS and (path.parent / "images").is_dir():
            refused.append(Refused(name, "a grid or gallery that `sample` writes beside its images"))
        elif target in seen:
            refused.append(Refused(name, f"a link to {seen[target]}, which is used already"))
        else:
            seen[target] = name
            found.append(path)
    return sorted(found), refused


def _is_text(name: str) -> bool:
    """Whether a database can hold it: bytes that are not UTF-8 are surrogates in Python."""
    return name.encode(errors="ignore").decode() == name


def _walk(folder: Path) -> Iterator[Path]:
    """Files and links below a folder; what is not entered (linked or hidden folders) is reported as what it is."""
    for path in folder.iterdir():
        entered = not path.name.startswith(".") and path.name not in THUMBNAILS
        if entered and path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        else:
            yield path


def picture_size(path: Path) -> tuple[int, int] | None:
    """Width and height of the upright picture by the file's header, undecoded; None where there is no such header."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as opened:
                width, height = opened.size
                return (height, width) if opened.getexif().get(0x0112, 1) in (5, 6, 7, 8) else (width, height)
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error, Image.DecompressionBombError):
        return None


def read_picture(path: Path) -> Picture:
    """Decode one file: upright, on white where transparent, RGB.

    Raises:
        TuringTestError: not a picture, truncated, too large on disk or in pixels.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise TuringTestError(f"larger than {MAX_FILE_BYTES >> 20} MiB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    raise TuringTestError(f"{opened.width}x{opened.height} pixels: more than {MAX_PIXELS:,}")
                opened.load()
                peak = int(np.asarray(opened).max()) if opened.mode.startswith("I") else None
                image, kind = _upright_rgb(opened), str(opened.format)
    except UnidentifiedImageError as error:
        raise TuringTestError("not a picture of a known format") from error
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,
    ) as error:
        if isinstance(error, TuringTestError):
            raise
        raise TuringTestError(f"cannot be decoded: {error}") from error
    red, green, blue = np.moveaxis(np.asarray(image), -1, 0)
    return Picture(str(path), image, kind, bool((red == green).all() and (green == blue).all()), peak)


def _upright_rgb(image: Image.Image) -> Image.Image:
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }  # fmt: skip
    turn = turns.get(image.getexif().get(0x0112, 1))
    if image.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        values = np.asarray(image)
        if image.mode == "F" or values.min() < 0 or values.max() > 65535:
            raise TuringTestError("floating-point, signed or 32-bit values: black and white are not known, take 8 bits")
        image = Image.fromarray(np.rint(values / 257).astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    image = image.convert("RGB")
    return image.transpose(turn) if turn is not None else image


def to_square(image: Image.Image, size: int) -> Image.Image:
    """The middle square of a picture, scaled to size x size pixels; unchanged where it has that size."""
    if image.size == (size, size):
        return image
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))


def encode(image: Image.Image) -> bytes:
    """PNG without metadata.

    Example:
        >>> encode(Image.new("RGB", (2, 2)))[:8]
        b'\\x89PNG\\r\\n\\x1a\\n'
    """
    bare, file = Image.frombytes("RGB", image.size, image.tobytes()), io.BytesIO()
    bare.save(file, "PNG", compress_level=6)
    return file.getvalue()


def pad(png: bytes, length: int) -> bytes:
    """The same picture in exactly `length` bytes: an empty chunk before the end, so that sizes say nothing.

    Raises:
        TuringTestError: less than 12 bytes of room.

    Example:
        >>> len(pad(encode(Image.new("RGB", (2, 2))), 500))
        500
    """
    room = length - len(png) - 12
    if room < 0:
        raise TuringTestError(f"a picture of {len(png)} bytes cannot be padded to {length}")
    body = b"paDd" + bytes(room)
    chunk = struct.pack(">I", room) + body + struct.pack(">I", zlib.crc32(body))
    return png[:-12] + chunk + png[-12:]


def false_picture(width: int, height: int, *, seed: int) -> Image.Image:
    """A blatantly false picture for attention checks: bright squares at random, which no photograph is.

    Example:
        >>> false_picture(32, 32, seed=0).size
        (32, 32)
    """
    generator = np.random.default_rng((seed, 3))
    squares = generator.choice([0, 255], (8, 8, 3)).astype(np.uint8)
    squares[generator.random((8, 8)) < 0.15] = 128
    return Image.fromarray(squares).resize((width, height), Image.Resampling.NEAREST)
