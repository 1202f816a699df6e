# SPDX-License-Identifier: Apache-2.0
import json
import threading

import pytest

from koinon.errors import BadInput
from koinon.process import exit_status, say


def events(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_status_is_what_was_run_says_or_zero(capsys):
    assert exit_status(lambda: None) == 0
    assert exit_status(lambda: 8) == 8
    assert events(capsys) == []


def test_an_error_of_koinon_is_said_whole_and_gives_its_status(capsys):
    error = BadInput("No such file.", hint="Look again.", code="service.config")

    def run():
        raise error

    assert exit_status(run) == BadInput.exit_status
    assert events(capsys) == [{"event": "failed", **error.problem()}]


def test_a_field_that_is_missing_is_said_to_be_the_configurations(capsys):
    assert exit_status(missing) == 2
    assert events(capsys) == [{"event": "failed", "title": "The configuration is wrong: 'key'"}]


def test_what_is_not_the_configurations_is_raised():
    with pytest.raises(ValueError, match="invalid literal"):
        exit_status(lambda: int("x"))
    with pytest.raises(KeyError):
        exit_status(missing, misread=())
    assert exit_status(lambda: int("x"), misread=(ValueError,)) == 2


def test_threads_that_speak_at_once_say_whole_lines(capfd):
    def talk():
        for number in range(20):
            say({"event": "x" * 5_000, "number": number})

    talking = [threading.Thread(target=talk) for _ in range(4)]
    for each in talking:
        each.start()
    for each in talking:
        each.join()
    assert sorted(event["number"] for event in events(capfd)) == sorted(4 * list(range(20)))


def test_numbers_may_name_what_is_said(capsys):
    say({"event": "paid", "by": {7: 1}})
    assert events(capsys) == [{"event": "paid", "by": {"7": 1}}]


def missing():
    return {"url": 1}["key"]
