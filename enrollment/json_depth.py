"""Limit the nesting of a JSON body before anything parses it."""

import json
import re
from typing import Final

import numpy as np

from enrollment.problems import Fault, Problem, sentence

MAX_DEPTH: Final = 64
"""Levels of lists and objects. The deepest valid body, conditions in rules, needs about 40."""

_LIST, _OBJECT = b"[", b"{"
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_OTHER_BYTES = bytes(byte for byte in range(256) if byte not in b'[]{}"')
_BETWEEN_BRACKETS = np.int8(ord("[") + 1)
"""The byte between the two brackets. Minus a bracket, it gives 1 for an opening and -1 for a closing one."""

_PIECE = 1 << 20
_STRING = re.compile(rb'"[^"]*"?')


class BodyTooDeep(Problem):
    """The body nests lists and objects too deeply for its readers."""

    status = 422
    title = sentence("Body nested too deeply")
    detail = sentence("Nest lists and objects at most {most} levels deep, then send the body again.")


def refuse_deep(raw: bytes) -> None:
    """Refuse a JSON text that nests lists and objects too deeply. The text may be invalid JSON.

    An ordinary body has few brackets, so counting them is enough. Otherwise the check sums up the depth over the
    brackets alone, which stays quick for hundreds of megabytes.

    Raises:
        BodyTooDeep: if the text has more than `MAX_DEPTH` levels.
    """
    if raw.count(_LIST) + raw.count(_OBJECT) > MAX_DEPTH and _is_deep(_in_utf8(raw)):
        raise body_too_deep()


def body_too_deep() -> BodyTooDeep:
    """Return the refusal, with the whole body as its place."""
    detail = sentence("is nested more than {most} levels deep; use fewer levels")
    return BodyTooDeep(faults=[Fault("", "too-deep", detail, {"most": MAX_DEPTH})], most=MAX_DEPTH)


def _in_utf8(raw: bytes) -> bytes:
    encoding = json.detect_encoding(raw)
    return raw if encoding.startswith("utf-8") else raw.decode(encoding, "replace").encode()


def _is_deep(raw: bytes) -> bool:
    unescaped = raw.replace(rb"\\", b"").replace(rb"\"", b"")
    brackets = _STRING.sub(b"", unescaped.translate(_BRACKETS, _OTHER_BYTES))
    depth = 0
    for start in range(0, len(brackets), _PIECE):
        marks = np.frombuffer(brackets, np.int8, count=min(_PIECE, len(brackets) - start), offset=start)
        depths = depth + np.cumsum(_BETWEEN_BRACKETS - marks, dtype=np.int64)
        if depths.max() > MAX_DEPTH:
            return True
        depth = int(depths[-1])
    return False
