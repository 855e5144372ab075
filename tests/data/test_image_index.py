import hashlib
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from improved_gan.data.image_index import index_images
from improved_gan.data.image_sources import open_images
from tests.pictures import folder_of, picture, png


def test_hash_size_and_kind_of_each_image_and_what_is_wrong_with_the_others(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "images", 70)
    (folder / "gray.png").write_bytes(png(Image.new("L", (30, 20))))
    (folder / "text.png").write_text("no image")
    (folder / "empty.jpg").write_bytes(b"")
    scan = index_images(open_images(folder), workers=2)
    assert len(scan) == 71
    assert scan.names == (*(f"{number:03d}.png" for number in range(70)), "gray.png")
    assert scan.bad == {"text.png": "cannot be read: no known image format", "empty.jpg": scan.bad["text.png"]}
    for name, digest in zip(scan.names, scan.hashes, strict=True):
        assert digest.tobytes() == hashlib.sha256((folder / name).read_bytes()).digest()
    assert scan.sizes[0].tolist() == [10, 12]
    assert scan.sizes[-1].tolist() == [30, 20]
    assert scan.shorter_sides.tolist() == [10] * 70 + [20]
    assert scan.color.tolist() == [True] * 70 + [False]
    assert scan.digest() == hashlib.sha256(b"".join(bytes(one) for one in scan.hashes)).hexdigest()


def test_an_archive_scans_as_its_folder(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "images", 5)
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for path in sorted(folder.iterdir(), reverse=True):
            archive.write(path, path.name)
    one, other = (index_images(open_images(path), workers=1) for path in (folder, tmp_path / "images.zip"))
    assert one.names == other.names
    np.testing.assert_array_equal(one.hashes, other.hashes)
    assert one.digest() == other.digest()


def test_changed_content_gives_another_digest(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "images", 3)
    before = index_images(open_images(folder), workers=1).digest()
    (folder / "001.png").write_bytes(png(picture(99)))
    assert index_images(open_images(folder), workers=1).digest() != before
