# SPDX-License-Identifier: Apache-2.0
import types

import pytest

from benchmarks import graph
from benchmarks.__main__ import FIELDS, figures, modules

GOOD = {"ours": 2.0, "peer": 1.0, "ratio": 2.0, "unit": "1/s", "target": 1.5, "ok": True}


def module(name, run, **attributes):
    made = types.ModuleType(f"benchmarks.{name}")
    vars(made).update(run=run, **attributes)
    return made


def two():
    yield {"name": "vouchers.calls_per_s_core", **GOOD}
    yield {"name": "vouchers.vs_exact", **GOOD}


def failing():
    yield {"name": "round.first", **GOOD}
    raise ConnectionError("node gone")


def shapes():
    yield {"name": "gas.release", "ours": 1}


FOUND = [module("round", failing), module("vouchers", two), module("training", two, NAMES=("vouchers",))]


@pytest.mark.parametrize(
    ("names", "printed"),
    [
        (["vouchers"], ["vouchers.calls_per_s_core", "vouchers.vs_exact"] * 2),
        (["vouchers.calls"], ["vouchers.calls_per_s_core"] * 2),
        (["v"], ["vouchers.calls_per_s_core", "vouchers.vs_exact"] * 2),
        (["nothing"], []),
    ],
)
def test_figures_are_chosen_by_how_their_names_begin(names, printed):
    assert [figure["name"] for figure in figures(FOUND, names)] == printed


def test_a_benchmark_that_fails_says_so_and_stops_no_other():
    printed = list(figures(FOUND[:2], []))
    assert [figure["name"] for figure in printed] == [
        "round.first",
        "round",
        "vouchers.calls_per_s_core",
        "vouchers.vs_exact",
    ]
    assert printed[1] == {"name": "round", "ok": False, "error": "ConnectionError: node gone"}
    assert all(tuple(figure) == FIELDS for figure in printed if "error" not in figure)


def test_a_graph_figure_without_a_peer_is_not_said_to_reach_its_target():
    assert graph.figure("vs_snapml", 5.0, "edges/s", target=10)["ok"] is None
    assert graph.figure("vs_snapml", 50.0, "edges/s", peer=1.0, target=10)["ok"] is True
    assert graph.figure("edges_per_s", 5.0, "edges/s", target=10, of_ratio=False)["ok"] is False


def test_a_figure_without_its_fields_is_a_failure():
    (figure,) = figures([module("gas", shapes)], [])
    assert "does not have exactly" in figure["error"]


def test_every_module_of_the_package_can_be_imported():
    assert all(callable(found.run) for found in modules())
