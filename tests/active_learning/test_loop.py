"""The active-learning loop as a user goes through it: train, classify, label in a real browser, train again."""

import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from improved_gan.cli.classify import ClassifyOptions, classify_images
from improved_gan.cli.custom_images import ImageOptions
from improved_gan.cli.shared import TrainingOptions
from improved_gan.cli.training import train_on_images
from improved_gan.data import load_digits

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("narrow_folder")]
NAMES = ['a,"b" 1.png', "line\nbreak.png", "<b>&amp;.png", "naïve 図.png", "=1+1.png"]


def train(images: Path, labels: Path, out: Path) -> Path:
    own = ImageOptions(images, labels, 32, 0.2, out.parent / "cache", 1)
    options = TrainingOptions(epochs=1, out=out, threads=1, device="cpu")
    return train_on_images(own, options, Console(file=io.StringIO()))


def test_labels_given_in_the_browser_train_the_next_network(browser, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    digits, names = load_digits().test, []
    for index, image in enumerate(digits.images[:60]):
        names.append(NAMES[index] if index < len(NAMES) else f"{index:02d}.png")
        Image.fromarray(image[0].numpy()).resize((40, 32)).convert("RGB").save(tmp_path / "images" / names[-1])
    truth = {name: "even" if label % 2 == 0 else "odd" for name, label in zip(names, digits.labels[:60], strict=True)}
    first = tmp_path / "labels.csv"
    with first.open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label"), *list(truth.items())[:16]])
    run = train(tmp_path / "images", first, tmp_path / "run-1")

    out = tmp_path / "predictions.csv"
    options = ClassifyOptions(
        run, (tmp_path / "images",), out=out, device="cpu", annotate=30, diversity=True, labels=first
    )
    classify_images(options, Console(file=io.StringIO()))
    page = browser.new_page()
    page.goto(out.with_suffix(".annotate.html").as_uri())
    for number in range(30):
        name = page.text_content("#name")
        if number == 10:
            page.reload()
        if number % 2:
            page.locator(".class", has_text=truth[name]).click()
        else:
            page.keyboard.press(page.locator(".class", has_text=truth[name]).get_attribute("aria-keyshortcuts"))
    with page.expect_download() as waiting:
        page.click("#download-again")
    second = tmp_path / "labels-2.csv"
    waiting.value.save_as(second)
    again = train(tmp_path / "images", second, tmp_path / "run-2")
    counts = [
        json.loads((folder / "recipe.json").read_text())["settings"]["label_split"]["num_labels"]
        for folder in (run, again)
    ]
    assert counts[1] - counts[0] >= 20  # 30 more labels, of which a fifth are held out for validation
    with second.open(newline="") as file:
        assert dict(list(csv.reader(file))[1:]).items() <= truth.items()
