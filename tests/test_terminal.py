# SPDX-License-Identifier: Apache-2.0
import io

from koinon.errors import BadInput
from koinon.terminal import Terminal


def opened(**options):
    stdout, stderr = io.StringIO(), io.StringIO()
    return Terminal(stdout=stdout, stderr=stderr, **options), stdout, stderr


def test_a_table_shows_every_cell_as_it_is():
    terminal, stdout, _stderr = opened()
    terminal.table("Ledger", ["who", "earned"], [["lender [1]", 1234]], right=[1], footer=["all", 1234])
    for text in ("Ledger", "who", "lender [1]", "1234", "all"):
        assert text in stdout.getvalue()


def test_progress_that_nobody_watches_is_one_line():
    terminal, stdout, stderr = opened()
    with terminal.progress("Teaching [5 lenders]", 10) as advance:
        for _step in range(10):
            advance(1)
    assert stderr.getvalue() == "· Teaching [5 lenders]\n"
    assert stdout.getvalue() == ""


def test_with_json_there_is_the_result_and_nothing_else():
    terminal, stdout, stderr = opened(json_output=True)
    terminal.banner("devnet", test_money=True)
    terminal.say("hello")
    terminal.note("beside")
    terminal.table("t", ["a"], [["b"]])
    with terminal.progress("work", 1) as advance:
        advance(1)
    terminal.result({"name": "成果"})
    assert stdout.getvalue() == '{"name": "成果"}\n'
    assert stderr.getvalue() == ""


def test_an_error_is_printed_as_it_was_written():
    terminal, _stdout, stderr = opened()
    terminal.error(BadInput("Column [age] is missing.", hint="Name it: --label [age]"))
    assert "Column [age] is missing." in stderr.getvalue()
    assert "Name it: --label [age]" in stderr.getvalue()


def test_a_result_without_a_picture_is_shown_as_json():
    terminal, stdout, _stderr = opened()
    terminal.result({"works": 2})
    assert '"works": 2' in stdout.getvalue()


def test_others_words_move_no_cursor_and_set_no_title():
    terminal, stdout, stderr = opened()
    terminal.say("a\x1b[2Jb\tc\nd")
    terminal.table("t", ["x"], [["e\x1b]0;f\x07g"]])
    terminal.note("h\x9b2Ji")
    terminal.error(BadInput("j\rk", hint="l\x1b[1Am"))
    shown = stdout.getvalue() + stderr.getvalue()
    assert not any(each in shown for each in "\x1b\x9b\x07\r")
    assert "a[2Jb" in shown
    assert "e]0;fg" in shown
