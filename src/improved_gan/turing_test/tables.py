"""The tables of a study, as SQLAlchemy maps and makes them."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, DateTime, ForeignKey, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from improved_gan.turing_test.settings import CODE_LENGTH

__all__ = [
    "PARTICIPANT_LENGTH",
    "SCHEMA_VERSION",
    "Base",
    "Condition",
    "Judge",
    "Picture",
    "SchemaVersion",
    "Study",
    "Trial",
]


SCHEMA_VERSION = 1  # raise it with each change of the tables
PARTICIPANT_LENGTH = 100  # characters of a recruiter's number of a participant


class Base(DeclarativeBase):
    """All tables."""


class SchemaVersion(Base):
    """One row: SCHEMA_VERSION of the program that made the tables."""

    __tablename__ = "schema_version"
    version: Mapped[int] = mapped_column(primary_key=True)


class Study(Base):
    """A study: its settings, the secret that its tokens are made with, the hash of the researcher's token."""

    __tablename__ = "study"
    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(32), unique=True)
    fingerprint: Mapped[str] = mapped_column(String(64), index=True)
    settings: Mapped[dict[str, Any]] = mapped_column(JSON)
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    researcher_hash: Mapped[str] = mapped_column(String(64))
    seed: Mapped[int]
    is_closed: Mapped[bool] = mapped_column(default=False)
    num_judges: Mapped[int] = mapped_column(default=0)
    width: Mapped[int]
    height: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Condition(Base):
    """Where pictures come from: `real`, a generator by its name, or `check`."""

    __tablename__ = "condition"
    __table_args__ = (UniqueConstraint("study_id", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    name: Mapped[str] = mapped_column(String(100))


class Picture(Base):
    """A picture as judges see it: PNG, the same number of bytes for all of a study."""

    __tablename__ = "picture"
    __table_args__ = (UniqueConstraint("study_id", "number"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    condition_id: Mapped[int] = mapped_column(ForeignKey("condition.id"), index=True)
    number: Mapped[int]
    file: Mapped[str] = mapped_column(Text)
    num_planned: Mapped[int] = mapped_column(default=0)
    prompt: Mapped[str | None] = mapped_column(Text)
    png: Mapped[bytes] = mapped_column(LargeBinary)


class Judge(Base):
    """One session of one person: known by the hash of a random token and, perhaps, a recruiter's participant number."""

    __tablename__ = "judge"
    __table_args__ = (UniqueConstraint("study_id", "number"), UniqueConstraint("study_id", "participant"))
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    number: Mapped[int]
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    participant: Mapped[str | None] = mapped_column(String(PARTICIPANT_LENGTH))
    arm: Mapped[str] = mapped_column(String(20))
    model: Mapped[str | None] = mapped_column(String(100))  # --between: the only one that this judge sees
    position: Mapped[int] = mapped_column(default=0)
    staircase: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    completion_code: Mapped[str] = mapped_column(String(CODE_LENGTH))
    answers: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # to the questions before the trials
    comment: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Trial(Base):
    """One trial of one judge; planned when the judge begins, answered once."""

    __tablename__ = "trial"
    __table_args__ = (UniqueConstraint("judge_id", "number"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    judge_id: Mapped[int] = mapped_column(ForeignKey("judge.id"))
    number: Mapped[int]
    kind: Mapped[str] = mapped_column(String(10))
    model: Mapped[str] = mapped_column(String(100))  # preference: of the left picture
    other_model: Mapped[str | None] = mapped_column(String(100))  # preference: of the right one
    question: Mapped[str | None] = mapped_column(String(100))
    prompt: Mapped[str | None] = mapped_column(Text)
    first_id: Mapped[int] = mapped_column(ForeignKey("picture.id"))
    second_id: Mapped[int | None] = mapped_column(ForeignKey("picture.id"))
    third_id: Mapped[int | None] = mapped_column(ForeignKey("picture.id"))
    target: Mapped[int | None]  # odd-one-out: where the generated picture stands, 1 to 3
    signal: Mapped[bool]
    response: Mapped[bool | None]
    choice: Mapped[str | None] = mapped_column(String(12))  # what was chosen, in the page's words
    rating: Mapped[int | None]
    response_ms: Mapped[float | None]
    exposure_ms: Mapped[int | None]
    shown_ms: Mapped[float | None]
    answered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
