"""Strict reading of JSON: every fault is gathered with its file, its path, what is wrong and what to do.

No value of a document is ever quoted in a fault unless it is a well-formed id: what should not be in a file may be a
child's name.
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
"""Faults that are kept in full; the rest are counted, so that a hopeless file costs no memory."""

MAX_COUNTED = 50_000
"""Further faults after which reading stops, so that a hopeless file costs no time either."""

LARGEST_INTEGER = 2**53 - 1

Where: TypeAlias = "tuple[Where | None, str | int]"
"""A place in a document, innermost step first: (place of the parent, key or index). The outermost step is the file."""

Choice = TypeVar("Choice", bound=StrEnum)

_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_MAX_KEY_SHOWN = 64
_MAX_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a file."""

    file: str
    path: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}: {self.path}: {self.problem}; {self.remedy}"


class UnusableInput(ValueError):
    """A file cannot be used; `faults` holds every reason, `more` how many were counted but not kept."""

    def __init__(self, faults: Sequence[Fault], more: int = 0) -> None:
        self.faults = tuple(faults)
        self.more = more
        super().__init__("\n".join(self.lines()))

    def __reduce__(self) -> tuple[type["UnusableInput"], tuple[Sequence[Fault], int]]:
        """Say how to make it again in another process."""
        return UnusableInput, (self.faults, self.more)

    def lines(self) -> list[str]:
        """Return one line per fault."""
        stopped = ", where reading stopped" if self.more == MAX_COUNTED else ""
        return [*map(str, self.faults), *([f"and {self.more} more faults{stopped}"] if self.more else [])]


class NotJson(ValueError):
    """Text is not JSON, or not as strict as these formats are. The message says why and where in the text."""


class RepeatedKeys(dict[str, Json]):
    """An object in which some key stands twice, kept so that the fault can name its path."""

    repeated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotAnInteger:
    """A number with a fraction or an exponent, or one too large to be exact."""


class _Missing:
    """Stands where a required key is missing, after the fault was noted."""


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

    Objects with a repeated key come back as `RepeatedKeys` and numbers that are no exact integers as `NotAnInteger`,
    which no reader takes for what it wants, so that both are refused where they stand.

    Raises:
        NotJson: if the text is not JSON at all, not UTF-8, starts with a byte order mark, or is nested without end.
    """
    if raw.startswith(b"\xef\xbb\xbf"):
        raise NotJson("starts with a byte order mark; save it as UTF-8 without one")
    try:
        return cast("Json", _DECODER.decode(raw.decode()))
    except UnicodeDecodeError as error:
        raise NotJson(f"byte {error.start + 1} is not UTF-8; save it as UTF-8") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise NotJson(f"is not JSON at {place} ({error.msg}); correct it there") from None
    except RecursionError:
        raise NotJson("is nested too deeply; no market needs that") from None


class Reader:
    """Takes a document apart and gathers its faults.

    Each verb returns what it read, or None after a fault, so that reading goes on to the next fault.
    """

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.more = 0
        self._texts: set[str] = set()

    def count(self) -> int:
        """Return how many faults were noted so far."""
        return len(self.faults) + self.more

    def refuse(self, where: Where, problem: str, remedy: str) -> None:
        """Note a fault.

        Raises:
            UnusableInput: if there are so many that reading on is of no use.
        """
        if len(self.faults) == MAX_FAULTS:
            self.more += 1
            if self.more == MAX_COUNTED:
                self.finish()
            return
        file, path = spell(where)
        self.faults.append(Fault(file, path, problem, remedy))

    def finish(self) -> None:
        """Raise `UnusableInput` with everything noted so far, if anything was."""
        if self.faults:
            raise UnusableInput(self.faults, self.more)

    def fields(
        self, value: Json, where: Where, *, required: frozenset[str], optional: frozenset[str] = frozenset()
    ) -> Mapping[str, Json]:
        """Read an object that has every required key and none that is unknown.

        After a fault what is missing is filled with `MISSING`, over which the other verbs pass in silence.
        """
        if type(value) is dict and required <= value.keys() <= required | optional:
            return value
        if not isinstance(value, dict):
            self._not(value, where, "an object")
            return dict.fromkeys(required, MISSING)
        if isinstance(value, RepeatedKeys):
            for key in value.repeated:
                self.refuse((where, key), "stands more than once in its object", "keep one of them")
        for key in sorted(value.keys() - required - optional):
            self.refuse((where, key), "is not a key of this format", "remove it, or correct its spelling")
        for key in sorted(required - value.keys()):
            self.refuse((where, key), "is missing", "add it")
        return dict.fromkeys(required, MISSING) | value

    def list_(self, value: Json, where: Where) -> Sequence[Json]:
        """Read a list; after a fault, an empty one."""
        if isinstance(value, list | tuple):
            return value
        self._not(value, where, "a list")
        return ()

    def text(self, value: Json, where: Where) -> str | None:
        """Read text in Unicode's composed form (NFC)."""
        if type(value) is not str:
            self._not(value, where, "text")
            return None
        if value in self._texts:
            return value
        if any("\ud800" <= character <= "\udfff" for character in value):
            self.refuse(where, "holds half of a surrogate pair", "write the whole character")
            return None
        if not unicodedata.is_normalized("NFC", value):
            self.refuse(where, "is not in Unicode's composed form", "normalize it to NFC")
            return None
        self._texts.add(value)
        return value

    def identifier(self, value: Json, where: Where) -> str | None:
        """Read an id: 1 to 64 of A-Z a-z 0-9 . _ : -."""
        if type(value) is not str:
            self._not(value, where, "text")
            return None
        if is_identifier(value):
            return value
        self.refuse(where, "is not an id", "use 1 to 64 of A-Z a-z 0-9 . _ : -")
        return None

    def integer(self, value: Json, where: Where, *, most: int = LARGEST_INTEGER) -> int | None:
        """Read a whole number from 0 to `most`."""
        if type(value) is not int:
            self._not(value, where, "a whole number, without fraction or exponent")
            return None
        if 0 <= value <= most:
            return value
        self.refuse(where, "is out of range", f"give a whole number from 0 to {most}")
        return None

    def exactly(self, word: str, value: Json, where: Where) -> None:
        """Refuse anything but one word, such as the format's name."""
        if value is not MISSING and value != word:
            self.refuse(where, "is not what is read here", f'write "{word}"')

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
        self.refuse(where, "is not one of the words allowed here", f"give one of {words}")
        return None

    def _not(self, value: Json, where: Where, wanted: str) -> None:
        if value is not MISSING:
            self.refuse(where, f"is {kind_of(value)}", f"give {wanted}")


def is_identifier(value: Json) -> TypeGuard[str]:
    """Say whether a value is an id: 1 to 64 of A-Z a-z 0-9 . _ : -."""
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
            return "a number with a fraction or exponent, or too large"
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
