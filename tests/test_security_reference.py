"""The page about OWASP ASVS: every requirement has one verdict, and every test that the page names exists."""

import ast
import json
import re
from pathlib import Path

from enrollment.settings import Settings

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "reference" / "security.md").read_text(encoding="utf-8")
HOW_TO = TESTS.parent / "docs" / "how-to"
SECRETS = (HOW_TO / "keys-and-secrets.md").read_text(encoding="utf-8")
DATA = (HOW_TO / "backups-and-data.md").read_text(encoding="utf-8")
LEVELS: dict[str, int] = json.loads((TESTS / "asvs_5_0_0_levels.json").read_text(encoding="utf-8"))
"""Every requirement of levels 1 and 2 of ASVS 5.0.0, with its level."""

VERDICTS = ("met", "deployment", "not applicable", "open")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if re.match(r"\| V\d+\.\d+\.\d+ \|", line)
]


def test_every_requirement_of_levels_1_and_2_is_there_once_and_in_order() -> None:
    assert (len(LEVELS), list(LEVELS.values()).count(1)) == (253, 70)
    assert [(row[0], int(row[1])) for row in ROWS] == list(LEVELS.items())


def test_every_line_has_a_verdict_and_says_how() -> None:
    wrong = [
        number
        for number, _, requirement, verdict, how, _ in ROWS
        if verdict not in VERDICTS or not requirement or not how.endswith(".")
    ]
    assert not wrong


def test_the_counts_of_verdicts_are_right() -> None:
    verdicts = [row[3] for row in ROWS]
    told = {
        verdict: int(number)
        for verdict, number in re.findall(r"^\| ([a-z ]+) \| [^|]+ \| (\d+) \|$", PAGE, re.MULTILINE)
    }
    assert told == {verdict: verdicts.count(verdict) for verdict in VERDICTS}


def test_every_test_that_is_named_exists() -> None:
    named = {row[5].strip("`") for row in ROWS if row[5]}
    missing = [name for name in sorted(named) if name.partition("::")[2] not in _tests_in(name.partition("::")[0])]
    assert named
    assert not missing


def test_every_page_that_is_linked_exists() -> None:
    links = re.findall(r"\]\((\.\./[^)#]+)[^)]*\)", PAGE)
    assert all((TESTS.parent / "docs" / "reference" / link).is_file() for link in links)


def test_the_inventory_of_keys_names_every_secret_of_the_settings() -> None:
    inventory = SECRETS.partition("## Know all keys and secrets\n")[2].partition("\n## ")[0]
    fields = Settings.model_fields.items()
    secret = [f"ENROLLMENT_{name.upper()}" for name, field in fields if "SecretStr" in str(field.annotation)]
    assert {"ENROLLMENT_SECRET", "ENROLLMENT_SECOND_SECRET"} <= set(secret)
    assert [name for name in [*secret, "DATABASE_URL"] if f"`{name}`" not in inventory] == []


def test_every_log_has_a_time_for_which_it_is_kept() -> None:
    kept = DATA.partition("## How long data is kept\n")[2].partition("\n## ")[0]
    assert [log for log in ("public log", "security log", "process log") if f"\n| {log} | " not in kept] == []


def _tests_in(file: str) -> set[str]:
    path = TESTS / file
    if not path.is_file():
        return set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
