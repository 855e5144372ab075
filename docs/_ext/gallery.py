"""The gallery's figures: samples of the plain DCGAN beside samples of the DCGAN with one technique."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.image import imread
from sphinx_gallery.scrapers import figure_rst

ROOT = Path(__file__).parent.parent.parent
STEPS = 600
SAMPLES = ROOT / "docs" / "_build" / "gallery"


def arguments(_: dict[str, Any], variables: dict[str, Any]) -> list[str]:
    """Arguments of an example: few steps, and a place for its samples."""
    SAMPLES.mkdir(parents=True, exist_ok=True)
    name = Path(variables["src_file"]).stem
    return ["--steps", str(STEPS), "--out", str(SAMPLES / f"{name}.png")] if name.startswith("dcgan") else []


def before_and_after(block: Any, variables: dict[str, Any], settings: dict[str, Any]) -> str:
    """Draw the samples that an example has written; the last block of an example writes them."""
    written = SAMPLES / f"{Path(variables['src_file']).stem}.png"
    if not written.exists() or variables["example_globals"].get("__name__") != "__main__":
        return ""
    plain = _plain()
    shown = {"plain DCGAN": plain} if written == plain else {"plain DCGAN": plain, "with the technique": written}
    figure = Figure(figsize=(4 * len(shown), 4.2), layout="constrained")
    for axes, (title, file) in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True):
        axes.imshow(imread(file), cmap="gray")
        axes.set_title(title)
        axes.axis("off")
    path = next(variables["image_path_iterator"])
    figure.savefig(path, dpi=120)
    if written != plain:
        written.unlink()
    return str(
        figure_rst([path], settings["src_dir"], fig_titles=", beside ".join(f"samples, {title}" for title in shown))
    )


def _plain() -> Path:
    """Samples of the plain DCGAN, trained once a build."""
    file = SAMPLES / "dcgan.png"
    if not file.exists():
        example = [str(ROOT / "examples" / "dcgan.py"), "--steps", str(STEPS), "--out", str(file)]
        subprocess.run([sys.executable, *example], check=True, stdout=subprocess.DEVNULL)
    return file
