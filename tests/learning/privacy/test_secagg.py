# SPDX-License-Identifier: Apache-2.0
"""Secret sums: exact whoever drops out, refused by name when somebody lies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.errors import BadInput, IntegrityError, PeerError
from koinon.learning.privacy.secagg import Collector, Participant, Phase, unmasked_sum
from koinon.learning.privacy.secagg.masks import decode_words, pair_mask, self_mask, shared_secret
from koinon.learning.privacy.secagg.messages import pack, unpack
from koinon.learning.privacy.secagg.unmasking import Unmasking
from koinon.learning.privacy.threshold import threshold_for
from koinon.shamir import Share, combine
from tests.learning.privacy.secagg_support import CONTEXT, SIZE, Named, Sum, some_values


def expected_sum(values, leaves):
    """Everybody who sent a masked vector counts, whatever happens to them afterwards."""
    return sum(value for index, value in enumerate(values) if leaves.get(index, Phase.DONE) > Phase.MASKED)


@settings(deadline=None, max_examples=15)
@given(st.integers(3, 8), st.data())
def test_the_sum_is_exact_whoever_leaves_in_whichever_phase(count, data):
    leaves = data.draw(st.dictionaries(st.integers(0, count - 1), st.sampled_from(list(Phase)), max_size=3))
    values = some_values(count)
    began = sum(leaves.get(index, Phase.DONE) > Phase.KEYS for index in range(count))
    stayed = sum(leaves.get(index, Phase.DONE) > Phase.REVEAL for index in range(count))
    if began < 3 or stayed < threshold_for(began):
        with pytest.raises(PeerError) as ended:
            Sum(values, leaves=leaves).run()
        assert ended.value.code == "learning.secagg_threshold"
    else:
        assert (Sum(values, leaves=leaves).run() == expected_sum(values, leaves)).all()


@pytest.mark.parametrize("phase", list(Phase)[:5])
def test_two_of_seven_may_leave_in_any_one_phase(phase):
    values, leaves = some_values(7), {2: phase, 5: phase}
    assert (Sum(values, leaves=leaves).run() == expected_sum(values, leaves)).all()


def test_anybody_with_the_masked_vectors_and_what_was_revealed_gets_the_same_sum():
    values = some_values(5)
    one = Sum(values, leaves={3: Phase.MASKED})
    total, collector = one.run(), one.collector
    kept = Unmasking.decode(collector.unmasking.encode())
    assert (unmasked_sum(collector.masked, kept, CONTEXT, SIZE) == total).all()
    other = dict(collector.masked) | {1: collector.masked[2]}
    assert (unmasked_sum(other, kept, CONTEXT, SIZE) != total).any()


def test_a_message_sent_again_changes_nothing_and_another_one_is_refused():
    one = Sum(some_values(3))
    one.phase()
    again = one.sent[Phase.KEYS, 0]
    one.collector.receive(0, message := one.says(0, Phase.SHARES, one.collector.answer(0)))
    one.collector.receive(0, message)
    with pytest.raises(BadInput) as refused:
        one.collector.receive(0, again)
    assert refused.value.code == "learning.secagg_order"


# ------------------------------------------------------------ messages that lie


def changed(message, place=-1):
    return message[:place] + bytes((message[place] ^ 1,)) + message[place:][1:]


def only(phase, index, change):
    """Changes one participant's message of one phase."""
    return lambda at, who, message: change(message) if (at, who) == (phase, index) else message


@pytest.mark.parametrize("phase", [Phase.KEYS, Phase.AGREEMENT])
def test_a_wrong_signature_is_refused_with_its_owner(phase):
    with pytest.raises(IntegrityError, match="participant 1") as refused:
        Sum(some_values(4), deliver=only(phase, 1, changed)).run()
    assert refused.value.code == "learning.secagg_signature"


@pytest.mark.parametrize("phase", [Phase.SHARES, Phase.MASKED, Phase.REVEAL])
def test_a_torn_message_is_refused(phase):
    with pytest.raises(BadInput) as refused:
        Sum(some_values(4), deliver=only(phase, 1, lambda message: message[:-1])).run()
    assert refused.value.code == "learning.secagg_message"


def test_whoever_reveals_a_wrong_share_is_named_and_the_sum_goes_on():
    values = some_values(7)
    one = Sum(values, deliver=only(Phase.REVEAL, 4, changed))
    assert (one.run() == sum(values)).all()
    assert list(one.collector.faults) == [4]


def test_too_many_wrong_shares_end_the_sum_and_name_the_liars():
    def lie(phase, index, message):
        return changed(message) if phase == Phase.REVEAL and index in (1, 2, 5) else message

    with pytest.raises(PeerError) as ended:
        Sum(some_values(7), deliver=lie).run()
    assert ended.value.code == "learning.secagg_share"
    assert all(f"{index}: its share" in ended.value.hint for index in (1, 2, 5))


def test_revealing_the_other_kind_of_share_is_refused():
    def other_kind(message):
        entries = unpack(message)
        return pack(entries | {0: b"\x02" + entries[0][1:]})

    with pytest.raises(BadInput) as refused:
        Sum(some_values(4), deliver=only(Phase.REVEAL, 3, other_kind)).run()
    assert refused.value.code == "learning.secagg_message"


def test_an_altered_sealed_share_is_noticed_by_who_gets_it_before_anything_is_sent():
    def alter(message):
        entries = unpack(message)
        return pack(entries | {1: changed(entries[1])})

    with pytest.raises(IntegrityError, match="Participant 2 dealt") as refused:
        Sum(some_values(4), deliver=only(Phase.SHARES, 2, alter)).run()
    assert refused.value.code == "learning.secagg_share"


def test_a_dealer_of_another_secret_is_named():
    one = Sum(some_values(4))
    one.phase()
    one.people[2]._seed = bytes(32)  # deals another seed than it committed to
    with pytest.raises(PeerError, match="Participant 2 dealt shares of another secret") as ended:
        one.run()
    assert ended.value.code == "learning.secagg_share"


def test_shares_for_others_than_the_roster_are_refused():
    to_stranger = only(Phase.SHARES, 0, lambda message: pack(unpack(message) | {9: unpack(message)[1]}))
    with pytest.raises(BadInput) as refused:
        Sum(some_values(4), deliver=to_stranger).run()
    assert refused.value.code == "learning.secagg_message"


# ------------------------------------------------------------ a collector that lies


def test_a_key_put_in_the_roster_for_another_is_noticed():
    """The collector's own keys under owner 2's name, which it cannot sign for."""
    theirs = Participant(2, CONTEXT, Named(b"owner 9")).advertise()
    forged = bytes((7,)) + b"owner 2" + theirs[8:]
    tell = only(Phase.SHARES, 0, lambda answer: pack(unpack(answer) | {2: forged}))
    one = Sum(some_values(4), tell=tell)
    with pytest.raises(IntegrityError, match="participant 2") as refused:
        one.run()
    assert refused.value.code == "learning.secagg_signature"


def test_a_participant_put_in_twice_is_noticed():
    def double(phase, _index, answer):
        entries = unpack(answer) if phase == Phase.SHARES else {}
        return pack(entries | {4: entries[1]}) if entries else answer

    with pytest.raises(IntegrityError) as refused:
        Sum(some_values(4), tell=double).run()
    assert refused.value.code == "learning.secagg_key"


def test_ones_own_key_must_be_in_the_roster():
    tell = only(Phase.SHARES, 0, lambda answer: pack(unpack(answer) | {0: unpack(answer)[1]}))
    with pytest.raises(IntegrityError) as refused:
        Sum(some_values(4), tell=tell).run()
    assert refused.value.code == "learning.secagg_key"


def test_showing_different_survivors_to_different_people_reveals_nothing():
    """The attack: ask some for owner 3's seed and others for its key, and have its vector."""

    def split_view(phase, index, answer):
        if phase == Phase.AGREEMENT and index in (0, 1, 2):
            return pack({who: b"" for who in unpack(answer) if who != 3})
        return answer

    one = Sum(some_values(5), tell=split_view)
    one.collector._check = lambda *_: True  # a collector that hides that the lists differ
    with pytest.raises(IntegrityError) as refused:
        one.run()
    assert refused.value.code == "learning.secagg_signature"
    assert not [index for phase, index in one.sent if phase == Phase.REVEAL]


def test_asking_anything_twice_is_refused():
    one = Sum(some_values(3))
    for _ in range(4):
        one.phase()
    person, told = one.people[0], one.collector.answer(0)
    person.reveal(told)
    for ask in (person.reveal, person.agree, person.share):
        with pytest.raises(BadInput) as refused:
            ask(told)
        assert refused.value.code == "learning.secagg_order"


@pytest.mark.parametrize("named", [{0, 1}, {0, 1, 2, 3, 9}, {1, 2, 3}])
def test_survivors_that_cannot_be_are_refused(named):
    def tell(phase, index, answer):
        lied = phase == Phase.AGREEMENT and index == 0
        return pack(dict.fromkeys(named, b"")) if lied else answer

    with pytest.raises((IntegrityError, PeerError)) as refused:
        Sum(some_values(4), tell=tell).run()
    assert refused.value.code in {"learning.secagg_survivors", "learning.secagg_threshold"}


def test_a_key_that_makes_the_shared_secret_known_is_refused():
    with pytest.raises(IntegrityError) as refused:
        shared_secret(bytes(range(32)), bytes(32), b"test")
    assert refused.value.code == "learning.secagg_key"


# ------------------------------------------------------------ what colluders learn


def looks_random(words):
    counts = np.bincount(words >> 24, minlength=256)
    expected = len(words) / 256
    return ((counts - expected) ** 2 / expected).sum() < 256 + 6 * np.sqrt(2 * 256)


def test_two_colluding_owners_and_the_leader_learn_no_thirds_vector():
    """They take off every mask they can compute; what is left of each other vector is as good as noise."""
    size, colluders, honest = 20_000, (0, 1), (2, 3, 4, 5, 6)
    values = [np.full(size, 1_000 * index) for index in range(7)]
    one = Sum(values)
    total = one.run()
    left = []
    for victim in honest:
        words = decode_words(one.collector.masked[victim], size).copy()
        words -= self_mask(one.collector.unmasking.seeds[victim], CONTEXT, size)
        for colluder in colluders:  # the lower index added the words, so the victim took them away
            private, public = one.people[colluder]._mask_private, one.collector.unmasking.mask_keys[victim]
            words += pair_mask(private, public, CONTEXT, (colluder, victim), size)
        assert looks_random(words)
        left.append(words)
    assert (np.sum(left, axis=0, dtype=np.uint32) == sum(1_000 * index for index in honest)).all()
    assert not looks_random(np.full(size, 3_000, dtype=np.uint32))
    assert (total == 1_000 * 21).all()


def test_a_vector_that_came_too_late_stays_secret_although_its_owners_key_was_revealed():
    size, late = 20_000, 6
    one = Sum([np.full(size, 7)] * 7, leaves={late: Phase.MASKED})
    one.run()
    unmasking = one.collector.unmasking
    assert list(unmasking.keys) == [late]
    assert late not in unmasking.seeds
    fresh = Sum([np.full(size, 7)] * 7)  # the same entropy, so the same vector, held back until too late
    fresh.run()
    words = decode_words(fresh.collector.masked[late], size).copy()
    for other in range(6):  # the higher index took the words away
        words += pair_mask(unmasking.keys[late], unmasking.mask_keys[other], CONTEXT, (other, late), size)
    assert looks_random(words)


def test_shares_of_a_coalition_below_the_threshold_give_other_secrets():
    one = Sum(some_values(7))
    one.run()
    victim, coalition = 6, (0, 1, 2, 3)
    assert one.people[0].threshold == 5
    shares = [Share(holder + 1, one.people[holder]._held[victim][0]) for holder in coalition]
    assert combine(shares, len(shares)) != one.people[victim]._mask_private
    shares.append(Share(5, one.people[4]._held[victim][0]))
    assert combine(shares, 5) == one.people[victim]._mask_private


# ------------------------------------------------------------ numbers


@pytest.mark.parametrize(
    ("participants", "wanted", "threshold"), [(3, 0, 3), (4, 0, 3), (5, 0, 4), (20, 0, 14), (5, 3, 3)]
)
def test_the_threshold_is_more_than_two_thirds_unless_less_is_wanted(participants, wanted, threshold):
    assert threshold_for(participants, wanted) == threshold


@pytest.mark.parametrize(("participants", "wanted"), [(2, 0), (256, 0), (4, 2), (4, 5), (6, -1)])
def test_a_threshold_of_half_or_more_than_all_is_refused(participants, wanted):
    with pytest.raises(BadInput) as refused:
        threshold_for(participants, wanted)
    assert refused.value.code == "learning.secagg_threshold"


def test_values_beyond_the_words_are_refused():
    with pytest.raises(BadInput) as refused:
        Sum([np.full(3, 2**30)] * 3).run()
    assert refused.value.code == "learning.secagg_range"


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=200))
def test_no_bytes_from_a_stranger_do_more_than_be_refused(data):
    collector = Collector(CONTEXT, {0: b"a", 1: b"b", 2: b"c"}, Named.check, SIZE)
    for read in (unpack, Unmasking.decode, lambda message: collector.receive(0, message)):
        try:
            read(data)
        except (BadInput, IntegrityError):
            continue
        assert read is unpack


@settings(deadline=None, max_examples=30)
@given(st.dictionaries(st.integers(0, 65_535), st.binary(max_size=20), max_size=20))
def test_entries_come_back_as_they_were(entries):
    assert unpack(pack(entries)) == dict(sorted(entries.items()))


def test_a_dealer_that_leaves_somebody_without_a_share_is_refused_before_the_others_see_it():
    def unsealed(phase, index, message):
        if (phase, index) != (Phase.SHARES, 1):
            return message
        dealt = unpack(message)
        return pack(dealt | {0: dealt[0][:64]})

    with pytest.raises(BadInput) as refused:
        Sum(some_values(4), deliver=unsealed).run()
    assert refused.value.code == "learning.secagg_message"
