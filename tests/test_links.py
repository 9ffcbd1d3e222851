"""Every link, every path and every operation that a page names is there; so is every page that the code cites."""

import re
from functools import cache
from pathlib import Path

import pytest
from pydantic import SecretStr

from enrollment.app import create_app
from enrollment.settings import Settings
from pages import CODE, LINK, PAGES, ROOT, anchors, headings, prose, text

CODE_FOLDERS = ("lottery", "enrollment", "migrations", "benchmarks", "tests", "scripts", ".ci")
CITING = {".py", ".html", ".toml", ".yaml", ""}
NUMBERS = r"sections?[\s#]+(\d+(?:(?:,|and|[\s#])+\d+)*)"
CITED = re.compile(rf'(?<!/ ")(?<![\w./-])([\w./-]*[\w-]\.md)\b(?:`?,[\s#]+(?:{NUMBERS}|"([^"]+)"))?')
TEMPLATES = (".github/PULL_REQUEST_TEMPLATE.md",)

Citation = tuple[str, str, str]
"""The page, the numbers of sections, the heading."""


def citing_files() -> list[Path]:
    inside = [path for folder in CODE_FOLDERS for path in (ROOT / folder).rglob("*")]
    files = [path for path in [*inside, *ROOT.iterdir()] if path.is_file() and path.suffix in CITING]
    return [path for path in files if path != Path(__file__) and "__pycache__" not in path.parts]


@cache
def citations() -> dict[Citation, list[str]]:
    """Return what the code cites, with the files that cite it."""
    found: dict[Citation, list[str]] = {}
    for path in citing_files():
        for citation in CITED.findall(path.read_text(encoding="utf-8")):
            found.setdefault(citation, []).append(path.relative_to(ROOT).as_posix())
    return found


def test_every_page_that_the_code_cites_is_there() -> None:
    missing = [
        (page, file) for (page, _, _), files in citations().items() for file in files if not (ROOT / page).is_file()
    ]
    assert missing == []


def test_every_section_and_heading_that_the_code_cites_is_there() -> None:
    wrong = {}
    for (page, sections, heading), files in citations().items():
        if (ROOT / page).is_file():
            numbers = {found.group(1) for found in map(re.compile(r"(\d+)\. ").match, headings(page)) if found}
            if set(re.findall(r"\d+", sections)) - numbers or (heading and heading not in headings(page)):
                wrong[page, sections, heading] = files
    assert wrong == {}


@pytest.mark.parametrize("page", [*PAGES, *TEMPLATES])
def test_every_link_leads_somewhere(page: str) -> None:
    lost = []
    for link in LINK.findall(prose(page)):
        if not link.startswith(("https://", "mailto:")):
            path, _, anchor = link.partition("#")
            target = (ROOT / page).parent / path if path else ROOT / page
            there = target.exists() and target.resolve().is_relative_to(ROOT)
            if not there or (anchor and anchor not in anchors(target.resolve().relative_to(ROOT).as_posix())):
                lost.append(link)
    assert lost == []


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    named = re.compile(r"(?:enrollment|lottery|tests|docs|scripts|benchmarks|migrations|\.ci)/[\w./-]*\w[/\w]*")
    paths = {path for code in CODE.findall(text(page)) if (path := code.partition("::")[0]) and named.fullmatch(path)}
    assert [path for path in sorted(paths) if not any((ROOT / base / path).exists() for base in ("", "tests"))] == []


@cache
def operations() -> list[tuple[str, re.Pattern[str]]]:
    settings = Settings(database_url="postgresql://nobody@127.0.0.1/none", secret=SecretStr("s" * 32))
    return [
        (method.upper(), re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))))
        for path, methods in create_app(settings).openapi()["paths"].items()
        for method in methods
    ]


@pytest.mark.parametrize("page", PAGES)
def test_every_operation_that_a_page_names_is_there(page: str) -> None:
    named = [code.split() for code in CODE.findall(text(page)) if re.match(r"(GET|PUT|POST|DELETE) /\S+$", code)]
    wrong = [
        f"{method} {path}"
        for method, path in named
        if not any(known == method and form.fullmatch(path.partition("?")[0]) for known, form in operations())
    ]
    assert wrong == []
