"""Files of a folder or archive that are not images: reported in one line, so that none is ignored silently.

Hidden folders and files, and what programs leave behind (thumbnails of a NAS, checkpoints of notebooks, waste baskets),
are no images of the user's. Everything else that is not read is counted by its ending, texts and labels apart.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from improved_gan.data.wording import counted, listed

__all__ = ["SAMPLE_OVERVIEWS", "LeftOut", "is_leftover", "is_sample_overview"]

SAMPLE_OVERVIEWS = frozenset(  # what `sample` writes beside the folder `images`: many samples in one image
    {"grid.png", "interpolation.gif", "interpolation.png", "nearest.png", "training.gif", "training.png"}
)
_LEFTOVERS = frozenset({  # folders, in small letters; those that begin with a point need no entry
    "@eadir", "@recycle", "@recently-snapshot", "@tmp", "#recycle", "#snapshot",  # Synology, QNAP
    "__macosx", "network trash folder", "temporary items",  # macOS
    "$recycle.bin", "recycler", "system volume information",  # Windows
    "lost+found", "__pycache__", "_vti_cnf",
})  # fmt: skip
_TEXTS = frozenset({  # never images: labels, notes, programs
    ".cls", ".csv", ".db", ".htm", ".html", ".ini", ".ipynb", ".json", ".jsonl", ".log", ".md", ".md5", ".py", ".rst",
    ".sh", ".sha256", ".toml", ".tsv", ".txt", ".xml", ".yaml", ".yml",
})  # fmt: skip


def is_leftover(name: str) -> bool:
    """Whether a file, or a folder it is in, is hidden or left by a program.

    >>> is_leftover("cat/@eaDir/1.png/THUMB.jpg"), is_leftover("cat/._1.png"), is_leftover("../cat/1.png")
    (True, True, False)
    """
    return _first_leftover(name) is not None


def is_sample_overview(file: Path) -> bool:
    """Whether it is a grid or gallery that `sample` writes beside the folder `images`, and no sample itself."""
    return file.name in SAMPLE_OVERVIEWS and (file.parent / "images").is_dir()


class LeftOut:
    """Counts what is not read; `lines` reports it.

    Attributes:
        endings: how many files of each ending are not read.
    """

    def __init__(self) -> None:
        self.endings = Counter[str]()
        self._hidden, self._hidden_files = dict[str, None](), 0
        self._dead_links = self._no_files = self._overviews = 0
        self._twice: list[str] = []
        self._folders, self._with_images = set[str](), set[str]()

    def note(self, name: str, *, is_image: bool, is_image_name: bool = False) -> None:
        """A file: read as an image, or not.

        Args:
            name: plain (see `file_names.plain_name`).
            is_image: whether it is read.
            is_image_name: whether it would be, were it not hidden.
        """
        parent = name.rpartition("/")[0]
        if (leftover := _first_leftover(name)) is not None:
            if leftover != name:
                self._hidden[leftover] = None
            elif is_image_name and not name.rpartition("/")[2].startswith("._"):  # macOS's archiver: no images
                self._hidden_files += 1
            return
        self._folders.add(parent)
        if is_image:
            self._with_images.add(parent)
        elif (ending := PurePosixPath(name).suffix.lower()) not in _TEXTS:
            self.endings[ending] += 1

    def note_folder(self, name: str) -> None:
        """A folder, which may be empty."""
        leftover = _first_leftover(name)
        if leftover is None:
            self._folders.add("" if name == "." else name)  # a tar names the folder that it holds
        else:
            self._hidden[leftover] = None

    def note_used(self, name: str) -> None:
        """A file that is no image, and is read all the same: an archive of images."""
        self._with_images.add(name.rpartition("/")[0])

    def note_dead_link(self) -> None:
        """A link that leads nowhere, and has no image's name."""
        self._dead_links += 1

    def note_sample_overview(self) -> None:
        """A grid or gallery of `sample`."""
        self._overviews += 1

    def note_no_file(self) -> None:
        """A pipe, socket or device."""
        self._no_files += 1

    def note_twice(self, folder: str) -> None:
        """A folder that is read under another name: one of the two is a link."""
        self._folders.discard(folder)
        self._twice.append(folder)

    def lines(self) -> tuple[str, ...]:
        """At most two lines: what was left out, and folders without images."""
        return tuple(line for line in (self._left_out(), self._empty()) if line)

    def _left_out(self) -> str:
        parts = []
        if self.endings:
            by_ending = [f"{num} {ending or 'without an ending'}" for ending, num in self.endings.most_common()]
            parts.append(f"{counted(sum(self.endings.values()), 'file')} not read as images ({listed(by_ending)})")
        if self._hidden:
            names = dict.fromkeys(one.rpartition("/")[2] for one in self._hidden)
            num = counted(len(self._hidden), "folder")
            parts.append(f"{num} hidden or left by programs ({listed(list(names))})")
        if self._twice:
            num = counted(len(self._twice), "folder")
            parts.append(f"{num} read under another name, too ({listed(self._twice)})")
        counts = {
            "hidden image": self._hidden_files,
            "dead link": self._dead_links,
            "pipe or device": self._no_files,
            "sample overview": self._overviews,
        }
        parts += [counted(num, what) for what, num in counts.items() if num]
        advice = ": to use these files, convert them to PNG, JPEG or TIFF" if self.endings else ""
        return f"left out: {'; '.join(parts)}{advice}" if parts else ""

    def _empty(self) -> str:
        filled = _with_those_above(self._with_images)
        empty = _with_those_above(self._folders) - filled
        top = sorted(one for one in empty if one.rpartition("/")[0] not in empty)
        return f"no image is in {counted(len(top), 'folder')}: {listed(top)}" if top else ""


def _with_those_above(folders: Iterable[str]) -> set[str]:
    """Folders and their parents; the top one has no name and is left out."""
    found = set[str]()
    for folder in folders:
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found


def _first_leftover(name: str) -> str | None:
    """The topmost part of the name that is hidden or left by a program, with what comes before it."""
    parts = name.split("/")
    for depth, part in enumerate(parts):
        if (part[:1] == "." and part not in (".", "..")) or part.lower() in _LEFTOVERS:
            return "/".join(parts[: depth + 1])
    return None
