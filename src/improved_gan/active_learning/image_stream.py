"""A stream of the images in files, folders and archives, each with a unique name; no image is kept in memory."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from torch import Tensor

from improved_gan.data.dataset import DataError
from improved_gan.data.image_sources import ImageSource, Read, is_archive, open_images
from improved_gan.data.images import center_crop_resize, read_image
from improved_gan.data.value_range import ValueRange

__all__ = ["Decode", "ImageList", "decoder"]

Decode = Callable[[str, bytes], Tensor]


class ImageList:
    """All images under the given paths, in a fixed order, each under one name.

    An image of a folder or archive is called `FOLDER/NAME`, a single file as it was given. One that several paths name
    (a folder, and one inside it; a relative path, and the absolute one; a folder, and a link to it) counts once, under
    the first of its names.

    Args:
        paths: image files, folders, archives.
        root: a folder; if a single path is given and lies in it, names in a labels file are relative to this folder.

    Attributes:
        labels_root: the folder or archive that names in a labels file are relative to; None where there are several.
        labels_names: names of the images as a labels file has them; with several paths, the names of all images.

    Raises:
        DataError: a path that does not exist, or holds no image.
    """

    def __init__(self, paths: Sequence[Path], *, root: Path | None = None) -> None:
        self.parts, self._below = _without_repeats([_part(path) for path in paths]), ""
        self.labels_root: Path | None = None
        self.labels_names: Sequence[str]
        if len(self.parts) != 1:
            self.labels_names = list(self.files())
            return
        source = self.parts[0][1]
        self.labels_root, self.labels_names = source.path, source.names
        below = None if root is None or is_archive(source.path.name) else _below(source.path, root)
        if root is not None and below is not None:
            names = open_images(root).names
            if {below + name for name in source.names} <= set(names):
                self.labels_root, self.labels_names, self._below = root, names, below

    @property
    def notices(self) -> tuple[str, ...]:
        """Notices about files of each folder or archive that were left out."""
        return tuple(f"{source.path}: {line}" for _, source in self.parts for line in source.notices)

    def __len__(self) -> int:
        return sum(len(source) for _, source in self.parts)

    def files(self) -> Iterator[str]:
        """The name of each image."""
        for prefix, source in self.parts:
            for name in source.names:
                yield prefix + name

    def stream(self) -> Iterator[tuple[str, Read]]:
        """Name, and a function that reads the bytes, of each image."""
        for prefix, source in self.parts:
            for name, read in source.stream():
                yield prefix + name, read

    def within(self, file: str) -> str:
        """The name that a labels file has for this image: relative to the folder or archive, if only one was given."""
        return self._below + file.removeprefix(self.parts[0][0]) if len(self.parts) == 1 else file


def _part(path: Path) -> tuple[str, ImageSource]:
    if path.is_file() and not is_archive(path.name):
        source = ImageSource(path, (path.name,), lambda: iter([(path.name, path.read_bytes)]))
        return _prefix(path.parent), source
    if not path.exists():
        raise DataError(f"there is no file or folder {path}")
    return _prefix(path), open_images(path)


def _without_repeats(parts: list[tuple[str, ImageSource]]) -> list[tuple[str, ImageSource]]:
    """Each part without the images of earlier ones; parts of which nothing is left are dropped."""
    seen, found = set[str](), list[tuple[str, ImageSource]]()
    for prefix, source in parts if len(parts) > 1 else ():
        places = _places(prefix, source.names)
        names = tuple(name for name, place in zip(source.names, places, strict=True) if place not in seen)
        if len(names) < len(source):
            source = replace(source, names=names, stream=partial(_stream_of, source, frozenset(names)))
        if names:
            found.append((prefix, source))
        seen.update(places)
    return found or parts


def _places(prefix: str, names: Sequence[str]) -> list[str]:
    """Where each image lies, however it is spelled: links to its folder are followed, one that it is itself is not."""
    folders = {name.rpartition("/")[0] for name in names}
    resolved = {folder: str(Path(prefix, folder).resolve()) for folder in folders}
    return [f"{resolved[folder]}/{file}" for folder, _, file in (name.rpartition("/") for name in names)]


def _stream_of(source: ImageSource, names: frozenset[str]) -> Iterator[tuple[str, Read]]:
    return ((name, read) for name, read in source.stream() if name in names)


def _below(path: Path, root: Path) -> str | None:
    """The prefix, such as `a/b/`, of the names of a folder's images relative to `root`; None if it lies elsewhere."""
    folder = path if path.is_dir() else path.parent
    if not root.is_dir():
        return None
    for one, whole in ((folder.absolute(), root.absolute()), (folder.resolve(), root.resolve())):
        if one.is_relative_to(whole):
            inside = one.relative_to(whole).as_posix()
            return "" if inside == "." else f"{inside}/"
    return None


def _prefix(folder: Path) -> str:
    return "" if str(folder) == "." else "/" if str(folder) == "/" else f"{folder}/"


def decoder(
    shape: Sequence[int], *, resize: bool, invert: bool, square: bool, values: ValueRange | None = None
) -> Decode:
    """A function of name and content that gives pixels (C, H, W) uint8 as a network expects them.

    Args:
        shape: (C, H, W).
        resize: convert the mode and scale images of another size; otherwise such images are an error.
        invert: invert the gray levels (255 - x).
        square: take the largest central square and scale it, as `train-folder` does; otherwise the input of a network
            that was trained on such squares would be distorted.
        values: pixel values of black and white; None takes them from the file type. Only with `resize` or `square`.
    """

    def decode(name: str, content: bytes) -> Tensor:
        if not square:
            return read_image(Path(name), shape, resize=resize, invert=invert, content=content, values=values)
        pixels = center_crop_resize(content, name, channels=shape[0], size=shape[1], values=values)
        return 255 - pixels if invert else pixels

    return decode
