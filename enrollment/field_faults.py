"""Faults of single fields: what is wrong, with the limit or the allowed values, and where it is in the body as sent."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from enrollment.plain_text import SAYS as TEXT_FAULTS
from enrollment.problems import Fault, sentence

Step = str | int

A_DATE = sentence("must be a date of the form 2027-01-31")
A_TIME = sentence("must be a time with its offset from UTC, of the form 2027-01-31T23:59:00-05:00")
AN_OBJECT = sentence("must be an object")
A_LIST = sentence("must be a list")
A_STRING = sentence("must be a string")
A_NUMBER = sentence("must be a number")
A_WHOLE_NUMBER = sentence("must be a whole number, of at most 20 digits")
A_FLAG = sentence("must be true or false")
A_UUID = sentence("must be a UUID of the form 01234567-89ab-cdef-0123-456789abcdef")
ONE_OF = sentence("must be one of: {allowed}")

SAYS: Mapping[str, str] = {
    "missing": sentence("is missing; add it"),
    "extra_forbidden": sentence("is not a known field; remove it"),
    "json_invalid": sentence("the body is not valid JSON; correct it"),
    "string_type": A_STRING,
    "string_too_short": sentence("must have {least} or more characters"),
    "string_too_long": sentence("must have at most {most} characters"),
    "string_unicode": sentence("must be well-formed Unicode"),
    "int_type": A_WHOLE_NUMBER,
    "int_parsing": A_WHOLE_NUMBER,
    "int_parsing_size": A_WHOLE_NUMBER,
    "int_from_float": A_WHOLE_NUMBER,
    "float_type": A_NUMBER,
    "float_parsing": A_NUMBER,
    "finite_number": A_NUMBER,
    "bool_type": A_FLAG,
    "bool_parsing": A_FLAG,
    "list_type": A_LIST,
    "dict_type": AN_OBJECT,
    "model_type": AN_OBJECT,
    "model_attributes_type": AN_OBJECT,
    "too_short": sentence("must have {least} or more entries"),
    "too_long": sentence("must have at most {most} entries"),
    "greater_than_equal": sentence("must be {least} or more"),
    "less_than_equal": sentence("must be {most} or less"),
    "day_too_early": sentence("must be {least} or later"),
    "day_too_late": sentence("must be {most} or earlier"),
    "literal_error": ONE_OF,
    "enum": ONE_OF,
    "uuid_parsing": A_UUID,
    "uuid_type": A_UUID,
    "date_parsing": A_DATE,
    "datetime_parsing": A_TIME,
    "timezone_aware": A_TIME,
    "invalid_json_value": sentence("must be a JSON value"),
    "email": sentence("must be an e-mail address of the form name@example.org"),
    "phone": sentence("must be a phone number of {least} to {most} digits"),
    "one_size": sentence("must have either seats or percent, not both"),
    "one_household": sentence("must have household or household_code, not both"),
    "time_zone": sentence("must be the IANA name of a time zone, with its area and place, such as America/New_York"),
    "no_status": sentence("must have status, or a status in each of its grades"),
    "role": sentence(
        "must name an operator for the operator role, a school for the school role, and neither for other roles"
    ),
}
"""Fault details by pydantic's error type. They never quote the value, which may be a child's."""

FORMS: Mapping[str, str] = {
    r"^[A-Za-z0-9._:-]{1,64}$": sentence("must be an id: 1 to 64 characters of A-Z a-z 0-9 . _ : -"),
    r"^[A-Za-z0-9._:-]{1,80}$": sentence("must be an account: 1 to 80 characters of A-Z a-z 0-9 . _ : -"),
    r"^[0-9]{12}$": sentence("must be an NCES id: 12 digits"),
    r"^[0-9]{6}$": sentence("must be a code of 6 digits"),
    r"^[A-Za-z0-9_-]+={0,2}$": sentence("must be base64url: characters of A-Z a-z 0-9 - _"),
    r"^[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?$": sentence(
        "must be a language tag (BCP 47), such as es, am or zh-Hant"
    ),
}
"""Fault details by the pattern of a string."""

NOT_VALID = sentence("is not valid here; see /docs")

_LIMITS: Mapping[str, str] = {
    "min_length": "least",
    "max_length": "most",
    "ge": "least",
    "le": "most",
    "least": "least",
    "most": "most",
    "earliest": "least",
    "latest": "most",
}
_QUOTED = re.compile(r"'([^']*)'")
_MAX_KEY = 64


def faults_of(errors: Sequence[Mapping[str, Any]], body: object) -> Iterator[Fault]:
    """Yield pydantic's errors as faults.

    Args:
        errors: the errors, as pydantic lists them.
        body: the body as it was sent.
    """
    branches, faults = [], []
    for error in errors:
        place, *parts = error["loc"]
        steps = _steps_of(parts, body, error.get("input"), str(error["type"])) if place == "body" else parts
        faults.append(_fault_of(error, steps, place=str(place)))
        branches.append(len(steps) < len(parts))
    pointers = [fault.pointer for fault in faults]
    for fault, in_branch in zip(faults, branches, strict=True):
        # One branch of a union was tried in vain: another branch says more exactly what is wrong.
        if not (in_branch and any(other.startswith(f"{fault.pointer}/") for other in pointers)):
            yield fault


def pointer_of(steps: Sequence[Step]) -> str:
    """Return the JSON pointer (RFC 6901) of a place in a body.

    The key of an unknown field may be a name, so only short ASCII keys are repeated.
    """
    shown = [step if isinstance(step, int) or (step.isascii() and len(step) <= _MAX_KEY) else "…" for step in steps]
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in shown)


def _steps_of(parts: Sequence[Step], body: object, found: object, kind: str) -> list[Step]:
    """Return the place of an error in the body, without the names that pydantic adds for branches of unions.

    A name that pydantic added may also be a key of the body. So the value at the place must be the value that pydantic
    found wrong, if any place has it.
    """
    if kind == "json_invalid":
        return []
    missing = parts[-1:] if kind == "missing" else []
    places = list(_places(parts[: len(parts) - len(missing)], body))
    exact = next((steps for steps, value in places if value is found), None)
    return [*(exact if exact is not None else max((steps for steps, _ in places), key=len)), *missing]


def _places(parts: Sequence[Step], value: object) -> Iterator[tuple[list[Step], object]]:
    """Yield every place to which the parts may lead, with its value; the place with the most parts first."""
    if not parts:
        yield [], value
        return
    first, *rest = parts
    is_key = isinstance(value, Mapping) and first in value
    if is_key or (isinstance(value, list) and isinstance(first, int) and first < len(value)):
        inside = _places(rest, cast("Any", value)[first])
        yield from (([first, *steps], found) for steps, found in inside)
    yield from _places(rest, value)


def _fault_of(error: Mapping[str, Any], steps: Sequence[Step], *, place: str) -> Fault:
    kind, context = str(error["type"]), error.get("ctx") or {}
    if place != "body":
        # A parameter is no place in a document, so its fault has the name.
        return _say(kind, context, pointer="/".join(map(str, steps)), place=place)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        steps = [*steps, *_QUOTED.findall(context["discriminator"])]
        known = {"expected": context.get("expected_tags", "")}
        return _say("literal_error" if known["expected"] else "missing", known, pointer=pointer_of(steps), place=place)
    return _say(kind, context, pointer=pointer_of(steps), place=place)


def _say(kind: str, context: Mapping[str, Any], *, pointer: str, place: str) -> Fault:
    if kind == "plain_text":
        flaw = str(context["flaw"])
        return Fault(pointer, flaw, TEXT_FAULTS[flaw], {"number": context["number"]}, place=place)
    if kind == "string_pattern_mismatch":
        return Fault(pointer, _code(kind), FORMS.get(context["pattern"], NOT_VALID), place=place)
    values = dict(_values(context))
    detail = SAYS.get(_of_days(kind, context), NOT_VALID)
    return Fault(pointer, _code(kind), detail, values, place=place)


def _of_days(kind: str, context: Mapping[str, Any]) -> str:
    """Return the kind under which `SAYS` has the sentence: a day is early or late, not small or large."""
    if "earliest" in context:
        return "day_too_early"
    return "day_too_late" if "latest" in context else kind


def _values(context: Mapping[str, Any]) -> Iterator[tuple[str, str | int]]:
    for name, value in context.items():
        if name in _LIMITS:
            yield _LIMITS[name], f"{value:g}" if isinstance(value, float) else value
        elif name == "expected":
            yield "allowed", ", ".join(_QUOTED.findall(value)) or str(value)


def _code(kind: str) -> str:
    return kind.replace("_", "-")
