"""What of the image and of the deployment can be held without an engine that runs containers."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from people import Service
from servers import running

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")
IMAGE = DOCKERFILE.rpartition("\nFROM ")[2]
"""The last stage: what is shipped."""


def health_check(address: str) -> int:
    """Run the image's health check against an address; return its exit code."""
    (found,) = re.findall(r"HEALTHCHECK .*?CMD (\[.*?\])\n", IMAGE, re.DOTALL)
    _, *arguments = json.loads(found.replace("http://127.0.0.1:8000", address))
    return subprocess.run([sys.executable, *arguments], capture_output=True, check=False).returncode


def test_the_image_is_not_root_and_says_how_it_is() -> None:
    user = IMAGE.index("USER enrollment")
    assert user < IMAGE.index("CMD [")
    assert "HEALTHCHECK" in IMAGE
    assert "USER root" not in DOCKERFILE


def test_the_embedded_database_and_build_tools_stay_out_of_the_image() -> None:
    assert "embedded" not in DOCKERFILE.replace("no embedded database", "")
    assert "pixeltable" not in (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "/tools" not in IMAGE
    assert "requirements-dev" not in DOCKERFILE


def test_what_is_copied_into_the_image_is_there_and_let_through() -> None:
    let_through = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        *sources, _ = line.split()
        for source in sources:
            assert (ROOT / source).exists(), source
            assert f"!{source}" in let_through, source


def test_the_health_check_passes_where_the_service_is_ready_and_fails_where_it_is_not(service: Service) -> None:
    with running(service.database) as up:
        assert health_check(up.address) == 0
        up.kill()
        assert health_check(up.address) != 0


def test_the_deployment_has_migrations_web_processes_a_worker_and_a_database() -> None:
    services = re.findall(r"^  (\w+):\n    <<: \*enrollment", COMPOSE, re.MULTILINE)
    assert services == ["migrate", "service", "worker"]
    assert re.search(r"^  database:\n    image: postgres:", COMPOSE, re.MULTILINE)


@pytest.mark.parametrize("secret", ["ENROLLMENT_SECRET", "POSTGRES_PASSWORD"])
def test_no_secret_has_a_value_in_the_files(secret: str) -> None:
    assert re.findall(rf"\${{{secret}:\?", COMPOSE)
    assert not re.findall(rf"{secret}: (?!\$)", COMPOSE)
    assert secret not in DOCKERFILE


def test_every_command_of_the_deployment_is_one_of_the_service() -> None:
    commands = re.findall(r"command: \[enrollment, (\w+)", COMPOSE)
    assert commands == ["migrate", "serve", "worker"]
    for name in commands:
        told = subprocess.run([sys.executable, "-m", "enrollment", name, "--help"], capture_output=True, check=True)
        assert b"--help" in told.stdout
