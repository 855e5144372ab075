"""The best-scoring share of samples, by each image's own part of the Inception score, as a generated condition.

The Inception score is exp(E_x KL(p(y|x) || p(y))) (paper, section 4); an image's part is its KL(p(y|x) || p(y)), with
p(y) the mean over all images. The paper shows judges the top 1% of CIFAR-10 samples: 71.4% correct instead of 78.7%.

A file of scores is CSV with a column `file` and either `score`, or one column `p(CLASS)` for each class (as
`improved-gan classify` writes it); or JSON: {"FILE": SCORE, ...} or [{"file": ..., "score": ...}, ...].
"""

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import rel_entr

from improved_gan.turing_test.csv_tables import read_rows, stored_text
from improved_gan.turing_test.errors import TuringTestError, short

__all__ = ["image_scores", "prompt_of", "read_prompts", "read_scores", "top_files"]


def image_scores(probabilities: ArrayLike) -> NDArray[np.float64]:
    """KL(p(y|x) || p(y)) of each image, in nats; exp of their mean is the Inception score.

    Args:
        probabilities: (N, K), p(y|x), rows that sum to 1.

    Raises:
        TuringTestError: not such an array.

    Example:
        >>> image_scores([[1.0, 0.0], [0.0, 1.0]]).round(3).tolist()
        [0.693, 0.693]
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or p.size == 0 or not np.isfinite(p).all() or (p < 0).any():
        raise TuringTestError(f"class probabilities must be (N, K), 0 or more, not an array of shape {p.shape}")
    if not np.allclose(p.sum(1), 1, atol=1e-3):
        raise TuringTestError("the class probabilities of each image must sum to 1")
    p = p / p.sum(1, keepdims=True)
    return np.asarray(rel_entr(p, p.mean(0)).sum(1), dtype=np.float64)


def read_scores(path: Path) -> dict[str, float]:
    """Scores by file, from CSV or JSON; see the module's docstring for the forms.

    Raises:
        TuringTestError: another form, or a score that is not finite.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        scores = _from_json(json.loads(text)) if path.suffix == ".json" else _from_csv(text)
    except (OSError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError, csv.Error) as error:
        if isinstance(error, TuringTestError):
            raise
        reason = short(error)
        raise TuringTestError(f"{path} cannot be read as scores (CSV or JSON with file and score): {reason}") from error
    if any("\0" in name or name.encode(errors="ignore").decode() != name for name in scores):
        raise TuringTestError(f"{path} names a file that cannot exist: a name has a null character or is not text")
    if not scores or not all(np.isfinite(list(scores.values()))):
        raise TuringTestError(f"{path} must hold a finite score for at least one file")
    return scores


def _from_csv(text: str) -> dict[str, float]:
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    if not rows or "file" not in rows[0]:
        raise TuringTestError("a CSV file of scores needs the column file, and score or p(CLASS) for each class")
    if any(None in row or None in row.values() for row in rows):
        raise TuringTestError("every line of a CSV file of scores needs as many cells as the first line has names")
    if "score" in rows[0]:
        return {row["file"]: float(row["score"]) for row in rows}
    classes = [name for name in rows[0] if name.startswith("p(")]
    if not classes:
        raise TuringTestError("a CSV file of scores needs the column score, or p(CLASS) for each class")
    scores = image_scores([[float(row[name]) for name in classes] for row in rows])
    return dict(zip((row["file"] for row in rows), scores.tolist(), strict=True))


def _from_json(stored: Any) -> dict[str, float]:
    if isinstance(stored, dict):
        return {str(file): float(score) for file, score in stored.items()}
    return {str(row["file"]): float(row["score"]) for row in stored}


def top_files(files: list[Path], scores: dict[str, float], share: float) -> list[Path]:
    """The best-scoring `share` of the files (at least one), best first.

    A score belongs to the file whose path is, or ends in, the path in the table; else to the only file of that name,
    where the table has the name once.

    Raises:
        TuringTestError: a share outside 0 to 1, or files without a score.

    Example:
        >>> top_files([Path("a.png"), Path("b.png")], {"a.png": 0.1, "b.png": 2.0}, 0.5)
        [PosixPath('b.png')]
    """
    if not 0 < share <= 1:
        raise TuringTestError(f"a fraction must be above 0 and at most 1 (0.01 is the top 1%), not {share}")
    by_resolved = {str(Path(name).resolve()): score for name, score in scores.items()}
    by_parts = {Path(name).parts: score for name, score in scores.items()}
    in_table, in_folder = (Counter(Path(one).name for one in names) for names in (scores, files))
    by_name = {Path(name).name: score for name, score in scores.items() if in_table[Path(name).name] == 1}
    found, missing = [], []
    for file in files:
        ends = (by_parts.get(file.parts[start:]) for start in range(len(file.parts) - 1))
        score = by_resolved.get(str(file.resolve()), next((one for one in ends if one is not None), None))
        if score is None and in_folder[file.name] == 1:
            score = by_name.get(file.name)
        if score is None:
            missing.append(file)
        else:
            found.append((score, str(file), file))
    if missing:
        raise TuringTestError(f"{len(missing)} of {len(files)} files have no score, for example {missing[0]}")
    found.sort(key=lambda one: (-one[0], one[1]))
    return [file for _, _, file in found[: max(1, round(share * len(found)))]]


def read_prompts(path: Path) -> dict[str, str]:
    """Prompts by file, from CSV with the columns `file` and `prompt`.

    A name alone (no folder) may stand for the files of that name in all folders.

    Raises:
        TuringTestError: no such table, or one file with two prompts.
    """
    found: dict[str, str] = {}
    for row in read_rows(path, {}, {}):
        file, prompt = stored_text(row.get("file") or ""), stored_text((row.get("prompt") or "").strip())
        if not file or not prompt or "\0" in file + prompt:
            raise TuringTestError(f"{path} needs the columns file and prompt, both filled in each row")
        if found.setdefault(file, prompt) != prompt:
            raise TuringTestError(f"{path} gives {file} two prompts")
    if not found:
        raise TuringTestError(f"{path} holds no prompt")
    return found


def prompt_of(file: Path, prompts: dict[str, str]) -> str:
    """The prompt of a file: by its path, as it is or resolved, by the end of its path, or by its name.

    Raises:
        TuringTestError: the table has none.

    Example:
        >>> prompt_of(Path("samples/a/7.png"), {"7.png": "a cat"})
        'a cat'
    """
    parts = file.parts
    ends = ("/".join(parts[start:]) for start in range(len(parts)))
    for name in (str(file), str(file.resolve()), *ends):
        if name in prompts:
            return prompts[name]
    raise TuringTestError(f"the table of prompts has none for {file}")
