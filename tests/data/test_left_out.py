import pytest

from improved_gan.data.left_out import LeftOut, is_leftover


@pytest.mark.parametrize(
    "name",
    [
        ".ipynb_checkpoints/1.png", "cat/.thumbnails/1.jpg", "cat/@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg", "._1.png",
        "__MACOSX/cat/._1.png", "#recycle/1.png", "$RECYCLE.BIN/1.png", "System Volume Information/1.png",
        "lost+found/1.png", "a/.git/x", ".hidden.png", "cat/@Recycle/1.png",
    ],
)  # fmt: skip
def test_hidden_and_left_by_programs(name: str) -> None:
    assert is_leftover(name)


@pytest.mark.parametrize("name", ["1.png", "cat.v2/1.png", "../1.png", "@home/1.png", "#1/1.png", "a_b/1.png"])
def test_what_is_the_users_own(name: str) -> None:
    assert not is_leftover(name)


def test_one_line_of_what_was_left_out_by_ending() -> None:
    left_out = LeftOut()
    for name in ("cat/1.png", "cat/2.HEIC", "cat/3.heic", "dog/4.nd2", "dog/README", "dog/labels.csv", "dog/1.cls"):
        left_out.note(name, is_image=name.endswith(".png"))
    for name in (".ipynb_checkpoints/a.png", "cat/@eaDir/1.png/T.jpg", "cat/@eaDir/2.png/T.jpg", "._1.png", ".x.png"):
        left_out.note(name, is_image=False, is_image_name=True)
    left_out.note_dead_link()
    left_out.note_no_file()
    left_out.note_folder("bird/nest")
    assert left_out.lines() == (
        "left out: 4 files not read as images (2 .heic, 1 .nd2, 1 without an ending); 2 folders hidden or left by "
        "programs (.ipynb_checkpoints, @eaDir); 1 hidden image; 1 dead link; 1 pipe or device: to use these files, "
        "convert them to PNG, JPEG or TIFF",
        "no image is in 2 folders: bird, dog",
    )


def test_nothing_is_said_where_nothing_was_left_out() -> None:
    left_out = LeftOut()
    for folder in ("cat", "cat/a", "cat/a/b"):
        left_out.note_folder(folder)
    left_out.note("cat/a/b/1.png", is_image=True)
    left_out.note("labels.csv", is_image=False)
    assert left_out.lines() == ()


def test_a_deep_empty_folder_is_named_by_its_top() -> None:
    left_out = LeftOut()
    for depth in range(1, 1500):
        left_out.note_folder("/".join(["d"] * depth))
    assert left_out.lines() == ("no image is in 1 folder: d",)
