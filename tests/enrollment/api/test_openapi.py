"""The OpenAPI document: valid, with short names and an example for everything, and read whole by a generator."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from enrollment.app import create_app
from enrollment.problems import MEDIA_TYPE
from people import settings_for

Schema: TypeAlias = dict[str, Any]  # type: ignore[explicit-any]  # a document of any depth

MAX_OPERATION_ID = 40
NO_DATABASE = "postgresql://nobody@localhost/nothing"


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(settings_for(NO_DATABASE))


@pytest.fixture(scope="module")
def document(app: FastAPI) -> Schema:
    return app.openapi()


def operations(document: Schema) -> Iterator[tuple[str, Schema]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def bodies(document: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield each JSON body that is sent or answered, with its schema and example."""
    for name, operation in operations(document):
        answers = [response for status, response in operation["responses"].items() if status.startswith("2")]
        for kind, body in [("request", operation.get("requestBody", {})), *[("answer", answer) for answer in answers]]:
            media = body.get("content", {}).get("application/json")
            if media is not None:
                yield f"{name}: {kind}", media


def test_the_document_is_valid_openapi(document: Schema) -> None:
    validate(document)


def test_names_are_short_unique_and_of_one_kind(document: Schema) -> None:
    ids = Counter(operation["operationId"] for _, operation in operations(document))
    assert not [name for name, times in ids.items() if times > 1]
    assert not [name for name in ids if len(name) > MAX_OPERATION_ID or not re.fullmatch(r"[a-z]+([A-Z][a-z]*)+", name)]
    assert not [name for name in document["components"]["schemas"] if not re.fullmatch(r"[A-Za-z]+", name)]


def test_it_says_where_the_service_is(document: Schema) -> None:
    assert document["servers"] == [{"url": settings_for(NO_DATABASE).public_url}]


def test_every_body_and_answer_has_an_example(document: Schema) -> None:
    found = list(bodies(document))
    assert len(found) > 150
    assert [name for name, media in found if "example" not in media] == []


def test_every_example_is_what_its_schema_says(document: Schema) -> None:
    wrong = []
    for name, media in bodies(document):
        schema = {**media.get("schema", {}), "components": document["components"]}
        wrong += [
            f"{name}: {error.json_path} {error.message}"
            for error in OAS31Validator(schema).iter_errors(media.get("example"))
        ]
    assert wrong == []


def test_the_example_of_a_problem_is_what_the_service_answers(app: FastAPI, document: Schema) -> None:
    answer = TestClient(app).get("/v1/nothing-here").json()  # without its lifespan, so without a database
    shown = next(operations(document))[1]["responses"]["default"]["content"][MEDIA_TYPE]["example"]
    assert {**shown, "request_id": ""} == {**answer, "request_id": ""}


def test_what_a_caller_may_leave_out_is_not_said_to_be_null(document: Schema) -> None:
    schemas = document["components"]["schemas"]
    loose = [
        f"{name}.{field}"
        for name, schema in schemas.items()
        if name.endswith("In")
        for field, part in schema.get("properties", {}).items()
        if field not in schema.get("required", []) and {"type": "null"} in part.get("anyOf", [])
    ]
    assert loose == []


def test_a_generator_of_clients_reads_all_of_it_without_a_warning(document: Schema, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    tools = Path(sys.executable).parent
    done = subprocess.run(
        [
            str(tools / "openapi-python-client"),
            "generate",
            "--path",
            "openapi.json",
            "--meta",
            "none",
            "--output-path",
            "client",
        ],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert "warning" not in told.lower(), told
    made = [path for path in (tmp_path / "client" / "api").glob("*/*.py") if path.name != "__init__.py"]
    assert len(made) == len(list(operations(document)))
