"""The recruiter's number of a participant, from the address that the judge was given.

Any printable text is kept as it is. What cannot be kept is told on a page: a judge whose number was dropped would be
anonymous, could not be paid, and would count twice when coming back.
"""

import unicodedata

from starlette.requests import Request

from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.tables import PARTICIPANT_LENGTH

__all__ = ["check_participant", "participant_of"]

# how recruiters hand over the number: Prolific (PROLIFIC_PID), Mechanical Turk (workerId), anybody else
_NAMES = ("prolificpid", "workerid", "participant", "participantid")
_UNFILLED = ("{{", "}}", "${", "[%")  # what recruiters replace by the number


def participant_of(request: Request) -> str | None:
    """The number in the address, Unicode composed (NFC) and without space around it; None where the address has none.

    Upper or lower case and `_` in the parameter's name make no difference.

    Raises:
        TuringTestError: the address has two different numbers.
    """
    given = {
        unicodedata.normalize("NFC", value).strip()
        for name, value in request.query_params.multi_items()
        if name.lower().replace("_", "").replace("-", "") in _NAMES
    }
    if len(given) > 1:
        raise TuringTestError("it has two different participant numbers")
    return next(iter(given), None)


def check_participant(number: str) -> str:
    """The number, if it can be kept.

    Raises:
        TuringTestError: it is empty, too long, not printable, not UTF-8, or a placeholder that nobody filled in.

    Example:
        >>> check_participant("p.001 (M\u00fcller)")
        'p.001 (M\u00fcller)'
    """
    if not number:
        raise TuringTestError("its participant number is empty")
    if len(number) > PARTICIPANT_LENGTH:
        raise TuringTestError(
            f"its participant number has {len(number)} characters, and at most {PARTICIPANT_LENGTH} are kept"
        )
    if not number.isprintable() or "\ufffd" in number:
        raise TuringTestError("its participant number has characters that are no printable text")
    if any(one in number for one in _UNFILLED):
        raise TuringTestError(f"its participant number is a placeholder that was not filled in: {number}")
    return number
