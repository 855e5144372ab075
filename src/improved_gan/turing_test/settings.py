"""The settings of a study, checked once: design, arms, length, what judges are told."""

from dataclasses import asdict, dataclass, fields
from types import NoneType
from typing import Any

from improved_gan.turing_test.errors import TuringTestError, short
from improved_gan.turing_test.votes import DESIGNS

__all__ = ["ARMS", "CONSENT", "StudySettings"]

KINDS = ("independent", "fixed")
ARMS = {"both": ("feedback", "no_feedback"), "always": ("feedback",), "never": ("no_feedback",)}

CONSENT = (
    "You will see pictures. Some are real, some were made by a computer. We ask you to tell which is which. "
    "Taking part is voluntary: you may stop at any time by closing the page. We store your answers, when they were "
    "given and how long each took, and the participant number in the link that brought you here, if it has one. "
    "Nothing else about you is stored: no name, no address, no network address."
)


_TEXT: Any = (str, "a text")
_WHOLE: Any = (int, "a whole number")
_TEXT_OR_NONE: Any = ((str, NoneType), "a text, or nothing")
_WHOLE_OR_NONE: Any = ((int, NoneType), "a whole number, or nothing")
_KINDS_OF_VALUES: dict[str, Any] = {
    **dict.fromkeys(("title", "design", "feedback", "kinds", "consent"), _TEXT),
    **dict.fromkeys(("trials", "practice", "checks", "break_every"), _WHOLE),
    **dict.fromkeys(("exposure_ms", "max_judges"), _WHOLE_OR_NONE),
    **dict.fromkeys(("completion_code", "return_url"), _TEXT_OR_NONE),
    "prevalence": ((int, float), "a number"),
}


@dataclass(frozen=True)
class StudySettings:
    """What the researcher decides.

    Args:
        title: heading of the judges' pages.
        design: yes_no, two_alternative, timed or rating.
        feedback: "both" assigns judges to arms with and without feedback, at random and balanced; "always"; "never".
        trials: that count, for each judge.
        practice: trials before those, not counted.
        checks: attention checks (a blatantly false picture) among the trials.
        prevalence: probability that a trial shows a generated picture (not in two_alternative).
        kinds: "independent": each trial's kind, or side, is drawn on its own, so that feedback tells nothing about the
            trials that follow; "fixed": every session has the same numbers of each, as in studies made elsewhere.
        break_every: trials between offered breaks; 0: none.
        exposure_ms: timed: a fixed exposure; None: an adaptive staircase from 100 ms to 5 s.
        max_judges: the study is full after so many; None: no limit.
        completion_code: the same code for all, as Prolific wants it; None: one for each judge.
        return_url: where the last page's link leads, https; None: no link.
        consent: what judges agree to.

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
    consent: str = CONSENT

    def __post_init__(self) -> None:
        for name, (kinds, words) in _KINDS_OF_VALUES.items():
            if not isinstance(getattr(self, name), kinds) or isinstance(getattr(self, name), bool):
                raise TuringTestError(f"{name} must be {words}, not {short(repr(getattr(self, name)))}")
        if self.design not in DESIGNS:
            raise TuringTestError(f"a design is one of {', '.join(DESIGNS)}, not {self.design!r}")
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
        if not self.title.strip() or not self.consent.strip():
            raise TuringTestError("a study needs a title and a text of consent")

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that judges are assigned to."""
        return ARMS[self.feedback]

    @property
    def in_pairs(self) -> bool:
        """Whether a trial shows two pictures."""
        return self.design == "two_alternative"

    @property
    def signal_probability(self) -> float | None:
        """The probability that a trial has the signal, whatever came before it; None where numbers are fixed."""
        if self.kinds == "fixed":
            return None
        return 0.5 if self.in_pairs else self.prevalence

    @property
    def length(self) -> int:
        """Trials of a whole session, practice and checks included."""
        return self.practice + self.trials + self.checks

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
        unknown = set(stored) - {field.name for field in fields(StudySettings)}
        if unknown:
            names = short(sorted(unknown))
            raise TuringTestError(f"the stored settings hold unknown names {names}: made by a newer version?")
        try:
            return StudySettings(**{"kinds": "fixed", **stored})
        except TypeError as error:
            raise TuringTestError(f"the stored settings do not fit: {error}") from error
