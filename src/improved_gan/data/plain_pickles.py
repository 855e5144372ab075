"""Pickles of plain values and byte arrays, read by interpreting their instructions here; nothing in them is called.

Python's own unpickler, even one that finds few names, lets a file set the state of what those names make (`BUILD`), and
the state of a `numpy.dtype` can hold pointers. So each instruction (`pickletools.genops` lists them) is carried out on
a stack of this module's own. Known are the instructions that CIFAR-10's python batches and copies of them in protocols
2 to 4 are made of: dictionaries, lists, tuples, numbers, strings, bytes, and arrays of unsigned bytes.
"""

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["PickleError", "read_plain_pickle"]


class PickleError(ValueError):
    """A pickle that is damaged, or that asks for more than plain values."""


def read_plain_pickle(content: bytes) -> object:
    """The value of a pickle of plain values and uint8 arrays.

    Args:
        content: the whole file; protocol 2, 3 or 4.

    Returns:
        Dictionaries, lists, tuples, int, bool, None, str, bytes (also for Python 2's strings), and uint8 arrays.

    Raises:
        PickleError: damaged, another protocol's instructions, or anything that is not of these kinds.

    >>> import pickle
    >>> read_plain_pickle(pickle.dumps({b"labels": [3, 1]}, protocol=2))
    {b'labels': [3, 1]}
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name == "STOP":
                return _finished(machine.stack)
            machine.step(opcode.name, argument)
    except PickleError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise PickleError(" ".join(str(error).split())[:200] or type(error).__name__) from error
    raise PickleError("it does not end with STOP")


@dataclass
class _Array:
    """An array between its making and its state."""

    values: np.ndarray | None = None


@dataclass(frozen=True)
class _Name:
    """A name that the pickle asks for: compared, never looked up."""

    module: str
    name: str


@dataclass
class _ByteType:
    """The dtype u1."""


_RECONSTRUCT = (_Name("numpy.core.multiarray", "_reconstruct"), _Name("numpy._core.multiarray", "_reconstruct"))
_NDARRAY, _DTYPE, _ENCODE = _Name("numpy", "ndarray"), _Name("numpy", "dtype"), _Name("_codecs", "encode")
_BYTE_STATE = (3, "|", None, None, None, -1, -1, 0)  # of u1: no byte order, fields, sub-arrays or alignment
_MARK = object()
_Action = Callable[["_Machine", Any], None]


@dataclass
class _Machine:
    """The stack and the memory that a pickle's instructions work on."""

    stack: list[Any] = field(default_factory=list)
    memory: dict[int, Any] = field(default_factory=dict)

    def step(self, name: str, argument: Any) -> None:
        """Carry out one instruction.

        Raises:
            PickleError: one that no batch of images has.
        """
        action = _ACTIONS.get(name)
        if action is None:
            raise PickleError(f"it has the instruction {name}, which no batch of images needs")
        action(self, argument)

    def remember(self, index: int | None) -> None:
        """Note the topmost value; None takes the next index."""
        self.memory[len(self.memory) if index is None else index] = self.stack[-1]

    def pop(self) -> Any:
        """The topmost value; a mark is no value."""
        if self.stack[-1] is _MARK:
            raise PickleError("a value is missing")
        return self.stack.pop()

    def since_mark(self) -> list[Any]:
        """The items above the topmost mark, which is removed too."""
        index = len(self.stack) - 1
        while self.stack[index] is not _MARK:
            index -= 1
            if index < 0:
                raise PickleError("a mark is missing")
        items = self.stack[index + 1 :]
        del self.stack[index:]
        return items

    def append(self, items: list[Any]) -> None:
        """Add to the list on top."""
        if type(self.stack[-1]) is not list:
            raise PickleError("values are added to something that is not a list")
        self.stack[-1].extend(items)

    def set(self, items: list[Any]) -> None:
        """Add keys and values to the dictionary on top."""
        if type(self.stack[-1]) is not dict:
            raise PickleError("keys are set in something that is not a dictionary")
        keys = items[::2]
        if any(type(key) not in (str, bytes) for key in keys):
            raise PickleError("a key is neither text nor bytes")
        self.stack[-1].update(zip(keys, items[1::2], strict=True))

    def call(self) -> None:
        """What REDUCE may make: an empty array, the dtype u1, and the bytes that Python 3 writes as text."""
        arguments, function = self.pop(), self.pop()
        if function in _RECONSTRUCT and arguments in ((_NDARRAY, (0,), b"b"), (_NDARRAY, (0,), "b")):
            self.stack.append(_Array())
        elif function == _DTYPE and arguments in (("u1", 0, 1), (b"u1", 0, 1)):
            self.stack.append(_ByteType())
        elif function == _ENCODE and type(arguments) is tuple and _is_latin1(arguments):
            self.stack.append(arguments[0].encode("latin1"))
        else:
            raise PickleError(
                "it calls something with values that no batch of images needs: only uint8 arrays are read"
            )

    def build(self) -> None:
        """The state of what REDUCE made: only that of u1, and of an array whose bytes fit its shape."""
        state, target = self.pop(), self.stack[-1]
        if isinstance(target, _ByteType):
            if _plain_text(state) != _BYTE_STATE:
                raise PickleError("it sets another state of a dtype than that of uint8")
        elif isinstance(target, _Array) and target.values is None:
            target.values = _array(state)
        else:
            raise PickleError("it sets the state of something that is not an array")

    def named(self, module: Any, name: Any) -> None:
        """Put a name on the stack if it is one of those that arrays are made with."""
        if type(module) is not str or type(name) is not str:
            raise PickleError("it asks for something by a name that is not text")
        found = _Name(module, name)
        if found not in (*_RECONSTRUCT, _NDARRAY, _DTYPE, _ENCODE):
            asked = ascii(f"{module}.{name}")[1:121]
            raise PickleError(f"it asks for {asked.removesuffix(chr(39))}, which no batch of images needs")
        self.stack.append(found)


def _is_latin1(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) == 2 and type(arguments[0]) is str and arguments[1] in ("latin1", b"latin1")


def _plain_text(state: Any) -> Any:
    """A tuple with Python 2's strings as text."""
    if type(state) is not tuple:
        return state
    return tuple(one.decode("latin1") if type(one) is bytes else one for one in state)


def _array(state: Any) -> np.ndarray:
    """Version 1, shape, dtype, whether in Fortran's order, bytes."""
    if type(state) is not tuple or len(state) != 5:
        raise PickleError("an array's state must have five parts")
    version, shape, dtype, in_fortran_order, content = state
    if type(shape) is not tuple or len(shape) > 4 or any(type(one) is not int or one < 0 for one in shape):
        raise PickleError("an array's shape must be up to four whole numbers")
    if version != 1 or not isinstance(dtype, _ByteType) or type(content) is not bytes or in_fortran_order:
        raise PickleError("an array must be of uint8 in C's order, with its bytes")
    if len(content) != math.prod(shape):
        raise PickleError(f"an array of shape {shape} has {len(content)} bytes"[:200])
    return np.frombuffer(content, np.uint8).reshape(shape)


def _finished(stack: list[Any]) -> object:
    """The one value that is left, with arrays in place of what they were while they were read."""
    if len(stack) != 1:
        raise PickleError(f"{len(stack)} values are left at its end")
    value = stack[0]
    return {key: _ready(one) for key, one in value.items()} if type(value) is dict else _ready(value)


def _ready(value: Any) -> Any:
    if isinstance(value, _Array):
        return value.values
    return None if isinstance(value, (_Name, _ByteType)) or value is _MARK else value


def _constant(make: Callable[[], Any]) -> _Action:
    return lambda machine, _: machine.stack.append(make())


def _value(machine: _Machine, argument: Any) -> None:
    machine.stack.append(argument)


def _tuple_of(num: int) -> _Action:
    return lambda machine, _: machine.stack.append(tuple(machine.pop() for _ in range(num))[::-1])


_ACTIONS: dict[str, _Action] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda machine, _: None),
    "MARK": _constant(lambda: _MARK),
    "NONE": _constant(lambda: None),
    "NEWTRUE": _constant(lambda: True),
    "NEWFALSE": _constant(lambda: False),
    "EMPTY_DICT": _constant(dict),
    "EMPTY_LIST": _constant(list),
    "EMPTY_TUPLE": _constant(tuple),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1"), _value),
    **dict.fromkeys(("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"), _value),
    **dict.fromkeys(("SHORT_BINBYTES", "BINBYTES", "BINBYTES8"), _value),
    # Python 2's strings, which `genops` gives as text.
    **dict.fromkeys(
        ("SHORT_BINSTRING", "BINSTRING"), lambda machine, text: machine.stack.append(text.encode("latin1"))
    ),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.remember),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda machine, index: machine.stack.append(machine.memory[index])),
    **{f"TUPLE{num}": _tuple_of(num) for num in (1, 2, 3)},
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.since_mark())),
    "APPEND": lambda machine, _: machine.append([machine.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.set([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.set(machine.since_mark()),
    "GLOBAL": lambda machine, names: machine.named(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.named(*(machine.pop(), machine.pop())[::-1]),
    "REDUCE": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.build(),
}
