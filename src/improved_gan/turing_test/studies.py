"""Create a study from folders, find it, open and close it."""

import hashlib
import json
import math
import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

from scipy.stats import binom
from sqlalchemy import Connection, CursorResult, Engine, func, insert, select, update

from improved_gan.turing_test.collection import Collected, StudyFolders, collect
from improved_gan.turing_test.database import writing
from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.settings import PREFERENCE, StudySettings
from improved_gan.turing_test.tables import Condition, Judge, Picture, Study, Trial
from improved_gan.turing_test.tokens import hash_token, new_token
from improved_gan.turing_test.votes import CHECK, REAL

__all__ = [
    "OpenStudy",
    "create_study",
    "find_study",
    "list_studies",
    "new_researcher_token",
    "set_closed",
]


@dataclass(frozen=True)
class OpenStudy:
    """What the server needs of a study and never changes. `models`: those that are judged or compared."""

    id: int
    slug: str
    secret: bytes
    researcher_hash: str
    seed: int
    settings: StudySettings
    models: tuple[str, ...]
    width: int
    height: int
    has_prompts: bool = False


def create_study(
    engine: Engine, folders: StudyFolders, settings: StudySettings, *, seed: int = 0
) -> tuple[OpenStudy, str | None, Collected]:
    """Make the study, or find the one that was made of the same pictures and settings.

    Returns:
        The study; the researcher's token (shown this once, None for a study that was there); the pictures and what was
        refused of the folders.

    Raises:
        TuringTestError: folders, pictures or settings do not fit; nothing is stored.
    """
    _check_models(folders, settings)
    collected = collect(folders, checks=settings.checks, seed=seed)
    if folders.prompts is not None:
        _check_prompts(collected, settings)
    collected.warnings.extend(_shortages(collected, settings))
    fingerprint = _fingerprint(collected, settings, seed)
    with writing(engine) as connection:
        slug = connection.scalar(select(Study.slug).where(Study.fingerprint == fingerprint))
        if slug is not None:
            return find_study(connection, slug), None, collected
        slug, token = secrets.token_hex(4), new_token()
        inserted = connection.execute(
            insert(Study).values(
                slug=slug,
                fingerprint=fingerprint,
                settings=settings.to_dict(),
                secret=secrets.token_bytes(32),
                researcher_hash=hash_token(token),
                seed=seed,
                is_closed=False,
                num_judges=0,
                width=collected.width,
                height=collected.height,
                created_at=datetime.now(UTC),
            )
        )
        study_id = _new_id(inserted)
        _store_pictures(connection, study_id, collected)
        return find_study(connection, slug), token, collected


def _check_models(folders: StudyFolders, settings: StudySettings) -> None:
    if settings.design == PREFERENCE:
        if len(folders.generated) + (folders.real is not None) < 2:
            raise TuringTestError("a preference study needs two models: --generated A=FOLDER --generated B=FOLDER")
    elif folders.real is None:
        raise TuringTestError(f"the design {settings.design} needs --real FOLDER")
    if settings.between and len(folders.generated) < 2:
        raise TuringTestError("--between needs two models or more, of which each judge sees one")


def _check_prompts(collected: Collected, settings: StudySettings) -> None:
    """Pictures that are shown together need a prompt that each of them has."""
    prompts = {
        name: Counter(one.prompt for one in pictures)
        for name, pictures in collected.conditions.items()
        if name != CHECK
    }
    models = [name for name in prompts if name != REAL]
    together = {
        PREFERENCE: list(combinations(prompts, 2)),
        "two_alternative": [(REAL, name) for name in models],
        "odd_one_out": [(REAL, REAL, name) for name in models],
    }
    pairs: Iterable[tuple[str, ...]] = together.get(settings.design, [])  # type: ignore[assignment]
    for names in pairs:
        needed = Counter(names)
        if not any(all(prompts[name][one] >= count for name, count in needed.items()) for one in prompts[names[0]]):
            raise TuringTestError(f"no prompt has pictures of {', '.join(names)}, which are shown side by side")


def _shortages(collected: Collected, settings: StudySettings) -> Iterable[str]:
    """Conditions that a session needs more pictures of than there are, so that a judge sees some again."""
    models = [name for name in collected.conditions if name not in (REAL, CHECK)]
    for name in () if settings.design == PREFERENCE else (REAL, *models):
        needed = _most_shown(settings, name, len(models))
        needed += settings.checks if settings.in_pairs and name == REAL else 0
        there = len(collected.conditions[name])
        if needed > there:
            yield (
                f"a judge may be shown {needed} pictures of {name}, but there are {there}: some are then seen more "
                "than once"
            )


def _most_shown(settings: StudySettings, name: str, num_models: int) -> int:
    """How many pictures of a condition a session shows at most, but for one session in a hundred."""
    parts, models = (settings.practice, settings.trials), 1 if name == REAL else num_models
    if settings.between:
        models = 1
    if settings.in_pairs or settings.design == "odd_one_out":
        pictures = 2 if settings.design == "odd_one_out" and name == REAL else 1
        return sum(math.ceil(count * pictures / models) for count in parts)
    share = 1 - settings.prevalence if name == REAL else settings.prevalence
    if settings.kinds == "fixed":
        return sum(math.ceil(count * share / models - 1e-9) for count in parts)
    return math.ceil(int(binom.ppf(0.99, sum(parts), share)) / models)


def _new_id(result: CursorResult[Any]) -> int:
    assert result.inserted_primary_key is not None
    return int(result.inserted_primary_key[0])


def _store_pictures(connection: Connection, study_id: int, collected: Collected) -> None:
    """All pictures, numbered in random order so that a number tells nothing."""
    rows: list[dict[str, Any]] = []
    for name, pictures in collected.conditions.items():
        result = connection.execute(insert(Condition).values(study_id=study_id, name=name))
        condition_id = _new_id(result)
        rows += [
            {"condition_id": condition_id, "file": one.file, "prompt": one.prompt, "png": one.png} for one in pictures
        ]
    secrets.SystemRandom().shuffle(rows)
    for number, row in enumerate(rows):
        row.update(study_id=study_id, number=number, num_planned=0)
    connection.execute(insert(Picture), rows)


def _fingerprint(collected: Collected, settings: StudySettings, seed: int) -> str:
    digest = hashlib.sha256(json.dumps([settings.to_dict(), seed], sort_keys=True).encode())
    for name, pictures in sorted(collected.conditions.items()):
        digest.update(name.encode())
        for one in sorted(pictures, key=lambda one: one.file):
            digest.update(hashlib.sha256(one.png).digest() + (one.prompt or "").encode())
    return digest.hexdigest()


def find_study(connection: Connection, slug: str | None = None) -> OpenStudy:
    """The study of that name; without a name the only one there is.

    Raises:
        TuringTestError: no such study, or several to choose from.
    """
    query = select(
        Study.id, Study.slug, Study.secret, Study.researcher_hash, Study.seed, Study.settings, Study.width, Study.height
    )
    rows = connection.execute(query if slug is None else query.where(Study.slug == slug)).all()
    if not rows:
        raise TuringTestError("the database holds no study" + (f" called {slug}" if slug else "") + ": make one first")
    if len(rows) > 1:
        raise TuringTestError(
            f"the database holds {len(rows)} studies: choose one, --study {rows[0].slug} for instance"
        )
    row = rows[0]
    if not isinstance(row.secret, bytes | bytearray | memoryview):
        raise TuringTestError(f"the secret of study {row.slug} is not what was stored: the database is damaged")
    names = connection.scalars(select(Condition.name).where(Condition.study_id == row.id)).all()
    settings = StudySettings.from_dict(row.settings)
    no_models = {CHECK} if settings.design == PREFERENCE else {CHECK, REAL}
    prompts = select(Picture.id).where(Picture.study_id == row.id, Picture.prompt.is_not(None)).limit(1)
    return OpenStudy(
        id=row.id,
        slug=row.slug,
        secret=bytes(row.secret),
        researcher_hash=row.researcher_hash,
        seed=row.seed,
        settings=settings,
        models=tuple(sorted(set(names) - no_models)),
        width=row.width,
        height=row.height,
        has_prompts=connection.scalar(prompts) is not None,
    )


def list_studies(connection: Connection) -> Iterable[dict[str, Any]]:
    """Each study with its counts, the oldest first."""
    answered = (
        select(func.count(Trial.id)).join(Judge).where(Judge.study_id == Study.id, Trial.answered_at.is_not(None))
    ).scalar_subquery()
    query = select(Study.slug, Study.settings, Study.is_closed, Study.num_judges, answered.label("answers"))
    return [dict(row._mapping) for row in connection.execute(query.order_by(Study.id))]


def new_researcher_token(engine: Engine, study: OpenStudy) -> str:
    """A new token for the researcher's page, in place of one that was lost; the old one no longer works."""
    token = new_token()
    with writing(engine) as connection:
        connection.execute(update(Study).where(Study.id == study.id).values(researcher_hash=hash_token(token)))
    return token


def set_closed(connection: Connection, study_id: int, *, closed: bool) -> None:
    """Close a study (judges are answered 410) or open it again."""
    connection.execute(update(Study).where(Study.id == study_id).values(is_closed=closed))
