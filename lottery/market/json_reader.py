"""Read JSON strictly, and collect every fault with its file, its path, the problem and the remedy.

A fault quotes a value of the document only if the value is a valid id. Any other value could be a child's name.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias, TypeGuard, TypeVar, cast

from lottery.market.canonical import Json

MAX_FAULTS = 1_000
"""Faults that are kept in full. Further faults are only counted, to save memory."""

MAX_COUNTED = 50_000
"""Counted faults after which reading stops, to save time."""

MAX_INTEGER = 2**53 - 1

Where: TypeAlias = "tuple[Where | None, str | int]"
"""A place in a document: the place of the parent, and a key or index. The outermost step is the file."""

Choice = TypeVar("Choice", bound=StrEnum)

_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_MAX_KEY_SHOWN = 64
_MAX_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in a file."""

    file: str
    path: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}: {self.path}: {self.problem}; {self.remedy}"


class UnusableInput(ValueError):
    """A file cannot be used. `faults` has the faults, and `more` counts the faults that were not kept."""

    def __init__(self, faults: Sequence[Fault], more: int = 0) -> None:
        self.faults = tuple(faults)
        self.more = more
        super().__init__("\n".join(self.lines()))

    def __reduce__(self) -> tuple[type["UnusableInput"], tuple[Sequence[Fault], int]]:
        """Return how to make the exception again in another process."""
        return UnusableInput, (self.faults, self.more)

    def lines(self) -> list[str]:
        """Return one line per fault."""
        stopped = "; reading stopped there" if self.more == MAX_COUNTED else ""
        return [*map(str, self.faults), *([f"and {self.more} more faults{stopped}"] if self.more else [])]


class NotJson(ValueError):
    """Text is not JSON, or breaks a rule of these formats. The message has a problem with its place, and a remedy."""


class RepeatedKeys(dict[str, Json]):
    """An object with a repeated key, kept so that the fault can name the path."""

    repeated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotAnInteger:
    """A number with a fraction or an exponent, or a number too large to be exact."""


class _Missing:
    """Stands for a missing required key after its fault was recorded."""


MISSING = cast("Json", _Missing())


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    fields = dict(pairs)
    if len(fields) == len(pairs):
        return fields
    times = Counter(key for key, _ in pairs)
    flawed = RepeatedKeys(fields)
    flawed.repeated = tuple(key for key in fields if times[key] > 1)
    return flawed


def _integer(digits: str) -> int | NotAnInteger:
    return int(digits) if len(digits) <= _MAX_DIGITS else NotAnInteger()


def _no_float(_: str) -> NotAnInteger:
    return NotAnInteger()


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_no_float, parse_constant=_no_float, parse_int=_integer
)


def decode(raw: bytes) -> Json:
    """Return the value of a JSON text in UTF-8.

    Objects with a repeated key become `RepeatedKeys`, and numbers that are not exact integers become `NotAnInteger`.
    The reader refuses both at their place in the document.

    Raises:
        NotJson: if the text is not JSON, is not UTF-8, starts with a byte order mark, or is nested too deeply.
    """
    if raw.startswith(b"\xef\xbb\xbf"):
        raise NotJson("the text starts with a byte order mark; save it as UTF-8 without one")
    try:
        return cast("Json", _DECODER.decode(raw.decode()))
    except UnicodeDecodeError as error:
        raise NotJson(f"byte {error.start + 1} is not valid UTF-8; save the text as UTF-8") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise NotJson(f"JSON syntax error at {place} ({error.msg}); correct it there") from None
    except RecursionError:
        raise NotJson("the JSON is nested too deeply; remove levels of nesting") from None


class Reader:
    """Reads the parts of a document and collects faults.

    Each method returns the value that it read, or None after a fault, so that reading continues to the next fault.
    """

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.more = 0
        self._texts: set[str] = set()

    def count(self) -> int:
        """Return how many faults were recorded so far."""
        return len(self.faults) + self.more

    def refuse(self, where: Where, problem: str, remedy: str) -> None:
        """Record a fault.

        Raises:
            UnusableInput: if there are too many faults to continue.
        """
        if len(self.faults) == MAX_FAULTS:
            self.more += 1
            if self.more == MAX_COUNTED:
                self.finish()
            return
        file, path = spell(where)
        self.faults.append(Fault(file, path, problem, remedy))

    def finish(self) -> None:
        """End the reading.

        Raises:
            UnusableInput: with every fault recorded so far, if any.
        """
        if self.faults:
            raise UnusableInput(self.faults, self.more)

    def fields(
        self, value: Json, where: Where, *, required: frozenset[str], optional: frozenset[str] = frozenset()
    ) -> Mapping[str, Json]:
        """Read an object with every required key and without unknown keys.

        After a fault, missing keys get the value `MISSING`, for which the other methods record no fault.
        """
        if type(value) is dict and required <= value.keys() <= required | optional:
            return value
        if not isinstance(value, dict):
            self._not(value, where, "an object")
            return dict.fromkeys(required, MISSING)
        if isinstance(value, RepeatedKeys):
            for key in value.repeated:
                self.refuse((where, key), "this key appears more than once in its object", "keep one of them")
        for key in sorted(value.keys() - required - optional):
            self.refuse((where, key), "this key is not part of the format", "remove it or correct the spelling")
        for key in sorted(required - value.keys()):
            self.refuse((where, key), "this required key is missing", "add it")
        return dict.fromkeys(required, MISSING) | value

    def list_(self, value: Json, where: Where) -> Sequence[Json]:
        """Read a list. Return an empty list after a fault."""
        if isinstance(value, list | tuple):
            return value
        self._not(value, where, "a list")
        return ()

    def text(self, value: Json, where: Where) -> str | None:
        """Read text in Unicode Normalization Form C (NFC)."""
        if type(value) is not str:
            self._not(value, where, "text")
            return None
        if value in self._texts:
            return value
        if any("\ud800" <= character <= "\udfff" for character in value):
            self.refuse(where, "the text contains half of a surrogate pair", "write the whole character")
            return None
        if not unicodedata.is_normalized("NFC", value):
            self.refuse(where, "the text is not in Unicode Normalization Form C", "normalize it to NFC")
            return None
        self._texts.add(value)
        return value

    def identifier(self, value: Json, where: Where) -> str | None:
        """Read an id: 1 to 64 of the characters A-Z a-z 0-9 . _ : -."""
        if type(value) is not str:
            self._not(value, where, "text")
            return None
        if is_identifier(value):
            return value
        self.refuse(where, "this is not a valid id", "use 1 to 64 of the characters A-Z a-z 0-9 . _ : -")
        return None

    def integer(self, value: Json, where: Where, *, maximum: int = MAX_INTEGER) -> int | None:
        """Read a whole number from 0 to `maximum`."""
        if type(value) is not int:
            self._not(value, where, "a whole number without a fraction or exponent")
            return None
        if 0 <= value <= maximum:
            return value
        self.refuse(where, "the number is out of range", f"give a whole number from 0 to {maximum}")
        return None

    def exactly(self, word: str, value: Json, where: Where) -> None:
        """Read one fixed word, such as the name of the format."""
        if value is not MISSING and value != word:
            self.refuse(where, "this value is not supported", f'write "{word}"')

    def truth(self, value: Json, where: Where) -> bool | None:
        """Read true or false."""
        if type(value) is bool:
            return value
        self._not(value, where, "true or false")
        return None

    def choice(self, options: type[Choice], value: Json, where: Where) -> Choice | None:
        """Read one of the words of an enumeration."""
        if value is MISSING:
            return None
        if type(value) is str and value in options.__members__.values():
            return options(value)
        words = ", ".join(f'"{option}"' for option in options)
        self.refuse(where, "this word is not allowed here", f"give one of {words}")
        return None

    def _not(self, value: Json, where: Where, wanted: str) -> None:
        if value is not MISSING:
            self.refuse(where, f"this is {kind_of(value)}", f"give {wanted}")


def is_identifier(value: Json) -> TypeGuard[str]:
    """Return whether a value is an id: 1 to 64 of the characters A-Z a-z 0-9 . _ : -."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def kind_of(value: Json) -> str:
    """Name the kind of a JSON value."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case NotAnInteger():
            return "a number with a fraction or exponent, or a number that is too large"
        case str():
            return "text"
        case Mapping():
            return "an object"
        case _:
            return "a list"


def spell(where: Where) -> tuple[str, str]:
    """Return a place as its file and its JSON path."""
    steps: list[str] = []
    parent, step = where
    while parent is not None:
        steps.append(_spell_step(step))
        parent, step = parent
    return str(step), "$" + "".join(reversed(steps))


def _spell_step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    if _PLAIN_KEY.fullmatch(step):
        return f".{step}"
    return f"[{json.dumps(step[:_MAX_KEY_SHOWN])}]"
