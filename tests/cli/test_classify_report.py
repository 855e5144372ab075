import io
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from improved_gan.active_learning.predictions import Finished
from improved_gan.cli.classify_report import print_counts, print_single


def test_counts_and_where_rows_are() -> None:
    screen = io.StringIO()
    finished = Finished(3, Counter(cat=1, dog=2), changed=True)
    print_counts(finished, None, Console(file=screen, width=150), known=0, changed=0, classified=3)
    assert screen.getvalue().splitlines() == [
        "3 images classified (cat: 1, dog: 2)",
        "nothing was written: --out CSV writes one row for each image",
    ]


def test_only_images_that_were_named_are_printed(tmp_path: Path) -> None:
    for name in ("a[b].png", "c.png"):
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / name)
    file = tmp_path / "p.csv"
    file.write_text(
        "file,label,p(cat),p(dog),p(cow),p(hen),real_score,entropy,sha256\n"
        f"{tmp_path}/a[b].png,dog,0.1,0.6,0.25,0.05,0.9,1,x\n{tmp_path}/c.png,cat,1,0,0,0,1,0,x\n"
    )
    screen = io.StringIO()
    print_single([tmp_path / "a[b].png"], file, Console(file=screen, width=300))
    assert screen.getvalue() == f"{tmp_path}/a[b].png: dog, probability 60.0% (then cow 25.0%, cat 10.0%)\n"
