"""The reference of settings names every setting of the service with its default, and none besides."""

import re

from enrollment.settings import Settings
from pages import text

PAGE = "docs/reference/settings.md"
ROWS = dict(re.findall(r"^\| `([A-Z_]+)` \|.*\| ([^|]+) \|$", text(PAGE), re.MULTILINE))
"""The last column, by setting."""


def test_every_setting_is_there_and_none_besides() -> None:
    names = {
        "DATABASE_URL" if name == "database_url" else f"ENROLLMENT_{name.upper()}" for name in Settings.model_fields
    }
    assert set(ROWS) == names


def test_every_default_is_that_of_the_code() -> None:
    wrong = {}
    for name, field in Settings.model_fields.items():
        if name != "database_url":
            default = "required" if field.is_required() else field.default
            shown = (
                "none" if default in (None, ()) else str(default).lower() if isinstance(default, bool) else str(default)
            )
            if ROWS[f"ENROLLMENT_{name.upper()}"] != shown:
                wrong[name] = (ROWS[f"ENROLLMENT_{name.upper()}"], shown)
    assert wrong == {}
