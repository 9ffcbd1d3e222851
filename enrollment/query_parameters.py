"""Query parameters: refuse unknown names, so that a misspelled filter is never ignored."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import get_args, get_origin

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant

from enrollment.problems import BadRequest, Fault, sentence

_SHOWABLE = re.compile(r"[A-Za-z0-9._-]{1,40}")
"""A parameter name that a refusal may repeat. Other names may be personal text."""


class UnusableQuery(BadRequest):
    """The request has an unknown or a repeated query parameter."""

    title = sentence("Invalid query parameters")
    detail = sentence("Remove or correct each listed query parameter, then send the request again.")


async def refuse_unusable_query(request: Request) -> None:
    """Refuse undeclared query parameters, and repeated parameters that take one value.

    Raises:
        UnusableQuery: with each wrong parameter and the known ones.
    """
    if not request.scope["query_string"]:
        return
    known = dict(_declared(request.scope["route"].dependant))
    faults = list(_faults(Counter(name for name, _ in request.query_params.multi_items()), known))
    if faults:
        raise UnusableQuery(faults=faults)


UsableQuery = Depends(refuse_unusable_query)
"""A dependency of the whole app. It never waits, so it needs no thread."""


def _declared(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """Yield the declared query parameters of a route, and whether each may repeat."""
    for parameter in dependant.query_params:
        yield parameter.alias, _is_list(parameter.field_info.annotation)
    for part in dependant.dependencies:
        yield from _declared(part)


def _is_list(annotation: object) -> bool:
    return get_origin(annotation) is list or any(get_origin(part) is list for part in get_args(annotation))


def _faults(sent: Counter[str], known: Mapping[str, bool]) -> Iterator[Fault]:
    for name, times in sent.items():
        if name not in known:
            yield _unknown(name if _SHOWABLE.fullmatch(name) else "…", known)
        elif times > 1 and not known[name]:
            detail = sentence("appears {times} times; send it once")
            yield Fault(name, "repeated-parameter", detail, {"times": times}, place="query")


def _unknown(name: str, known: Mapping[str, bool]) -> Fault:
    if not known:
        detail = sentence("is not a known parameter; this address takes no query parameters")
        return Fault(name, "unknown-parameter", detail, place="query")
    detail = sentence("is not a known parameter; this address takes {known}")
    return Fault(name, "unknown-parameter", detail, {"known": ", ".join(sorted(known))}, place="query")
