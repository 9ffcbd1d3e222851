"""What all tests share: on a bare machine a test may be skipped with its reason, in CI none may."""

import os
from collections.abc import Generator

import pytest

pytest_plugins = ["databases"]  # a PostgreSQL for the tests of the service


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where CI has to install what a test needs."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} would be skipped: {report.longrepr}; .ci/run must install what it needs"
    return report
