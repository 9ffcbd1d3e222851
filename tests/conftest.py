"""What all tests share: on a bare machine a test may be skipped with its reason, in CI none may."""

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes is the machine's, and nothing that a test is about.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

pytest_plugins = ["postgresql_log", "databases", "spring_city", "previews_by_hand"]
"""A PostgreSQL for the tests of the service, a look at its log after each of them, and a city in its summer."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where CI has to install what a test needs."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} would be skipped: {report.longrepr}; .ci/run must install what it needs"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the counts that tests of backfill rounds record, as docs/explanation/fairness.md has them."""
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    called = [report for report in reports if isinstance(report, pytest.TestReport) and report.when == "call"]
    rows = [str(value) for report in called for name, value in report.user_properties if name == "moves"]
    if rows:
        terminalreporter.section("children who move in a backfill round, by order")
        terminalreporter.write_line(
            "| summer | order | stayed | moved | newly placed | unplaced | left empty | moved in ten draws | fewer |"
        )
    for row in rows:
        terminalreporter.write_line(row)
