"""The field's words and no others: private words of earlier versions, which a reader would have to learn, stay out.

Each has a standard term: pseudo-label, k-NN graph, update, network, diagnostic, standard deviation, image or sample.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
SUFFIXES = {".py", ".md", ".html", ".js"}
PLACES = [path for name in ("src", "docs", "examples", "benchmarks") for path in (ROOT / name).rglob("*")]
FILES = sorted(path for path in [*PLACES, *ROOT.glob("*.md")] if path.suffix in SUFFIXES)

# private word (as a regular expression) -> where it is the field's own word, by the beginning of a path
PRIVATE = {
    r"guess(es|ed|ing)?": ("src/improved_gan/turing_test/", "docs/turing_test.md"),  # a judge may guess
    r"bends? into|bent neighbou?rs": (),
    r"turns? of the (generator|discriminator)|(generator|discriminator)'s turn": (),
    r"(has|have) won|D wins": (),
    r"surest": (),
    r"players?": (
        "src/improved_gan/theory/",
        "docs/paper/",
        "src/improved_gan/cli/theory.py",
    ),  # of a two-player game
    r"games?": (
        "src/improved_gan/theory/",
        "docs/paper/",
        "docs/paper_map.md",
        "docs/cli.md",
        "src/improved_gan/cli/command_line.py",
        "src/improved_gan/cli/theory.py",
    ),  # as there
    r"batch mates": (),
    r"told so": (),
    r"alarms?": (  # a false alarm of signal detection theory
        "src/improved_gan/turing_test/",
        "docs/turing_test.md",
        "src/improved_gan/cli/turing_test",
    ),
    r"labels alone": (),
    r"realness": (),
    r"score cards?": (),
    r"too near": (),
    r"pictures?": ("src/improved_gan/turing_test/", "docs/turing_test.md", "src/improved_gan/cli/turing_test"),
    r"(?<!standard )deviations?": (),
    r"by heart": (),
    r"judgements?": (),
    r"labell(ed|ing)|colou?r(?<!color)|neighbour\w*|grey|normalis\w+|optimis\w+|behaviour": (
        "src/improved_gan/data/unknown_labels.py",
    ),
}


def test_no_private_words() -> None:
    found = []
    for path in FILES:
        relative, text = path.relative_to(ROOT).as_posix(), path.read_text()
        for word, allowed in PRIVATE.items():
            if not relative.startswith(allowed or ("-",)):
                for match in re.finditer(rf"(?<![\w-]){word}(?![\w-])", text, re.IGNORECASE):
                    found.append(f"{relative}:{text[: match.start()].count(chr(10)) + 1}: {match[0]!r}")
    assert found == []
