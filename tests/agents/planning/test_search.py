# SPDX-License-Identifier: Apache-2.0
"""Plans from what services take and give, by name and type."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.agents.planning import Capability, Fulfiller, Goal, cheapest, read_capability, search
from koinon.agents.planning.fulfilment import MOST_SEARCHES, Unfulfilled
from koinon.agents.planning.matching import CLOSE, SAME, name_match, type_fits
from koinon.errors import BadInput, PeerError

NUMBER, TEXT, WHOLE = {"type": "number"}, {"type": "string"}, {"type": "integer"}
numbers = itertools.count(1)


def service(takes, gives, price=10, quality=0.5, needs=None, name="service"):
    return Capability(
        next(numbers),
        "http://x/1",
        name,
        "",
        price,
        quality,
        takes,
        frozenset(takes if needs is None else needs),
        gives,
    )


def found_plan(*arguments, **options):
    plan = cheapest(*arguments, **options)
    assert plan is not None
    return plan


def ways(plan):
    return None if plan is None else [call.capability.work_id for call in plan.calls]


@pytest.mark.parametrize(
    ("one", "other", "match"),
    [
        ("income", "income", SAME),
        ("monthlyIncome", "monthly_income", SAME),
        ("Income (monthly)", "monthly income", SAME),
        ("the score", "score", SAME),
        ("credit_score", "score", CLOSE),
        ("HTTPStatus", "http status", SAME),
        ("月收入", "月收入", SAME),
        ("income", "outcome", 0),
        ("value", "result", 0),
        ("", "x", 0),
    ],
)
def test_names_match_by_their_words(one, other, match):
    assert name_match(one, other) == name_match(other, one) == match


def test_types_fit_where_every_value_of_one_may_be_one_of_the_other():
    assert type_fits(WHOLE, NUMBER)
    assert not type_fits(NUMBER, WHOLE)
    assert type_fits({}, TEXT)
    assert type_fits(TEXT, {"anyOf": [{"type": "null"}, TEXT]})
    assert not type_fits(TEXT, {"type": ["number", "null"]})


def test_a_chain_of_services_is_found_and_the_cheapest_of_two():
    translate = service({"text": TEXT}, {"english": TEXT}, price=5)
    dear = service({"english": TEXT}, {"mood": NUMBER}, price=50)
    cheap = service({"english": TEXT}, {"mood": NUMBER}, price=20)
    plan = found_plan(Goal({"text": "蘋果"}, {"mood": NUMBER}), [dear, cheap, translate])
    assert ways(plan) == [translate.work_id, cheap.work_id]
    assert plan.price == 25


def test_a_service_that_often_fails_is_dearer_than_its_price():
    bad = service({"text": TEXT}, {"mood": NUMBER}, price=10, quality=0.1)
    good = service({"text": TEXT}, {"mood": NUMBER}, price=40, quality=0.9)
    assert ways(cheapest(Goal({"text": "x"}, {"mood": {}}), [bad, good])) == [good.work_id]


def test_nothing_is_bought_for_what_is_known_already():
    plan = found_plan(Goal({"mood": 3}, {"mood": NUMBER}), [service({}, {"mood": NUMBER})])
    assert (plan.calls, plan.answers) == ((), {"mood": "mood"})


def test_what_is_known_does_not_answer_for_a_name_that_is_only_close():
    yearly = service({"income": NUMBER}, {"yearly_income": NUMBER})
    plan = cheapest(Goal({"income": 3.0}, {"yearly income": NUMBER}), [yearly])
    assert ways(plan) == [yearly.work_id]


def test_inputs_that_are_not_needed_are_given_where_they_are_known():
    found = service({"text": TEXT, "language": TEXT}, {"mood": NUMBER}, needs={"text"})
    plan = found_plan(Goal({"text": "x", "language": "en"}, {"mood": {}}), [found])
    assert plan.calls[0].inputs == {"text": "text", "language": "language"}
    assert found_plan(Goal({"text": "x"}, {"mood": {}}), [found]).calls[0].inputs == {"text": "text"}


def test_there_is_no_plan_without_a_way_or_beyond_the_budget():
    found = service({"text": TEXT}, {"mood": NUMBER}, price=30)
    assert cheapest(Goal({"text": 5}, {"mood": {}}), [found]) is None
    assert cheapest(Goal({"text": "x"}, {"mood": {}}), [found], budget=29) is None
    assert cheapest(Goal({"text": "x"}, {"mood": TEXT}), [found]) is None


def test_a_ring_of_services_that_need_each_other_ends():
    ring = [service({f"f{i}": NUMBER}, {f"f{(i + 1) % 5}": NUMBER}) for i in range(5)]
    assert cheapest(Goal({"x": 1}, {"f0": {}}), ring) is None


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_plan_is_dearer_than_the_best_of_all_orders(data):
    names = ["a", "b", "c", "d"]
    made = []
    for _ in range(data.draw(st.integers(1, 5))):
        takes = data.draw(st.sets(st.sampled_from(names), max_size=2))
        gives = data.draw(st.sets(st.sampled_from(names), min_size=1, max_size=2))
        price = data.draw(st.integers(0, 9))
        made.append(
            service(dict.fromkeys(takes, NUMBER), dict.fromkeys(gives, NUMBER), price=price, quality=1.0)
        )
    plan = cheapest(Goal({"a": 1.0}, {"d": NUMBER}), made)
    best = None
    for length in range(len(made) + 1):
        for order in itertools.permutations(made, length):
            known = {"a"}
            for each in order:
                if not each.needs <= known:
                    break
                known |= each.gives.keys()
            else:
                if "d" in known:
                    cost = sum(each.price for each in order)
                    best = cost if best is None else min(best, cost)
    assert (None if plan is None else plan.price) == best


def description(**changes):
    found = {
        "name": "score",
        "description": "Scores.",
        "price": {"amount": "1000"},
        "schema": {
            "input": {
                "type": "object",
                "properties": {"income": NUMBER, "who": {"$ref": "#/$defs/Who"}},
                "required": ["income"],
                "$defs": {"Who": {"type": "object", "properties": {"name": TEXT}}},
            },
            "output": NUMBER,
        },
    }
    return found | changes


def test_a_gateway_s_description_is_read():
    found = read_capability(7, "http://x/services/7", description())
    assert (found.price, found.needs, found.gives) == (1000, frozenset({"income"}), {"score": NUMBER})
    assert found.takes["who"]["type"] == "object"
    assert found.facts(3.5) == {"score": 3.5}


def test_the_fields_of_an_object_are_facts_and_no_others():
    output = {"type": "object", "properties": {"mood": NUMBER, "language": TEXT}}
    found = read_capability(7, "x", description(schema={"input": {"type": "object"}, "output": output}))
    assert found.gives == {"mood": NUMBER, "language": TEXT}
    assert found.facts({"mood": 1, "limit": 10**9}) == {"mood": 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"price": {"amount": "-1"}},
        {"price": {}},
        {"schema": 5},
        {"schema": {"input": {"properties": {str(n): NUMBER for n in range(65)}}}},
    ],
)
def test_descriptions_that_are_none_are_refused(changes):
    with pytest.raises(PeerError, match="describes no service"):
        read_capability(7, "x", description(**changes))
    with pytest.raises(PeerError, match="describes no service"):
        read_capability(7, "x", [])


def test_a_price_by_the_unit_is_planned_with_at_its_most():
    by_the_token = {"amount": "10", "unit": "token", "most_units": 4_000}
    assert read_capability(7, "x", description(price=by_the_token)).price == 40_000
    for most in (0, -1, True, "5", 10**10, None):
        with pytest.raises(PeerError):
            read_capability(7, "x", description(price=by_the_token | {"most_units": most}))


def test_services_that_want_everything_do_not_make_a_search_endless(monkeypatch):
    monkeypatch.setattr(search, "MOST_COMPARISONS", 300_000)
    hungry = [
        service({f"a{n} {m}": TEXT for m in range(64)}, {f"b{n} {m}": TEXT for m in range(64)}, needs=())
        for n in range(64)
    ]
    goal = Goal({f"a{n} 0": "x" for n in range(60)}, {"score": NUMBER})
    assert cheapest(goal, hungry) is None


def test_a_service_that_needs_a_thousand_things_is_not_searched_for_a_thousand_times():
    asked = []

    def find(words):
        asked.append(words)
        return [service({f"{words} {n}": TEXT for n in range(64)}, {"x": TEXT}) for _ in range(12)]

    with pytest.raises(Unfulfilled):
        Fulfiller(find, lambda *_: pytest.fail("nothing is bought")).fulfil(Goal({}, {"score": NUMBER}))
    assert len(asked) <= MOST_SEARCHES


def test_references_that_lead_nowhere_or_in_circles_do_no_harm():
    circle = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"$ref": "#/$defs/none"}, "c": {"$ref": "http://x"}},
        "$defs": {"A": {"$ref": "#/$defs/A"}},
    }
    assert read_capability(7, "x", description(schema={"input": circle})).takes["a"] == {}


def test_goals_that_want_nothing_or_too_much_are_refused():
    many: dict[str, dict] = {str(number): {} for number in range(65)}
    for wanted in ({}, many):
        with pytest.raises(BadInput):
            Goal({}, wanted)
