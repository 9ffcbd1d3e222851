"""Whatever is asked, by whomever: an answer of the documented shape, and never a mistake of the service's own."""

import uuid
import warnings
from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeAlias

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok

from enrollment.problems import MEDIA_TYPE
from people import Caller, Service
from permissions import Whole, make_whole

Operation: TypeAlias = schemathesis.schemas.APIOperation[Any, Any, Any, Any]
Case: TypeAlias = schemathesis.Case[Any]

EXAMPLES = 8
"""Requests for each operation and role; the seed is another in every run."""

SERVER_ERROR = 500
CLIENT_ERROR = 400
PROBLEM = {"type", "title", "status", "detail", "code", "request_id", "errors"}


def callers(whole: Whole) -> Mapping[str, Caller]:
    city = whole.city
    return {
        "stranger": city.service.stranger(),
        "partner": city.portal,
        "school": city.lincoln,
        "operator": whole.elsewhere,
        "auditor": city.otto,
        "administrator": city.ann,
    }


OAUTH_PATH = "/v1/oauth/token"
RFC_6749 = "application/json"
"""The media type of errors at the token endpoint (RFC 6749, section 5.2)."""


@pytest.mark.parametrize("role", ["stranger", "partner", "school", "operator", "auditor", "administrator"])
def test_no_request_of_a_role_is_a_mistake_of_the_service(service: Service, role: str) -> None:
    whole = make_whole(service)
    headers = callers(whole)[role].headers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the generator's own libraries
        schema = schemathesis.openapi.from_dict(service.app.openapi())
        walked, answers = 0, Counter[int]()
        for result in schema.get_all_operations():
            assert isinstance(result, Ok), result
            answers.update(ask_often(service, result.ok(), headers, whole.names))
            walked += 1
    assert walked > 90
    assert {200, 404} <= answers.keys(), answers


def ask_often(
    service: Service, operation: Operation, headers: Mapping[str, str], names: Mapping[str, str]
) -> Counter[int]:
    """Ask for an operation with made-up parameters and bodies, some with names that are there; count the answers."""
    answers = Counter[int]()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), real=st.booleans())
    def ask(case: Case, *, real: bool) -> None:
        if real:
            case.path_parameters.update({name: names[name] for name in case.path_parameters if name in names})
        asked = requests.Request(**case.as_transport_kwargs(base_url="http://testserver")).prepare()
        sent = {name: str(value) for name, value in asked.headers.items() if name.lower() != "authorization"}
        if real:
            sent |= {"Idempotency-Key": uuid.uuid4().hex, "If-Match": "*"}
        body = asked.body.encode() if isinstance(asked.body, str) else asked.body
        assert body is None or isinstance(body, bytes)
        answer = service.send(asked.method or "GET", asked.url or "/", {**sent, **headers}, body)
        answers[answer.status_code] += 1
        told = f"{operation.label}: {answer.status_code} {answer.text[:500]}"
        assert answer.status_code < SERVER_ERROR, told
        if answer.status_code >= CLIENT_ERROR:
            assert answer.headers["content-type"] == (RFC_6749 if operation.path == OAUTH_PATH else MEDIA_TYPE), told
            assert answer.json().keys() >= PROBLEM, told
        else:
            operation.validate_response(answer)

    ask()
    return answers
