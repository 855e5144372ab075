"""A command's options are the fields of one frozen dataclass, declared once; click's command is derived from them.

    @dataclass(frozen=True)
    class GreetOptions:
        name: str = argument(metavar="NAME", help="Whom to greet.")
        num_times: int = option(1, "-t", help="Number of greetings.", min=1)

    def greet(options: GreetOptions, console: Console) -> None:
        '''Print a greeting. This docstring is the help text.'''

    app.add_command(command("greet", GreetOptions, greet))

The annotation is the type: bool (a flag), `bool | None` (`--x` and `--no-x`), int, float, str, Path, each also
`| None`; `tuple[str, ...]` for an option that may be repeated, or for any number of arguments. The field `num_times`
is the option `--num-times`.
"""

import dataclasses
import inspect
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import click

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["CommandGroup", "argument", "check_written", "command", "option", "options_of"]

T = TypeVar("T")
_REQUIRED: Any = dataclasses.MISSING
_KEY = "option"  # of the field's metadata
_LABELS = {int: "int", float: "float", str: "str", Path: "path"}


@dataclasses.dataclass(frozen=True)
class _Declared:
    """What a field says beside its name, type and default."""

    is_argument: bool
    help: str
    names: tuple[str, ...] = ()
    metavar: str | None = None
    min: float | None = None
    max: float | None = None
    several_numbers: bool = False
    written: Literal["file", "folder"] | None = None


def option(
    default: T = _REQUIRED,
    *names: str,
    help: str,
    min: float | None = None,
    max: float | None = None,
    metavar: str | None = None,
    several_numbers: bool = False,
    written: Literal["file", "folder"] | None = None,
) -> T:
    """A field that is an option; without a default it is required.

    Args:
        default: the value where the option is not given.
        names: a short name, as "-n", or another long name than the field's.
        help: the help text.
        min: the smallest number allowed.
        max: the largest number allowed.
        metavar: name of the value in the help text; default: its type.
        several_numbers: of a repeated option, `--x 1 2 3` is short for `--x 1 --x 2 --x 3`.
        written: what the command writes at this path, often after long work: a path where it cannot is an error at
            the start. The command makes folders that are missing, and replaces a file (`write_atomically`), so that
            a device is refused; `--dry-run` needs no permission.
    """
    declared = _Declared(False, help, names, metavar, min, max, several_numbers, written)
    return dataclasses.field(default=default, metadata={_KEY: declared})


def argument(default: T = _REQUIRED, *, help: str, metavar: str | None = None) -> T:
    """A field that is a positional argument; `metavar` is its name in the help text."""
    return dataclasses.field(default=default, metadata={_KEY: _Declared(True, help, metavar=metavar)})


def options_of(group: Callable[[], T]) -> T:
    """A field whose type is another dataclass of options, which this command takes too."""
    return dataclasses.field(default_factory=group)


def command(
    name: str, options: type[T], run: Callable[[T, "Console"], int | None], *, help: str | None = None
) -> click.Command:
    """The command `name`: parses the options, runs `run(options, console)` and returns its exit code (None is 0).

    Its help text is `help`, by default the docstring of `run`. The dataclass may raise click.UsageError in
    `__post_init__` where options contradict each other.
    """

    def callback(**values: Any) -> None:
        from rich.console import Console

        click.get_current_context().exit(run(_build(options, values), Console()) or 0)

    text = help or inspect.getdoc(run)
    return _Command(name, params=list(_parameters(options)), callback=callback, help=text)


class CommandGroup(click.Group):
    """A group that lists its commands in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands."""
        return list(self.commands)


class _Command(click.Command):
    """A command whose options may take several numbers."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat such an option before each further number; check the paths that the command will write."""
        several = {name for one in self.params if isinstance(one, _RepeatedOption) for name in one.opts}
        given: list[str] = []
        for word in args:
            before = given[-1].split("=") if given and "=" in given[-1] else given[-2:-1]  # --x=1 2, or --x 1 2
            if word.isdigit() and several.intersection(before[:1]):
                given.append(before[0])
            given.append(word)
        rest = super().parse_args(ctx, given)
        for one in self.params if not ctx.resilient_parsing else ():
            path = ctx.params.get(one.name or "")
            if isinstance(one.type, _WrittenPath) and path is not None:
                check_written(path, one.type.what, permission=not ctx.params.get("dry_run"), ctx=ctx, param=one)
        return rest


class _RepeatedOption(click.Option):
    """An option declared with `several_numbers`."""


class _Finite(click.types.FloatParamType):
    """A float; NaN is in no range and infinity no number of seconds, images or steps."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


class _FiniteRange(_Finite, click.FloatRange):
    """With a range."""


class _WrittenPath(click.Path):
    """A path of an option declared with `written`."""

    def __init__(self, what: Literal["file", "folder"]) -> None:
        super().__init__(path_type=Path)
        self.what = what


def check_written(path: Path, what: Literal["file", "folder"], *, permission: bool = True, **where: Any) -> None:
    """Whether a command can write this path.

    Args:
        path: that the user gave.
        what: the command makes there.
        permission: whether it will be written at all, so that permission is needed.
        where: of click.BadParameter: the option.

    Raises:
        click.BadParameter: it cannot.
    """
    reason = _unwritable(path, what, permission=permission)
    if reason is not None:
        raise click.BadParameter(reason, **where)


def _unwritable(path: Path, what: Literal["file", "folder"], *, permission: bool) -> str | None:
    """Why nothing can be written there, or None."""
    if what == "file" and str(path) == "-":
        return "the command writes a file, not to standard output: name one"
    if what == "file" and path.is_dir():
        return f"{path} is a folder: name a file in it"
    if what == "folder" and path.is_file():
        return f"{path} is a file: name a folder"
    if path.exists() and not (path.is_dir() or path.is_file()):  # a device, which a new file would replace
        return f"{path} is not a regular file: name another"
    above = path if what == "folder" else path.parent
    while not above.exists() and above != above.parent:
        above = above.parent
    if not above.is_dir():
        return f"{above} is a file, so {path} cannot be written"
    if permission and not os.access(above, os.W_OK | os.X_OK):
        return f"{above} cannot be written into: name another folder"
    return None


def _parameters(options: type) -> Iterator[click.Parameter]:
    hints = get_type_hints(options)
    for field in dataclasses.fields(options):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from _parameters(hints[field.name])
        else:
            yield _parameter(field, hints[field.name])


def _parameter(field: "dataclasses.Field[Any]", annotation: Any) -> click.Parameter:
    declared: _Declared = field.metadata[_KEY]
    optional = NoneType in get_args(annotation)
    kind = next(one for one in get_args(annotation) if one is not NoneType) if optional else annotation
    repeated = get_origin(kind) is tuple
    element = get_args(kind)[0] if repeated else kind
    required = field.default is dataclasses.MISSING
    settings: dict[str, Any] = {"help": declared.help, "metavar": declared.metavar}
    if not required and not (repeated and declared.is_argument):
        settings["default"] = field.default
    if declared.is_argument:
        nargs, kind = -1 if repeated else 1, _click_type(element, declared)
        return click.Argument([field.name], type=kind, nargs=nargs, required=required, **settings)
    long = next((name for name in declared.names if name.startswith("--")), f"--{field.name.replace('_', '-')}")
    short = [name for name in declared.names if not name.startswith("--")]
    if element is bool:
        long = f"{long}/--no-{long[2:]}" if optional else long
        return click.Option([field.name, long, *short], is_flag=True, show_default=True, **settings)
    settings["metavar"] = declared.metavar or f"<{_label(element, declared, repeated=repeated)}>"
    cls = _RepeatedOption if declared.several_numbers else click.Option
    return cls(
        [field.name, long, *short],
        type=_click_type(element, declared),
        multiple=repeated,
        required=required,
        show_default=True,
        **settings,
    )


def _label(element: type, declared: _Declared, *, repeated: bool) -> str:
    ranged = " range" if declared.min is not None or declared.max is not None else ""
    return f"list[{_LABELS[element]}]" if repeated else f"{_LABELS[element]}{ranged}"


def _click_type(element: type, declared: _Declared) -> "click.ParamType[Any]":
    ranged = declared.min is not None or declared.max is not None
    if element is int:
        low, high = (None if one is None else int(one) for one in (declared.min, declared.max))
        return click.IntRange(low, high) if ranged else click.INT
    if element is float:
        return _FiniteRange(declared.min, declared.max) if ranged else _Finite()
    if declared.written is not None:
        return _WrittenPath(declared.written)
    return click.Path(path_type=Path) if element is Path else click.STRING


def _build(options: type[T], values: dict[str, Any]) -> T:
    hints = get_type_hints(options)
    return options(
        **{
            field.name: _build(hints[field.name], values)
            if dataclasses.is_dataclass(hints[field.name])
            else values[field.name]
            for field in dataclasses.fields(options)  # type: ignore[arg-type]
        }
    )
