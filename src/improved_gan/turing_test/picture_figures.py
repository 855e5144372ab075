"""How often judges were wrong about each picture."""

from dataclasses import dataclass

from improved_gan.turing_test.intervals import wilson
from improved_gan.turing_test.votes import REAL, Votes

__all__ = ["PictureFigures", "picture_figures"]


@dataclass(frozen=True)
class PictureFigures:
    """How often judges were wrong about one picture: a generated one that fools, a real one that is doubted."""

    picture: int
    model: str
    votes: int
    wrong: int
    rate: float
    low: float
    high: float


def picture_figures(votes: Votes) -> list[PictureFigures]:
    """Each judged picture's votes, most often misjudged first; a picture's interval is Wilson's over its votes.

    Votes whose picture is not known (an imported table without the column) are about no picture and are left out.
    """
    judged = zip(votes.picture, votes.model, votes.correct, strict=True)
    own = [(int(p), str(m), bool(c)) for p, m, c in judged if p >= 0]
    own += [(int(p), REAL, bool(c)) for p, c in zip(votes.partner, votes.correct, strict=True) if p >= 0]
    tally: dict[tuple[int, str], list[int]] = {}
    for picture, model, right in own:
        entry = tally.setdefault((picture, model), [0, 0])
        entry[0] += 1
        entry[1] += not right
    found = [PictureFigures(p, m, n, wrong, wrong / n, *wilson(wrong, n)) for (p, m), (n, wrong) in tally.items()]
    return sorted(found, key=lambda one: (-one.rate, -one.votes, one.picture))
