# SPDX-License-Identifier: Apache-2.0
"""What the documents promise: commands that exist, links that lead somewhere, a complete reference."""

import ast
import re
from pathlib import Path

import pytest

from koinon import errors
from koinon.chain import artifacts
from koinon.settings import PARSERS, unknown_variables, variable
from tools import (
    check_links,
    natspec,
    shown_commands,
    write_command_pages,
    write_contract_pages,
    write_error_list,
    write_python_pages,
    write_settings_page,
)
from tools.markdown import plain, table
from tools.shown_commands import BLOCK, ROOT, Shown, documents, shown

PAGES = documents()


def says(command: str) -> str | None:
    return shown_commands.fault_of(Shown("page.md", 1, command, True))


def test_every_command_that_a_page_shows_exists_with_its_options():
    assert len(list(shown())) > 60
    assert shown_commands.faults() == []


@pytest.mark.parametrize(
    "command",
    [
        "koinon wroks show 1",
        "koinon works shwo 1",
        "koinon works show 1 --colour red",
        "koinon works show",
        "koinon works show 1 2",
        "koinon service publish app.py:score",
        "koinon --verbose works show 1",
        "koinon works",
        'koinon call 1 \'{"income": 5',
    ],
)
def test_a_command_that_would_not_run_is_found(command):
    assert says(command) is not None


@pytest.mark.parametrize(
    "command",
    [
        "koinon --home /srv/koinon --json works show 1",
        "koinon works show 1 | less",
        "koinon works collect 1 4 7 --token ETH",
        "koinon works --help",
        "koinon --version",
    ],
)
def test_a_command_that_runs_is_not_found_fault_with(command):
    assert says(command) is None


def test_commands_are_found_behind_a_prompt_a_variable_and_over_two_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(shown_commands, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "```\n$ koinon doctor\nKOINON_LANG=en koinon works \\\n  show 1\n```\n\n"
        "```python\nkoinon = 1\n```\n\nSee `koinon up`.\n"
    )
    assert [(each.line, each.text) for each in shown([page])] == [
        (2, "koinon doctor"),
        (3, "koinon works show 1"),
        (11, "koinon up"),
    ]


def test_every_command_has_an_example():
    assert write_command_pages.without_example() == []


def test_every_option_of_every_command_is_in_the_reference():
    made = write_command_pages.pages()
    for path, each in shown_commands.commands().items():
        if path and not each.is_group:
            page = made[f"{write_command_pages.FOLDER}/koinon-{path[0]}.md"]
            for parameter in each.command.params:
                if parameter.param_type_name == "option" and not getattr(parameter, "hidden", False):
                    assert parameter.opts[-1] in page, (path, parameter.opts)


def test_every_link_in_the_documents_leads_somewhere():
    assert check_links.faults() == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[x](missing.md)", "does not exist"),
        ("[x](other.md#nowhere)", "has no such heading"),
        ("[x](#nowhere)", "has no such heading"),
        ("[x](../../etc/passwd)", "leads out of the repository"),
        ("[x](http://example.org)", "is not https"),
        ("[x](https://localhost)", "is not a whole address"),
        ("<http://example.org/a>", "is not https"),
        ("[x](docs/reference/settings.md)", "is made by `make docs`, not part of the repository"),
    ],
)
def test_a_link_that_leads_nowhere_is_found(tmp_path, text, fault):
    (tmp_path / "other.md").write_text("# Title\n\n## A heading, with *signs*\n")
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n\n{text}\n")
    assert [line.split(" ", 2)[2] for line in check_links.faults_of(page, tmp_path)] == [fault]


def test_links_to_headings_and_links_in_code_are_no_faults(tmp_path):
    (tmp_path / "other.md").write_text("# Title\n\n## A heading, with *signs*\n")
    page = tmp_path / "page.md"
    page.write_text("[a](other.md#a-heading-with-signs)\n`[b](no.md)`\n\n```\n[c](no.md)\n```\n")
    assert list(check_links.faults_of(page, tmp_path)) == []


def test_every_variable_that_a_page_names_is_one_that_koinon_knows():
    named = {
        name: page.name
        for page in PAGES
        for name in re.findall(r"\bKOINON_[A-Z_]+", page.read_text(encoding="utf-8"))
    }
    assert named
    assert unknown_variables(named) == []


def test_every_setting_is_in_the_reference_with_its_meaning():
    page = write_settings_page.pages()[write_settings_page.PATH]
    for name in PARSERS:
        assert f"| `{variable(name)}` | `{name}` |" in page
        assert write_settings_page.meanings()[name]


def test_every_make_target_that_a_page_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"`make ([a-z-]+)[ `]|^make ([a-z-]+)", page.read_text(), re.MULTILINE):
            assert "".join(target) in targets, (page.name, target)


def test_every_source_that_a_page_names_exists():
    missing = [
        (page.name, name)
        for page in PAGES
        for name in re.findall(
            r"`((?:src|tests|tools|docs|LICENSES)/[\w./-]+)`", page.read_text(encoding="utf-8")
        )
        if not (ROOT / name).exists()
    ]
    assert missing == []


def test_python_in_the_documents_is_python():
    for page in PAGES:
        for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
            if block[3] == "python":
                ast.parse(re.sub(rf"^{block[1]}", "", block[4], flags=re.MULTILINE))


def test_every_contract_has_a_page_with_all_its_functions_events_and_errors():
    made = write_contract_pages.pages()
    for name in artifacts.names():
        page = made[f"{write_contract_pages.FOLDER}/{name}.md"]
        for entry in artifacts.load(name).abi:
            if entry["type"] in {"function", "event", "error"}:
                assert entry["name"] in page, (name, entry["name"])
    till = made[f"{write_contract_pages.FOLDER}/Till.md"]
    assert "| `share` | Its share in 1e-9. |" in till
    assert "| sum is not the whole | `_root_of` |" in till
    assert re.search(r"Gas: .*\(to the owner\)", till)


def test_natspec_is_read_by_its_tags():
    notes = natspec.parse(
        """
        @notice Pays
                somebody.
        @param payee Who.
        @return The amount.
        @custom:source ERC-20
        """
    )
    assert notes == natspec.Notes(
        "Pays somebody.", "", {"payee": "Who."}, "The amount.", {"source": "ERC-20"}
    )


def test_notes_on_errors_are_about_errors_that_exist():
    known = {each.code for each in write_error_list.raised()}
    known |= {kind.__name__ for kind, _depth in write_error_list.tree(errors.KoinonError)}
    written = {
        title: path.name
        for path in write_error_list.NOTES.glob("*.md")
        for title in write_error_list.notes(path.stem)
        if title
    }
    assert {title: name for title, name in written.items() if title not in known} == {}


def test_every_class_of_errors_says_what_to_do():
    told = write_error_list.notes("classes")
    assert [
        kind for kind, _depth in write_error_list.tree(errors.KoinonError) if not told.get(kind.__name__)
    ] == []


def test_every_front_door_is_in_the_python_reference():
    made = "\n".join(write_python_pages.pages().values())
    for path in sorted((ROOT / "src" / "koinon").glob("*/api.py")):
        assert f".. automodule:: koinon.{path.parent.name}.api\n" in made
    for module in re.findall(r"automodule:: ([\w.]+)", made):
        file = Path(ROOT, "src", *module.split("."))
        assert file.with_suffix(".py").is_file() or (file / "__init__.py").is_file(), module


def test_words_from_sources_are_escaped_and_code_in_them_is_not():
    assert plain("see `a_b` in <c> | *d*") == "see `a_b` in \\<c\\> \\| \\*d\\*"
    assert table(["a"], [("x|y",)]) == "| a |\n|---|\n| x\\|y |\n"
    assert table(["a"], []) == ""


def test_both_readmes_show_the_same_commands():
    def of(name: str) -> list[str]:
        return sorted({each.text for each in shown([ROOT / name])})

    assert of("README.md") == of("README.zh-Hant.md")


def test_the_first_tutorial_shows_the_same_commands_in_both_languages():
    english = [each.text for each in shown([ROOT / "docs/tutorial/first-quarter-hour.md"])]
    chinese = [each.text for each in shown([ROOT / "docs/zh-Hant/first-quarter-hour.md"])]
    assert english == chinese
