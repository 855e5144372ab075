import builtins

import pytest

from improved_gan.theory.plots import label, new_figure, write_figure, write_table


def test_a_missing_matplotlib_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name, *rest, real=builtins.__import__):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r"^plots need matplotlib: pip install 'improved-gan\[plots\]'$"):
        new_figure(width=1, height=1)


def test_figures_are_reproducible_byte_for_byte(tmp_path) -> None:
    for name in ("a.png", "b.png"):
        figure = new_figure(width=3, height=2)
        label(figure.subplots(), title="T", x="x", y="y")
        write_figure(figure, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_table(tmp_path) -> None:
    path = write_table(tmp_path / "t.csv", ["name", "n", "value"], [("a", 1, 1 / 3), ("b", 2, float("inf"))])
    assert path.read_text() == "name,n,value\na,1,0.3333333333\nb,2,inf\n"
