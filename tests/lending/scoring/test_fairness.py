# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from koinon.errors import BadInput
from koinon.lending.datasets.reading import available, load
from koinon.lending.datasets.sources import SOURCES
from koinon.lending.fairness import approve_safest, audit, wallet_groups
from koinon.lending.scoring.mitigation import find_proxies, reweighed, tradeoff
from koinon.lending.scoring.points import Plan
from tests.lending.scoring.made_up import made_up


def counted(*, first=0.9, second=0.6):
    groups = np.repeat(["a", "b"], 500)
    approved = np.concatenate([np.arange(500) < 500 * first, np.arange(500) < 500 * second])
    return groups, np.tile([0, 0, 0, 1], 250), approved


def test_four_fifths_missed_is_red_and_kept_is_green():
    groups, labels, approved = counted()
    seen = audit("place", groups, labels, approved)
    assert seen.ratio.value == pytest.approx(0.6 / 0.9)
    assert seen.ratio.low < seen.ratio.value < seen.ratio.high
    assert seen.status == "red"
    assert audit("place", *counted(second=0.89)).status == "green"
    assert audit("place", *counted(second=0.73)).status == "amber"
    assert seen.to_dict()["status"] == "red"


def test_mistakes_are_counted_by_group_with_intervals():
    groups, labels, approved = counted()
    a, b = audit("place", groups, labels, approved).groups
    paying = (groups == "b") & (labels == 0)
    assert b.wrongly_refused is not None
    assert b.wrongly_refused.value == pytest.approx(1 - approved[paying].mean())
    assert b.wrongly_refused.low < b.wrongly_refused.value < b.wrongly_refused.high
    assert (a.rows, a.bad, a.approved.value) == (500, 125, 0.9)


def test_small_groups_are_not_shown_and_one_group_cannot_be_compared():
    groups, labels, approved = counted()
    groups = groups.astype("<U5")
    groups[:5], groups[5:8] = "tiny", ""
    seen = audit("place", groups, labels, approved)
    assert [group.name for group in seen.groups] == ["a", "b"]
    assert seen.suppressed == 8
    with pytest.raises(BadInput, match="nothing to compare"):
        audit("place", np.repeat("a", 1000), labels, approved)


def test_approvals_are_of_the_safest():
    assert approve_safest(np.array([0.3, 0.1, 0.2, 0.4]), 0.5).tolist() == [False, True, True, False]
    with pytest.raises(BadInput):
        approve_safest(np.array([0.1]), 0.0)


def test_wallets_are_compared_by_age_size_and_origin():
    found = wallet_groups(
        np.array([5.0, 40.0, 900.0, np.nan]),
        np.array([1.0, 50.0, 1000.0, np.nan]),
        np.array(["bridge", "exchange", "exchange", ""]),
    )
    assert found["wallet age"].tolist() == ["under 30 days", "30 to 179 days", "2 years and more", ""]
    assert found["wallet size"].tolist() == ["smallest third", "middle third", "largest third", ""]
    assert found["origin of funds"].tolist()[0] == "bridge"


def test_weights_make_group_and_label_independent():
    frame = made_up(2000, groups=True)
    heavy = reweighed(frame, frame.groups["group"])
    assert heavy.weights is not None
    rates = [
        np.average(heavy.labels[rows], weights=heavy.weights[rows])
        for rows in (frame.groups["group"] == name for name in ("minority", "majority"))
    ]
    assert rates[0] == pytest.approx(rates[1])
    assert heavy.weights.sum() == pytest.approx(2000)


def test_a_column_that_tells_the_group_is_found():
    frame = made_up(2000, groups=True)
    proxies, together = find_proxies(frame, frame.groups["group"])
    assert proxies[0].column == "postcode"
    assert proxies[0].strong
    assert not any(proxy.strong for proxy in proxies[1:])
    assert together.value > 0.7
    with pytest.raises(BadInput, match="only one group"):
        find_proxies(frame, np.repeat("all", 2000))


def test_mortgages_in_boston_are_red_and_training_can_mend_that_at_a_price():
    if not available(SOURCES["hmda"]):
        pytest.skip("make setup-dev fetches it")
    found = tradeoff(load("hmda"), "afam", Plan(binner="tree"))
    plain, *fairer = found.variants
    assert plain.audit.status == "red"
    assert plain.audit.ratio.value < 0.8
    assert plain.audit.odds_gap > 0.1
    groups = {group.name: group for group in plain.audit.groups}
    black, white = groups["yes"].wrongly_refused, groups["no"].wrongly_refused
    assert black is not None
    assert white is not None
    assert black.value > white.value
    by_name = {variant.name: variant for variant in fairer}
    assert by_name["exponentiated gradient"].audit.ratio.value > plain.audit.ratio.value
    assert by_name["no covariance"].audit.ratio.value > 0.8
    assert by_name["no covariance"].auc.value < plain.auc.value
    assert "afam" not in found.scorecards["no covariance"].columns
    assert found.to_dict()["variants"][0]["audit"]["status"] == "red"
    with pytest.raises(BadInput, match="no group 'sex'"):
        tradeoff(load("hmda"), "sex", Plan())
