"""Errors of this package that the user can fix."""

__all__ = ["OtherSessionError", "StudyClosedError", "TuringTestError", "needs_extra", "short"]


class TuringTestError(ValueError):
    """Something that was asked for does not fit: the message says what was required, what came, what to do.

    It is one line, whatever a damaged file that it quotes may hold.
    """

    def __str__(self) -> str:
        return " ".join(super().__str__().split())


class StudyClosedError(TuringTestError):
    """The study takes no more answers, or no more judges."""


class OtherSessionError(TuringTestError):
    """The answer was given in the session of another judge, who used the same browser."""


def needs_extra(error: ModuleNotFoundError) -> TuringTestError:
    """The one line for a package that is not installed.

    Example:
        >>> print(needs_extra(ModuleNotFoundError("No module named 'starlette'", name="starlette")))
        the visual Turing test needs starlette: pip install 'improved-gan[web]'
    """
    extra = "postgresql" if error.name == "psycopg" else "web"
    return TuringTestError(f"the visual Turing test needs {error.name}: pip install 'improved-gan[{extra}]'")


def short(words: object, most: int = 200) -> str:
    """Words of a damaged file, or of the error that it caused, on one line and not longer than a line.

    Example:
        >>> short("a\\nb" + 300 * "c", most=8)
        'a bccc ...'
    """
    line = " ".join(str(words).split())
    return line if len(line) <= most else f"{line[: most - 2]} ..."
