import json
from pathlib import Path

import numpy as np
import pytest

from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.top_share import image_scores, prompt_of, read_scores, top_files
from tests.mutations import damaged_values, mutations, read_all


def test_the_mean_of_the_parts_is_the_log_of_the_inception_score() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(5), 40)
    marginal = p.mean(0)
    plain = [sum(v * np.log(v / m) for v, m in zip(row, marginal, strict=True)) for row in p]
    np.testing.assert_allclose(image_scores(p), plain)
    assert np.exp(image_scores(np.eye(10)).mean()) == pytest.approx(10)


def test_all_three_forms_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("file,score\nx.png,1.5\ny.png,2\n")
    (tmp_path / "b.csv").write_text("file,label,p(cat),p(dog),real_score\nx.png,cat,1,0,0.5\ny.png,dog,0,1,0.5\n")
    (tmp_path / "c.json").write_text(json.dumps([{"file": "x.png", "score": 3}]))
    assert read_scores(tmp_path / "a.csv") == {"x.png": 1.5, "y.png": 2.0}
    assert read_scores(tmp_path / "b.csv")["x.png"] == pytest.approx(np.log(2))
    assert read_scores(tmp_path / "c.json") == {"x.png": 3.0}


def test_the_best_share_and_files_without_a_score() -> None:
    files = [Path(f"d/{k}.png") for k in range(200)]
    scores = {f"{k}.png": float(k % 100) for k in range(200)}
    assert [path.name for path in top_files(files, scores, 0.01)] == ["199.png", "99.png"]
    with pytest.raises(TuringTestError, match="1 of 201 files have no score"):
        top_files([*files, Path("other.png")], scores, 0.01)
    with pytest.raises(TuringTestError):
        top_files(files, scores, 0)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "file,score\nx,nan\n", "file,score\nx,y\n", "file,p(a)\nx,0.5\n"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(TuringTestError):
        read_scores(tmp_path / "s.csv")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("s.json", b'{"x.png": 1' + b"0" * 400 + b"}"),
        ("s.json", b"[" * 100_000),
        ("s.json", b'{"x.png": null}'),
        ("s.json", b"7"),
        ("s.csv", b"file,score\n" + b"x" * 200_000 + b",1\n"),
        ("s.csv", b"score,file\n1\n"),
        ("s.csv", b"file,score\n\xff,1\n"),
    ],
)
def test_what_breaks_a_reader_is_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TuringTestError) as error:
        read_scores(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("s.csv", "file,score\na.png,1\nb.png,2\n"),
        ("p.csv", "file,p(a),p(b)\na.png,.5,.5\nb.png,.2,.8\n"),
        ("s.json", '{"a.png": 1.5, "b.png": 2}'),
        ("t.json", '[{"file": "a.png", "score": 1.5}, {"file": "b.png", "score": 2}]'),
    ],
)
def test_of_300_damaged_files_each_is_read_or_told_in_one_line(tmp_path: Path, name: str, content: str) -> None:
    def read(damaged: object) -> None:
        data = damaged if isinstance(damaged, bytes) else json.dumps(damaged).encode()
        (tmp_path / name).write_bytes(data)
        top_files([Path("a.png"), Path("b.png")], read_scores(tmp_path / name), 0.5)

    assert read(content.encode()) is None
    assert read_all(mutations(content.encode(), seed=0, num=300), read) > 100
    if name.endswith(".json"):
        assert read_all(damaged_values(json.loads(content), 300), read) > 100


def test_files_of_one_name_in_two_folders_are_told_apart_by_the_end_of_their_path() -> None:
    files = [Path("/samples/a/1.png"), Path("/samples/b/1.png")]
    assert top_files(files, {"a/1.png": 1.0, "b/1.png": 3.0}, 0.5) == files[1:]
    assert top_files(files[:1], {"elsewhere/1.png": 1.0}, 1) == files[:1]
    for incomplete in ({"a/1.png": 1.0}, {"1.png": 1.0}, {"c/1.png": 1.0, "d/1.png": 3.0}):
        with pytest.raises(TuringTestError, match="have no score"):
            top_files(files, incomplete, 0.5)


def test_scores_with_a_byte_order_mark_and_with_line_separators_in_names(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_bytes("file,score\na\u2028b.png,3\n".encode("utf-8-sig"))
    assert read_scores(tmp_path / "s.csv") == {"a\u2028b.png": 3.0}


def test_the_prompt_of_a_whole_path_goes_before_that_of_its_name(tmp_path: Path) -> None:
    file = tmp_path / "1.png"
    assert prompt_of(file, {"1.png": "a dog", str(file): "a cat"}) == "a cat"
    assert prompt_of(file, {"1.png": "a dog"}) == "a dog"
