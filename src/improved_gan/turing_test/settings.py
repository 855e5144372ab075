"""The settings of a study, checked once: design, arms, length, what judges are told."""

import re
from dataclasses import asdict, dataclass, field, fields
from types import NoneType
from typing import Any

from improved_gan.turing_test.errors import TuringTestError, short
from improved_gan.turing_test.questions import Question, questions_from
from improved_gan.turing_test.texts import Texts, check_language
from improved_gan.turing_test.votes import DESIGNS, REAL

__all__ = ["ARMS", "CODE_LENGTH", "PREFERENCE", "TEXT_LENGTH", "StudySettings"]

PREFERENCE = "preference"  # the design that has no right answer
CODE_LENGTH = 64  # characters of a completion code
TEXT_LENGTH = 12_000  # of all answers in words to the questions before the trials: what the server takes

KINDS = ("independent", "fixed")
ARMS = {"both": ("feedback", "no_feedback"), "always": ("feedback",), "never": ("no_feedback",)}

_TEXT: Any = (str, "a text")
_WHOLE: Any = (int, "a whole number")
_TEXT_OR_NONE: Any = ((str, NoneType), "a text, or nothing")
_WHOLE_OR_NONE: Any = ((int, NoneType), "a whole number, or nothing")
_KINDS_OF_VALUES: dict[str, Any] = {
    **dict.fromkeys(("title", "design", "feedback", "kinds", "schedule", "language"), _TEXT),
    **dict.fromkeys(("trials", "practice", "checks", "break_every", "max_failed_checks"), _WHOLE),
    **dict.fromkeys(("exposure_ms", "max_judges"), _WHOLE_OR_NONE),
    **dict.fromkeys(("completion_code", "failed_code", "return_url"), _TEXT_OR_NONE),
    **dict.fromkeys(("texts", "questions"), (dict, "names with texts")),
    "prevalence": ((int, float), "a number"),
}


@dataclass(frozen=True)
class StudySettings:
    """What the researcher decides.

    Args:
        title: heading of the judges' pages.
        design: yes_no, two_alternative, timed, rating, odd_one_out (three pictures, one generated) or preference (two
            pictures of two models).
        feedback: "both" assigns judges to arms with and without feedback, at random and balanced; "always"; "never".
        trials: that count, for each judge.
        practice: trials before those, not counted.
        checks: attention checks (a blatantly false picture) among the trials.
        prevalence: probability that a trial shows a generated picture (designs with one picture).
        kinds: "independent": each trial's kind, or side, is drawn on its own, so that feedback tells nothing about the
            trials that follow; "fixed": every session has the same numbers of each, as in studies made elsewhere.
        break_every: trials between offered breaks; 0: none.
        exposure_ms: timed: a fixed exposure; None: an adaptive staircase from 100 ms to 5 s.
        max_judges: the study is full after so many; None: no limit.
        completion_code: the same code for all, as Prolific wants it; None: one for each judge.
        failed_code: the code of judges who failed more than `max_failed_checks` checks; None: the same as for others.
        max_failed_checks: see `failed_code`.
        return_url: where the last page's link leads, https; {code} in it is the code; None: no link.
        between: each judge sees one model only, in balanced blocks.
        schedule: preference: "balanced" shows all pairs of models alike often; "adaptive" those that say most.
        ties: preference: whether "no difference" is an answer.
        both_bad: preference: whether "both are bad" is an answer.
        questions: preference: what is asked about each pair, name and text; default: which is better.
        before: questions before the first trial (`questions.Question`).
        comment: whether the last page has a box for a comment.
        language: of the pages, as "en" or "de".
        texts: texts of the pages in place of the language's own, by name.

    Raises:
        TuringTestError: a value that does not fit; the message says which and why.

    Example:
        >>> StudySettings(design="timed").arms
        ('feedback', 'no_feedback')
    """

    title: str = "Real or generated?"
    design: str = "yes_no"
    feedback: str = "both"
    trials: int = 50
    practice: int = 4
    checks: int = 3
    prevalence: float = 0.5
    kinds: str = "independent"
    break_every: int = 25
    exposure_ms: int | None = None
    max_judges: int | None = None
    completion_code: str | None = None
    return_url: str | None = None
    failed_code: str | None = None
    max_failed_checks: int = 1
    between: bool = False
    schedule: str = "balanced"
    ties: bool = True
    both_bad: bool = False
    questions: dict[str, str] = field(default_factory=dict)
    before: tuple[Question, ...] = ()
    comment: bool = False
    language: str = "en"
    texts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, (kinds, words) in _KINDS_OF_VALUES.items():
            if not isinstance(getattr(self, name), kinds) or isinstance(getattr(self, name), bool):
                raise TuringTestError(f"{name} must be {words}, not {short(repr(getattr(self, name)))}")
        if self.design not in (*DESIGNS, PREFERENCE):
            raise TuringTestError(f"a design is one of {', '.join((*DESIGNS, PREFERENCE))}, not {self.design!r}")
        if self.feedback not in ARMS:
            raise TuringTestError(f"feedback is one of {', '.join(ARMS)}, not {self.feedback!r}")
        if self.kinds not in KINDS:
            raise TuringTestError(f"kinds are {' or '.join(KINDS)}, not {self.kinds!r}")
        if not 1 <= self.trials <= 2000:
            raise TuringTestError(f"a judge answers 1 to 2000 trials, not {self.trials}")
        if not 0 < self.prevalence < 1:
            raise TuringTestError(
                f"the prevalence lies between 0 and 1 (both kinds must appear), not {self.prevalence}"
            )
        for name in ("practice", "checks", "break_every"):
            if not 0 <= getattr(self, name) <= 2000:
                raise TuringTestError(f"{name} must be 0 to 2000, not {getattr(self, name)}")
        if self.exposure_ms is not None and (self.design != "timed" or not 100 <= self.exposure_ms <= 5000):
            raise TuringTestError("a fixed exposure is for the design timed, 100 to 5000 ms")
        if self.max_judges is not None and self.max_judges < 1:
            raise TuringTestError(f"a study needs a judge: max_judges must be 1 or more, not {self.max_judges}")
        if self.return_url is not None and not self.return_url.lower().startswith("https://"):
            raise TuringTestError(f"the return address must begin with https://, not {self.return_url!r}")
        for name in ("completion_code", "failed_code"):
            code = getattr(self, name)
            if code is not None and not (code.strip() and len(code) <= CODE_LENGTH and code.isprintable()):
                raise TuringTestError(
                    f"{name} must have 1 to {CODE_LENGTH} printable characters, not {short(repr(code))}"
                )
        if not self.title.strip():
            raise TuringTestError("a study needs a title")
        self._check_pairs()
        check_language(self.language, self.texts)
        if not all(isinstance(one, Question) for one in self.before) or len(self.before) > 30:
            raise TuringTestError("at most 30 questions can precede the trials")
        longest = sum(one.longest for one in self.before if one.kind == "text")
        if longest > TEXT_LENGTH:
            raise TuringTestError(
                f"the answers in words may have {longest} characters together, and at most {TEXT_LENGTH} are taken: "
                "give the questions of the kind text a smaller `longest` (500 where none is given)"
            )
        names = [one.name for one in self.before]
        if len(set(names)) < len(names):
            raise TuringTestError(f"two questions before the trials have the same name: {', '.join(names)}")

    def _check_pairs(self) -> None:
        for name in ("between", "ties", "both_bad", "comment"):
            if not isinstance(getattr(self, name), bool):
                raise TuringTestError(f"{name} must be true or false, not {short(repr(getattr(self, name)))}")
        if self.schedule not in ("balanced", "adaptive"):
            raise TuringTestError(f"a schedule is balanced or adaptive, not {self.schedule!r}")
        if self.design != PREFERENCE and (self.questions or self.both_bad or self.schedule == "adaptive"):
            raise TuringTestError("questions, both_bad and an adaptive schedule are for the design preference")
        if self.design == PREFERENCE and self.feedback == "always":
            raise TuringTestError("a preference is not right or wrong: the design preference has no feedback")
        if self.design == PREFERENCE and self.between:
            raise TuringTestError("a preference compares two models: `between` is for designs with one model a trial")
        for name, words in self.questions.items():
            if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", name) or not isinstance(words, str) or not words.strip():
                raise TuringTestError(f"a question is NAME=TEXT, the name of letters, digits, _ and -, not {name!r}")

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that judges are assigned to."""
        return ("no_feedback",) if self.design == PREFERENCE else ARMS[self.feedback]

    @property
    def in_pairs(self) -> bool:
        """Whether a trial shows a real picture beside a generated one."""
        return self.design == "two_alternative"

    @property
    def num_pictures(self) -> int:
        """Pictures of a trial."""
        return {"two_alternative": 2, PREFERENCE: 2, "odd_one_out": 3}.get(self.design, 1)

    @property
    def asked(self) -> tuple[str, ...]:
        """The names of the questions about each pair (preference), else one without a name."""
        return (tuple(self.questions) or (PREFERENCE,)) if self.design == PREFERENCE else ("",)

    @property
    def choices(self) -> tuple[str, ...]:
        """What a judge may answer, in the page's words."""
        return {
            "two_alternative": ("left", "right"),
            "rating": ("1", "2", "3", "4", "5", "6"),
            "odd_one_out": ("1", "2", "3"),
            PREFERENCE: ("left", "right", *(["tie"] if self.ties else []), *(["both_bad"] if self.both_bad else [])),
        }.get(self.design, (REAL, "generated"))

    @property
    def wording(self) -> Texts:
        """The texts of the judges' pages."""
        return Texts.of(self.language, self.texts)

    @property
    def signal_probability(self) -> float | None:
        """The probability that a trial has the signal, whatever came before it; None where numbers are fixed."""
        if self.kinds == "fixed" or self.design in ("odd_one_out", PREFERENCE):
            return None
        return 0.5 if self.in_pairs else self.prevalence

    @property
    def length(self) -> int:
        """Answers of a whole session, practice and checks included."""
        return (self.practice + self.trials) * len(self.asked) + self.checks

    def to_dict(self) -> dict[str, Any]:
        """For storage."""
        return asdict(self)

    @staticmethod
    def from_dict(stored: dict[str, Any]) -> "StudySettings":
        """The settings that `to_dict` gave; those that say nothing of `kinds` are of a study with fixed numbers.

        Raises:
            TuringTestError: an unknown name, or a value that does not fit.
        """
        if not isinstance(stored, dict):
            raise TuringTestError(f"stored settings are names with values, not {short(repr(stored))}")
        unknown = set(stored) - {one.name for one in fields(StudySettings)}
        if unknown:
            names = short(sorted(unknown))
            raise TuringTestError(f"the stored settings hold unknown names {names}: made by a newer version?")
        try:
            before = questions_from(stored.get("before", []))
            return StudySettings(**{"kinds": "fixed", **stored, "before": before})
        except TypeError as error:
            raise TuringTestError(f"the stored settings do not fit: {error}") from error
