import pytest

from improved_gan.data.folder_layout import layout_of


@pytest.mark.parametrize(
    ("names", "parts", "classes"),
    [
        (["a.jpg", "b.jpg"], "tt", [None, None]),
        (["cat/1.jpg", "dog/deep/2.jpg", "3.jpg"], "ttt", ["cat", "dog", None]),
        (["cat/1.jpg", "unlabeled/2.jpg", "Unlabeled/3.jpg"], "ttt", ["cat", None, None]),
        (["photos/cat/1.jpg", "photos/dog/2.jpg"], "tt", ["cat", "dog"]),
        (["train/cat/1.jpg", "val/cat/2.jpg", "test/dog/3.jpg"], "tve", ["cat", "cat", "dog"]),
        (["x/train/cat/1.jpg", "x/validation/dog/2.jpg"], "tv", ["cat", "dog"]),
        (["train/1.jpg", "unlabeled/2.jpg", "val/3.jpg"], "ttv", [None, None, None]),
        # without a train folder these are classes like any other
        (["test/1.jpg", "cat/2.jpg"], "tt", ["test", "cat"]),
        # and so is a train folder among other classes, unless it holds folders itself
        (["bus/1.jpg", "car/2.jpg", "train/3.jpg"], "ttt", ["bus", "car", "train"]),
        (["bus/1.jpg", "Training/3.jpg", "test/4.jpg"], "ttt", ["bus", "Training", "test"]),
        (["extra/1.jpg", "train/cat/2.jpg", "test/3.jpg"], "tte", ["extra", "cat", None]),
        ([" cat /1.jpg", "cat/2.jpg", " /3.jpg"], "ttt", ["cat", "cat", None]),
        (["0.tar/1.jpg", "1.tar/2.jpg"], "tt", [None, None]),
        (["0.tar/cat/1.jpg", "1.tar/dog/2.jpg"], "tt", ["cat", "dog"]),
        (["only/1.jpg", "only/2.jpg"], "tt", ["only", "only"]),
        ([], "", []),
    ],
)
def test_parts_and_classes(names: list[str], parts: str, classes: list[str | None]) -> None:
    layout = layout_of(names)
    assert list(layout.parts) == [{"t": "train", "v": "validation", "e": "test"}[part] for part in parts]
    assert list(layout.classes) == classes
