"""Upgrade or downgrade the database tables."""

from pathlib import Path

from alembic import command
from alembic.config import Config

HERE = Path(__file__).parent
MIGRATIONS = next(folder for folder in (HERE / "migrations", HERE.parent / "migrations") if folder.is_dir())
"""An installed wheel has the migrations inside the package, a checkout beside it."""


def upgrade(url: str, to: str = "head") -> None:
    """Run the migrations up to a revision."""
    command.upgrade(_config(url), to)


def downgrade(url: str, to: str) -> None:
    """Undo the migrations down to a revision. `base` is the empty database."""
    command.downgrade(_config(url), to)


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["url"] = url
    return config
