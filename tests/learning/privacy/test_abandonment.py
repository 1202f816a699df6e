# SPDX-License-Identifier: Apache-2.0
"""The same vectors go into a second sum only when the first one can never be opened."""

import pytest

from koinon.errors import BadInput, IntegrityError, PeerError
from koinon.learning.privacy.secagg import Phase, enough_to_abandon
from koinon.learning.privacy.secagg.messages import pack, unpack
from tests.learning.privacy.secagg_support import Sum, some_values

OWNERS, THRESHOLD, NEEDED = 6, 5, 3


def at(phase, owners=OWNERS, seed=0):
    """A sum just before this phase's messages."""
    found = Sum(some_values(owners), seed=seed)
    while found.collector.phase < phase:
        found.phase()
    return found


def sends(found, index):
    phase = found.collector.phase
    answer = b"" if phase == Phase.KEYS else found.collector.answer(index)
    return found.says(index, phase, answer)


def failed(phase=Phase.MASKED, stay=range(4)):
    """A sum that too few were left in, and what the collector has to give it up."""
    found = at(phase)
    for index in stay:
        found.collector.receive(index, sends(found, index))
    with pytest.raises(PeerError):
        found.collector.close()
    return found, found.collector.abandonment()


def signatures(found, indices):
    return pack({index: found.people[index].abandon() for index in indices})


@pytest.mark.parametrize("phase", [Phase.SHARES, Phase.MASKED, Phase.AGREEMENT])
def test_those_who_stay_give_a_failed_sum_up(phase):
    found, given_up = failed(phase)
    assert given_up.expected == set(range(4))
    for index in range(4):
        given_up.receive(index, found.people[index].abandon())
    told = given_up.signatures()
    assert set(unpack(told)) == given_up.received == set(range(4))
    for index in range(4):
        found.people[index].check_abandoned(told)


def test_who_gave_a_sum_up_reveals_nothing_of_it():
    found = at(Phase.REVEAL)
    found.people[0].abandon()
    with pytest.raises(BadInput) as refused:
        found.people[0].reveal(found.collector.answer(0))
    assert refused.value.code == "learning.secagg_order"


def test_a_sum_whose_shares_were_revealed_is_not_given_up():
    found = at(Phase.REVEAL)
    sends(found, 0)
    with pytest.raises(BadInput):
        found.people[0].abandon()
    with pytest.raises(IntegrityError) as twice:
        found.people[0].check_abandoned(signatures(found, range(1, OWNERS)))
    assert twice.value.code == "learning.secagg_order"


def test_nobody_is_asked_to_give_up_a_sum_that_shares_were_revealed_of():
    assert failed(Phase.REVEAL)[1] is None


def test_a_vector_sent_is_not_sent_again_while_the_rest_could_open_the_sum():
    """The collector says that the sum has failed, and has the others open it."""
    found = at(Phase.AGREEMENT)
    with pytest.raises(PeerError) as few:
        found.people[0].check_abandoned(signatures(found, range(NEEDED - 1)))
    assert few.value.code == "learning.secagg_threshold"
    with pytest.raises(PeerError):
        found.people[1].check_abandoned(pack({}))


def test_enough_signatures_leave_too_few_to_open_the_sum_even_if_as_many_lie_as_may():
    for participants in range(3, 256):
        for threshold in range(participants // 2 + 1, participants + 1):
            liars, signed = participants - threshold, enough_to_abandon(participants, threshold)
            assert signed <= participants
            assert participants - (signed - liars) < threshold


def test_who_sent_no_vector_asks_for_no_signatures():
    found = at(Phase.SHARES)
    found.people[0].check_abandoned(pack({}))
    sends(found, 0)
    found.people[0].check_abandoned(pack({}))


def test_a_sum_that_has_no_roster_yet_is_not_given_up():
    found = at(Phase.KEYS)
    with pytest.raises(BadInput):
        found.people[0].abandon()
    sends(found, 0)
    with pytest.raises(BadInput):
        found.people[0].abandon()


@pytest.mark.parametrize("forge", ["another sum", "another participant", "a stranger", "noise"])
def test_a_signature_that_gives_nothing_up_does_not_count(forge):
    found, given_up = failed()
    signed = {index: found.people[index].abandon() for index in range(3)}
    match forge:
        case "another sum":
            other = at(Phase.MASKED, seed=1)
            signed[2] = other.people[2].abandon()
        case "another participant":
            signed[2] = signed[1]
        case "a stranger":
            signed[9] = signed.pop(2)
        case _:
            signed[2] = bytes(500)
    with pytest.raises(IntegrityError) as forged:
        found.people[3].check_abandoned(pack(signed))
    assert forged.value.code == "learning.secagg_signature"
    index = max(signed)
    with pytest.raises((IntegrityError, BadInput)):
        given_up.receive(index, signed[index])


def test_too_few_who_give_it_up_end_it():
    found, given_up = failed()
    for index in range(NEEDED - 1):
        given_up.receive(index, found.people[index].abandon())
    with pytest.raises(PeerError) as few:
        given_up.signatures()
    assert few.value.code == "learning.secagg_threshold"


def test_where_too_few_are_left_nobody_is_asked():
    assert failed(stay=range(2))[1] is None
    found = Sum(some_values(4))
    found.phase()
    found.phase()
    for index in range(2):
        found.collector.receive(index, sends(found, index))
    with pytest.raises(PeerError):
        found.collector.close()
    assert found.collector.abandonment() is None
