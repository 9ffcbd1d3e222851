"""Field types that many features share on the wire.

A value has one form: a number is no date, text is no number. Text is kept in Unicode form NFC. An id that has no
visible character is no id.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, ClassVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from enrollment.plain_text import flaw_of, has_visible, in_nfc

MAX_TEXT = 500
MIN_DIGITS, MAX_DIGITS = 5, 25
"""Digits of a phone number, with an extension."""

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|z|[+-][0-9]{2}:[0-9]{2})?"
)
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,20}")
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,40})?")
_LABEL = r"[^\W_]([^\W_]|-){0,62}"
_EMAIL = re.compile(rf"[^\s@\"(),:;<>\[\]\\.]+(\.[^\s@\"(),:;<>\[\]\\.]+)*@({_LABEL}\.)+[^\W_0-9][^\W_]+")
_PHONE = re.compile(r"[0-9 +().,/#*-]+((ext|x)[0-9 .]+)?", re.IGNORECASE)


class Wire(BaseModel):
    """A request or response body: strict, frozen, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Resource(Wire):
    """The body of a PUT that takes the answer of the GET, so that a caller can read, edit and send back."""

    shown: ClassVar[frozenset[str]] = frozenset()
    """Members that the GET shows and the PUT does not set. The PUT ignores them."""

    @model_validator(mode="before")
    @classmethod
    def _without_shown(cls, body: object) -> object:
        if isinstance(body, Mapping):
            return {name: value for name, value in body.items() if name not in cls.shown}
        return body

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """List the ignored members too, as `readOnly`."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).setdefault("properties", {})
        for name in sorted(cls.shown):
            properties[name] = {"readOnly": True, "description": "GET shows it. PUT ignores it."}
        return schema


def plain_text(text: str, *, allowed: str = "") -> str:
    """Return a text without deceptive characters. `allowed` lists control characters that it may have.

    Raises:
        PydanticCustomError: with the flaw and its position.
    """
    flaw = flaw_of(text, allowed=allowed)
    if flaw is not None:
        raise PydanticCustomError("plain_text", "must be plain text", {"flaw": flaw.kind, "number": flaw.place})
    return text


def _normalized(value: object) -> object:
    return in_nfc(value) if isinstance(value, str) else value


def _blank_as_none(value: object) -> object:
    return None if isinstance(value, str) and not has_visible(value) else value


def _empty_or_plain(text: str) -> str:
    return plain_text(text) if text else text


def _day(value: object) -> object:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and _DAY.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise PydanticCustomError("date_parsing", "must be a date")


def _time(value: object) -> object:
    if isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and _TIME.fullmatch(value):
            return datetime.fromisoformat(value.upper())
    except ValueError:
        pass
    raise PydanticCustomError("datetime_parsing", "must be a time")


def between(earliest: date, latest: date) -> AfterValidator:
    """Return a check that a day or a time is in a range. pydantic's own check cannot name the range."""

    def check(value: date) -> date:
        if value < earliest:
            raise PydanticCustomError("greater_than_equal", "is too early", {"earliest": earliest.isoformat()})
        if value > latest:
            raise PydanticCustomError("less_than_equal", "is too late", {"latest": latest.isoformat()})
        return value

    return AfterValidator(check)


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text) or len(text.partition("@")[0]) > 64:  # noqa: PLR2004 - RFC 5321, section 4.5.3.1.1
        raise PydanticCustomError("email", "must be an e-mail address")
    return text


def _phone(text: str) -> str:
    if not _PHONE.fullmatch(text) or not MIN_DIGITS <= sum(map(str.isdigit, text)) <= MAX_DIGITS:
        raise PydanticCustomError("phone", "must be a phone number", {"least": MIN_DIGITS, "most": MAX_DIGITS})
    return text


def _parameter(form: re.Pattern[str], kind: str) -> BeforeValidator:
    """Return a check of the form of a query parameter, which is always text."""

    def check(value: object) -> object:
        if isinstance(value, str) and not form.fullmatch(value):
            raise PydanticCustomError(kind, "must have the right form")
        return value

    return BeforeValidator(check)


MAX_ID = 64

Id = Annotated[str, StringConstraints(pattern=rf"^[A-Za-z0-9._:-]{{1,{MAX_ID}}}$")]
"""An id, for example of a cycle, a school or a program."""

BlankIsNone = BeforeValidator(_blank_as_none)
"""For an optional id: text without a visible character says that there is no id."""

OptionalId = Annotated[Id | None, BlankIsNone]

Normalized = BeforeValidator(_normalized)
"""For text that a person wrote: any Unicode form comes in, and NFC is kept."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT), Normalized, AfterValidator(plain_text)]
"""Text that a person wrote, with at least one visible character (see `enrollment.plain_text`)."""

TextOrEmpty = Annotated[str, StringConstraints(max_length=MAX_TEXT), Normalized, AfterValidator(_empty_or_plain)]
"""Text that a person wrote, or no text."""

Email = Annotated[
    str,
    StringConstraints(min_length=3, max_length=254),
    Normalized,
    AfterValidator(plain_text),
    AfterValidator(_email),
]

Phone = Annotated[
    str, StringConstraints(min_length=3, max_length=254), Normalized, AfterValidator(plain_text), AfterValidator(_phone)
]

LanguageTag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?$")]
"""A language, perhaps with a script and a region (BCP 47, section 2.1)."""

Reason = Annotated[
    str,
    StringConstraints(min_length=3, max_length=MAX_TEXT),
    Normalized,
    AfterValidator(plain_text),
    Field(
        description="The reason. It appears in the public log, so do not name a child.",
        examples=["Snow closed the schools"],
    ),
]

Day = Annotated[date, BeforeValidator(_day)]
"""A calendar day as ISO 8601 writes it, such as 2027-01-31."""

Time = Annotated[AwareDatetime, BeforeValidator(_time)]
"""A time with its UTC offset (RFC 3339)."""

WholeNumber = _parameter(_WHOLE_NUMBER, "int_parsing")
Number = _parameter(_NUMBER, "float_parsing")
Flag = _parameter(re.compile("true|false"), "bool_parsing")
"""For query parameters, after their other checks: pydantic alone would read 1_0 as ten, and y as true."""
