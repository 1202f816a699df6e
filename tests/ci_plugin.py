# SPDX-License-Identifier: Apache-2.0
"""With ``CI=true`` a test that was left out fails the run; otherwise pytest's own summary lists it."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest


def strict(environment: Mapping[str, str]) -> bool:
    """Whether leaving a test out is a failure here."""
    return environment.get("CI", "").lower() in {"1", "true", "yes"}


class LeftOut:
    """Remembers what was skipped and, where that counts, turns a green run red."""

    def __init__(self, strictly: bool) -> None:
        self.strictly = strictly
        self.names: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.names.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.names.append(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.strictly and self.names and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.strictly and self.names:
            terminalreporter.section("left out, which CI does not allow", red=True)
            for name in self.names:
                terminalreporter.write_line(name)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(LeftOut(strict(os.environ)), "left-out")
