# SPDX-License-Identifier: Apache-2.0
"""Terms: who may use a Work, what they paid, and that nobody can take it back."""

from __future__ import annotations

from typing import Any

import boa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from koinon.chain.eip712 import Domain, TypedStruct, digest
from koinon.chain.hashing import keccak256
from tests.contracts_support import (
    ETH,
    NOBODY,
    Hall,
    account,
    deploy,
    deploy_hall,
    deploy_mock,
    events,
    fresh_chain,
    key,
)

DOWNLOAD, COMPUTE = 0, 1
OPEN, SIGNED, LISTED = 1, 2, 3
FOR_EVER = 2**64 - 1
DAY = 86_400
TEXT = keccak256(b"you may download this")
OTHER_TEXT = keccak256(b"you may download this on Sundays")
SALT = keccak256(b"salt")
CONSENT = TypedStruct(
    "Consent(uint256 workId,uint8 use,address grantee,address token,uint256 price,uint64 period,"
    "bytes32 termsDigest,bytes32 salt,uint256 deadline)"
)
OWNER = account("owner of the work")
BUYER = account("buyer")
GRANTEE = account("grantee")
STRANGER = account("stranger")


@pytest.fixture(scope="module")
def hall():
    with fresh_chain():
        yield deploy_hall()


@pytest.fixture(scope="module")
def terms(hall):
    return deploy("works", "Terms", hall.works.address)


@pytest.fixture(scope="module")
def token(terms):
    token = deploy_mock("StakeToken")
    for payer in (BUYER, STRANGER):
        token.mint(payer, 10**9)
        token.approve(terms, 2**256 - 1, sender=payer)
    return token


@pytest.fixture(autouse=True)
def _undo(token):
    with fresh_chain():
        yield


@pytest.fixture
def work(hall):
    return hall.publish(OWNER)


def now() -> int:
    return int(boa.env.evm.patch.timestamp)


def open_use(
    terms: Any,
    work: int,
    token: Any,
    *,
    use: int = DOWNLOAD,
    price: int = 100,
    period: int = DAY,
    consent: int = OPEN,
    expires_at: int = 0,
    text: bytes = TEXT,
    owner: str = OWNER,
) -> tuple[Any, ...]:
    """Open a use and return the offer."""
    offer = (getattr(token, "address", token), price, period, consent, expires_at, text)
    terms.offer(work, use, offer, sender=owner)
    return offer


def buy(
    terms: Any,
    work: int,
    token: Any,
    *consent: Any,
    use: int = DOWNLOAD,
    grantee: str = GRANTEE,
    max_price: int = 100,
    min_period: int = DAY,
    text: bytes = TEXT,
    buyer: str = BUYER,
    value: int = 0,
) -> int:
    address = getattr(token, "address", token)
    return int(
        terms.buy(
            work, use, grantee, address, max_price, min_period, text, *consent, sender=buyer, value=value
        )
    )


def consent(
    terms: Any,
    work: int,
    offer: tuple[Any, ...],
    *,
    role: str = "owner of the work",
    use: int = DOWNLOAD,
    grantee: str = GRANTEE,
    salt: bytes = SALT,
    deadline: int | None = None,
    domain: Domain | None = None,
) -> tuple[bytes, int, bytes]:
    """Salt, deadline and signature, as `buy` takes them."""
    last = now() + DAY if deadline is None else deadline
    where = domain or Domain("Koinon Terms", "1", boa.env.evm.patch.chain_id, terms.address)
    token, price, period, _, _, text = offer
    message = CONSENT.hash(work, use, grantee, token, price, period, text, salt, last)
    return salt, last, key(role).sign(digest(where, message))


# --- buying ----------------------------------------------------------------------------------------------


def test_the_price_goes_into_the_till_and_the_grantee_gets_the_receipt(terms, hall, work, token):
    open_use(terms, work, token)
    grant = buy(terms, work, token, max_price=120)
    (event,) = events(terms, "Granted")
    assert token.balanceOf(hall.works.till_of(work)) == 100
    assert token.balanceOf(BUYER) == 10**9 - 100
    assert terms.granted(work, DOWNLOAD, GRANTEE) == now() + DAY
    assert terms.granted(work, COMPUTE, GRANTEE) == 0
    assert terms.granted(work, DOWNLOAD, BUYER) == 0
    assert tuple(terms.grant_of(grant)) == (
        work,
        DOWNLOAD,
        GRANTEE,
        BUYER,
        token.address,
        100,
        now(),
        now() + DAY,
        TEXT,
    )
    assert event == {
        "grant_id": grant,
        "work_id": work,
        "grantee": GRANTEE,
        "use": DOWNLOAD,
        "payer": BUYER,
        "token": token.address,
        "paid": 100,
        "starts_at": now(),
        "valid_until": now() + DAY,
        "terms_digest": TEXT,
    }
    assert terms.holds(grant)
    boa.env.time_travel(seconds=DAY)
    assert not terms.holds(grant)


def test_ether_is_paid_into_a_till_that_is_not_there_yet_and_one_that_is(terms, hall, work):
    open_use(terms, work, ETH)
    buy(terms, work, ETH, value=100)
    till = hall.till(work)
    buy(terms, work, ETH, value=100)
    assert boa.env.get_balance(till.address) == 200
    for wrong in (0, 99, 101):
        with boa.reverts("send exactly the price"):
            buy(terms, work, ETH, value=wrong)


def test_ether_sent_along_with_a_token_price_is_refused(terms, work, token):
    open_use(terms, work, token)
    with boa.reverts("price is not in ETH"):
        buy(terms, work, token, value=1)


def test_a_gift_to_whoever_may_take_it_costs_nothing(terms, work, token):
    open_use(terms, work, token, price=0, period=0)
    buy(terms, work, token, max_price=0, min_period=0)
    assert terms.granted(work, DOWNLOAD, GRANTEE) == FOR_EVER


def test_time_bought_again_under_the_same_terms_is_added(terms, work, token):
    open_use(terms, work, token)
    first = buy(terms, work, token)
    second = buy(terms, work, token)
    assert terms.granted(work, DOWNLOAD, GRANTEE) == now() + 2 * DAY
    assert (terms.holds(first), terms.holds(second)) == (True, False)
    boa.env.time_travel(seconds=DAY)
    assert (terms.holds(first), terms.holds(second)) == (False, True)


def test_anothers_gift_under_other_terms_does_not_delay_what_one_buys(terms, work, token):
    terms.give(work, DOWNLOAD, GRANTEE, 365 * DAY, OTHER_TEXT, sender=OWNER)
    open_use(terms, work, token)
    grant = buy(terms, work, token)
    assert terms.holds(grant)
    assert terms.granted(work, DOWNLOAD, GRANTEE) == now() + 365 * DAY


def test_what_one_holds_for_ever_is_not_sold_again(terms, work, token):
    open_use(terms, work, token, period=0)
    buy(terms, work, token)
    with boa.reverts("already granted for ever"):
        buy(terms, work, token)


def test_a_period_beyond_the_end_of_time_is_for_ever(terms, work):
    terms.give(work, DOWNLOAD, GRANTEE, FOR_EVER - 1, TEXT, sender=OWNER)
    assert terms.granted(work, DOWNLOAD, GRANTEE) == FOR_EVER


# --- what protects the buyer -----------------------------------------------------------------------------


def test_an_offer_changed_on_the_way_is_not_taken_up(terms, work, token):
    open_use(terms, work, token)
    with boa.reverts("price above the maximum"):
        buy(terms, work, token, max_price=99)
    with boa.reverts("other token"):
        buy(terms, work, ETH)
    with boa.reverts("other terms"):
        buy(terms, work, token, text=OTHER_TEXT)
    for longer in (DAY + 1, 0):
        with boa.reverts("period too short"):
            buy(terms, work, token, min_period=longer)


def test_a_grantee_is_needed(terms, work, token):
    open_use(terms, work, token)
    with boa.reverts("grantee missing"):
        buy(terms, work, token, grantee=NOBODY)


def test_a_token_that_takes_a_fee_or_refuses_gives_no_grant(terms, work, token):
    open_use(terms, work, token)
    token.set_fee(1_00)
    with boa.reverts("token did not deliver exactly"):
        buy(terms, work, token)
    token.set_fee(0)
    token.set_refusing(True)
    with boa.reverts("transfer refused"):
        buy(terms, work, token)
    assert terms.granted(work, DOWNLOAD, GRANTEE) == 0


def test_a_token_that_calls_back_cannot_buy_twice_for_one_payment(terms, work, token):
    open_use(terms, work, token, price=0)
    again = terms.buy.prepare_calldata(work, DOWNLOAD, GRANTEE, token.address, 100, DAY, TEXT)
    open_use(terms, work, token)
    token.set_hook(terms.address, again)
    with boa.reverts():
        buy(terms, work, token)


def test_closing_or_selling_takes_no_grant_back(terms, hall, work, token):
    open_use(terms, work, token)
    grant = buy(terms, work, token)
    until = terms.granted(work, DOWNLOAD, GRANTEE)
    terms.close(work, DOWNLOAD, sender=OWNER)
    hall.works.transferFrom(OWNER, STRANGER, work, sender=OWNER)
    assert terms.granted(work, DOWNLOAD, GRANTEE) == until
    assert terms.holds(grant)


# --- the owner's part ------------------------------------------------------------------------------------


def test_without_a_standing_offer_nothing_is_sold(terms, work, token):
    with boa.reverts("not on offer"):
        buy(terms, work, token)
    open_use(terms, work, token, expires_at=now() + 10)
    buy(terms, work, token)
    boa.env.time_travel(seconds=11)
    assert terms.offer_of(work, DOWNLOAD)[1] is False
    with boa.reverts("not on offer"):
        buy(terms, work, token)
    open_use(terms, work, token)
    assert terms.offer_of(work, DOWNLOAD)[1] is True
    terms.close(work, DOWNLOAD, sender=OWNER)
    assert [event["use"] for event in events(terms, "OfferClosed")] == [DOWNLOAD]
    with boa.reverts("not on offer"):
        buy(terms, work, token)


def test_an_offer_lapses_when_the_work_changes_hands(terms, hall, work, token):
    offer = open_use(terms, work, token)
    (event,) = events(terms, "OfferMade")
    assert (event["owner"], event["price"], event["terms_digest"]) == (OWNER, 100, TEXT)
    hall.works.transferFrom(OWNER, STRANGER, work, sender=OWNER)
    assert tuple(terms.offer_of(work, DOWNLOAD)[0]) == offer
    assert terms.offer_of(work, DOWNLOAD)[1] is False
    with boa.reverts("not on offer"):
        buy(terms, work, token)


def test_operators_may_do_what_the_owner_may_and_others_may_not(terms, hall, work, token):
    offer = (token.address, 1, DAY, OPEN, 0, TEXT)
    for act in (
        lambda: terms.offer(work, DOWNLOAD, offer, sender=STRANGER),
        lambda: terms.close(work, DOWNLOAD, sender=STRANGER),
        lambda: terms.allow(work, DOWNLOAD, GRANTEE, True, sender=STRANGER),
        lambda: terms.give(work, DOWNLOAD, GRANTEE, 0, TEXT, sender=STRANGER),
    ):
        with boa.reverts("only the owner or an operator"):
            act()
    hall.works.approve(STRANGER, work, sender=OWNER)
    terms.offer(work, DOWNLOAD, offer, sender=STRANGER)
    buy(terms, work, token)


def test_offers_make_sense(terms, work, token):
    for rule_number in (0, 4):
        with boa.reverts("unknown consent rule"):
            open_use(terms, work, token, consent=rule_number)
    with boa.reverts("offer already expired"):
        open_use(terms, work, token, expires_at=now() - 1)
    with boa.reverts():
        open_use(terms, 999, token)


def test_terms_need_a_register():
    with boa.reverts("works missing"):
        deploy("works", "Terms", NOBODY)


def test_the_owner_gives_for_nothing(terms, work):
    grant = terms.give(work, COMPUTE, GRANTEE, 0, TEXT, sender=OWNER)
    assert terms.granted(work, COMPUTE, GRANTEE) == FOR_EVER
    assert tuple(terms.grant_of(grant))[3:6] == (OWNER, NOBODY, 0)


# --- consent ---------------------------------------------------------------------------------------------


def test_an_allow_list_is_for_grantees_and_for_one_owner(terms, hall, work, token):
    open_use(terms, work, token, consent=LISTED)
    with boa.reverts("not on the allow list"):
        buy(terms, work, token)
    terms.allow(work, DOWNLOAD, GRANTEE, True, sender=OWNER)
    assert terms.is_allowed(work, DOWNLOAD, GRANTEE)
    buy(terms, work, token)
    terms.allow(work, DOWNLOAD, GRANTEE, False, sender=OWNER)
    with boa.reverts("not on the allow list"):
        buy(terms, work, token)
    terms.allow(work, DOWNLOAD, GRANTEE, True, sender=OWNER)
    hall.works.transferFrom(OWNER, STRANGER, work, sender=OWNER)
    open_use(terms, work, token, consent=LISTED, owner=STRANGER)
    with boa.reverts("not on the allow list"):
        buy(terms, work, token)


def test_a_signed_consent_works_once(terms, work, token):
    offer = open_use(terms, work, token, consent=SIGNED)
    leave = consent(terms, work, offer)
    assert not terms.is_spent(OWNER, SALT)
    buy(terms, work, token, *leave)
    assert terms.is_spent(OWNER, SALT)
    with boa.reverts("consent already used"):
        buy(terms, work, token, *leave)


def test_what_is_signed_is_what_the_contract_says(terms, work, token):
    offer = open_use(terms, work, token, consent=SIGNED)
    domain = Domain("Koinon Terms", "1", boa.env.evm.patch.chain_id, terms.address)
    message = CONSENT.hash(work, DOWNLOAD, GRANTEE, token.address, 100, DAY, TEXT, SALT, 77)
    assert terms.consent_digest(work, DOWNLOAD, GRANTEE, offer, SALT, 77) == digest(domain, message)
    fields, name, version, chain_id, contract, salt, extensions = terms.eip712Domain()
    assert (fields, name, version) == (b"\x0f", "Koinon Terms", "1")
    assert (chain_id, contract) == (boa.env.evm.patch.chain_id, terms.address)
    assert (salt, extensions) == (b"\x00" * 32, [])


def test_a_consent_may_be_taken_back_by_its_signer_only(terms, work, token):
    offer = open_use(terms, work, token, consent=SIGNED)
    terms.spend_consent(SALT, sender=STRANGER)
    buy(terms, work, token, *consent(terms, work, offer))
    other = keccak256(b"another salt")
    terms.spend_consent(other, sender=OWNER)
    with boa.reverts("consent already used"):
        buy(terms, work, token, *consent(terms, work, offer, salt=other))
    with boa.reverts("consent already used"):
        terms.spend_consent(other, sender=OWNER)


def test_a_consent_ends_at_its_deadline(terms, work, token):
    offer = open_use(terms, work, token, consent=SIGNED)
    leave = consent(terms, work, offer, deadline=now() - 1)
    with boa.reverts("consent expired"):
        buy(terms, work, token, *leave)


def test_a_consent_is_for_one_work_use_grantee_price_period_text_contract_and_chain(terms, hall, work, token):
    offer = open_use(terms, work, token, consent=SIGNED)
    twin = deploy("works", "Terms", hall.works.address)
    chain_id = boa.env.evm.patch.chain_id
    elsewhere = [
        consent(terms, work + 1, offer),
        consent(terms, work, offer, use=COMPUTE),
        consent(terms, work, offer, grantee=STRANGER),
        consent(terms, work, (token.address, 99, *offer[2:])),
        consent(terms, work, (*offer[:2], 0, *offer[3:])),
        consent(terms, work, (*offer[:5], OTHER_TEXT)),
        consent(terms, work, (ETH, *offer[1:])),
        consent(terms, work, offer, domain=Domain("Koinon Terms", "1", chain_id, twin.address)),
        consent(terms, work, offer, domain=Domain("Koinon Terms", "1", chain_id + 1, terms.address)),
        consent(terms, work, offer, role="stranger"),
        (SALT, now() + DAY, b""),
        (SALT, now() + DAY, b"\x01" * 65),
    ]
    for leave in elsewhere:
        with boa.reverts("consent not signed by the owner"):
            buy(terms, work, token, *leave)
    assert not terms.is_spent(OWNER, SALT)


def test_the_old_owners_consent_does_not_bind_the_new_one(terms, hall, work, token):
    offer = open_use(terms, work, token, consent=SIGNED)
    leave = consent(terms, work, offer)
    hall.works.transferFrom(OWNER, STRANGER, work, sender=OWNER)
    open_use(terms, work, token, consent=SIGNED, owner=STRANGER)
    with boa.reverts("consent not signed by the owner"):
        buy(terms, work, token, *leave)


def test_a_contract_that_owns_a_work_consents_by_erc_1271(terms, hall, work, token):
    wallet = deploy_mock("ContractWallet", bytes.fromhex("1626ba7e"))
    offer = (token.address, 100, DAY, SIGNED, 0, TEXT)
    hall.works.transferFrom(OWNER, wallet.address, work, sender=OWNER)
    wallet.act(terms.address, terms.offer.prepare_calldata(work, DOWNLOAD, offer))
    until = now() + DAY
    with boa.reverts("consent not signed by the owner"):
        buy(terms, work, token, SALT, until, b"anything")
    wallet.agree(terms.consent_digest(work, DOWNLOAD, GRANTEE, offer, SALT, until))
    buy(terms, work, token, SALT, until, b"anything")
    assert terms.granted(work, DOWNLOAD, GRANTEE) == until


# --- giving up -------------------------------------------------------------------------------------------


def test_only_the_grantee_gives_a_grant_up_and_starts_afresh(terms, work, token):
    open_use(terms, work, token)
    grant = buy(terms, work, token)
    waiting = buy(terms, work, token)
    with boa.reverts("nothing to surrender"):
        terms.surrender(work, DOWNLOAD, sender=BUYER)
    terms.surrender(work, DOWNLOAD, sender=GRANTEE)
    assert [event["grantee"] for event in events(terms, "Surrendered")] == [GRANTEE]
    assert terms.granted(work, DOWNLOAD, GRANTEE) == 0
    assert not terms.holds(grant)
    with boa.reverts("nothing to surrender"):
        terms.surrender(work, DOWNLOAD, sender=GRANTEE)
    terms.give(work, DOWNLOAD, GRANTEE, 5, OTHER_TEXT, sender=OWNER)
    fresh = buy(terms, work, token)
    assert terms.granted(work, DOWNLOAD, GRANTEE) == now() + DAY
    assert terms.holds(fresh)
    boa.env.time_travel(seconds=DAY)
    assert not terms.holds(waiting)


def test_what_was_given_for_ever_can_be_given_up_and_taken_again(terms, work):
    terms.give(work, DOWNLOAD, GRANTEE, 0, TEXT, sender=OWNER)
    terms.surrender(work, DOWNLOAD, sender=GRANTEE)
    terms.give(work, DOWNLOAD, GRANTEE, 10, TEXT, sender=OWNER)
    assert terms.granted(work, DOWNLOAD, GRANTEE) == now() + 10


def test_a_grant_nobody_gave_is_no_grant(terms):
    for unknown in (0, 1):
        with boa.reverts("no such grant"):
            terms.grant_of(unknown)
        assert not terms.holds(unknown)


# --- a life of its own -----------------------------------------------------------------------------------

OWNERS = ("owner of the work", "stranger")
GRANTEES = (GRANTEE, BUYER)
TEXTS = (TEXT, OTHER_TEXT)


class TermsMachine(RuleBasedStateMachine):
    """Two Works, two owners who trade them, offers, purchases, gifts and surrenders in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = fresh_chain()
        self.anchor.__enter__()
        self.hall: Hall = deploy_hall()
        self.terms = deploy("works", "Terms", self.hall.works.address)
        self.token = deploy_mock("StakeToken")
        self.token.mint(BUYER, 10**9)
        self.token.approve(self.terms, 2**256 - 1, sender=BUYER)
        self.works = [self.hall.publish(OWNER) for _ in range(2)]
        self.until: dict[tuple[int, int, str], int] = {}
        self.paid = dict.fromkeys(self.works, 0)
        self.consents: list[tuple[int, tuple[bytes, int, bytes]]] = []
        self.salts = 0

    def teardown(self) -> None:
        self.anchor.__exit__(None, None, None)

    def owner_of(self, work: int) -> str:
        return str(self.hall.works.ownerOf(work))

    def remember(self, grant: int) -> None:
        work, use, grantee, _, _, paid, _, until, _ = tuple(self.terms.grant_of(grant))
        self.paid[work] += paid
        place = (work, use, grantee)
        self.until[place] = max(until, self.until.get(place, 0))

    @rule(
        at=st.integers(0, 1),
        use=st.integers(0, 1),
        price=st.integers(0, 50),
        period=st.integers(0, 3),
        rule_number=st.sampled_from([OPEN, SIGNED, LISTED]),
        text=st.sampled_from(TEXTS),
        length=st.sampled_from([0, 2 * DAY]),
    )
    def offer(self, at, use, price, period, rule_number, text, length) -> None:
        open_use(
            self.terms,
            self.works[at],
            self.token,
            use=use,
            price=price,
            period=period * DAY,
            consent=rule_number,
            text=text,
            owner=self.owner_of(self.works[at]),
            expires_at=now() + length if length else 0,
        )

    @rule(at=st.integers(0, 1), use=st.integers(0, 1), grantee=st.sampled_from(GRANTEES), told=st.booleans())
    def allow(self, at, use, grantee, told) -> None:
        self.terms.allow(self.works[at], use, grantee, told, sender=self.owner_of(self.works[at]))

    @rule(at=st.integers(0, 1), use=st.integers(0, 1), grantee=st.sampled_from(GRANTEES))
    def buy(self, at, use, grantee) -> None:
        work = self.works[at]
        offer, stands = self.terms.offer_of(work, use)
        offer = tuple(offer)
        extra: tuple[Any, ...] = ()
        if offer[3] == SIGNED:
            self.salts += 1
            role = next(name for name in OWNERS if account(name) == self.owner_of(work))
            salt = self.salts.to_bytes(32, "big")
            extra = consent(self.terms, work, offer, role=role, use=use, grantee=grantee, salt=salt)
        wanted = {"use": use, "grantee": grantee, "max_price": 50, "min_period": 1, "text": offer[5]}
        held = [
            self.terms.grant_of(number)
            for number in range(1, self.terms.grant_count() + 1)
            if self.terms.holds(number)
        ]
        for_ever = any(
            (grant[0], grant[1], grant[2], grant[7], grant[8]) == (work, use, grantee, FOR_EVER, offer[5])
            for grant in held
        )
        listed = offer[3] != LISTED or self.terms.is_allowed(work, use, grantee)
        if stands and listed and not for_ever:
            self.remember(buy(self.terms, work, self.token, *extra, **wanted))
            if extra:
                self.consents.append((work, extra))
        elif not for_ever:
            with boa.reverts("not on the allow list" if stands else "not on offer"):
                buy(self.terms, work, self.token, *extra, **wanted)

    @rule(at=st.integers(0, 1), use=st.integers(0, 1), grantee=st.sampled_from(GRANTEES))
    def replay(self, at, use, grantee) -> None:
        """Every consent ever used is tried again, at every Work."""
        for _, leave in self.consents:
            offer, _ = self.terms.offer_of(self.works[at], use)
            if offer[3] == SIGNED:
                with boa.reverts():
                    buy(
                        self.terms,
                        self.works[at],
                        self.token,
                        *leave,
                        use=use,
                        grantee=grantee,
                        max_price=50,
                        min_period=1,
                        text=offer[5],
                    )

    @rule(
        at=st.integers(0, 1),
        use=st.integers(0, 1),
        grantee=st.sampled_from(GRANTEES),
        days=st.integers(1, 3),
        text=st.sampled_from(TEXTS),
    )
    def give(self, at, use, grantee, days, text) -> None:
        owner = self.owner_of(self.works[at])
        try:
            grant = self.terms.give(self.works[at], use, grantee, days * DAY, text, sender=owner)
        except boa.BoaError:
            assert self.terms.granted(self.works[at], use, grantee) == FOR_EVER
        else:
            self.remember(grant)

    @rule(at=st.integers(0, 1), use=st.integers(0, 1), grantee=st.sampled_from(GRANTEES))
    def surrender(self, at, use, grantee) -> None:
        place = (self.works[at], use, grantee)
        if self.until.get(place, 0) > now():
            self.terms.surrender(self.works[at], use, sender=grantee)
            self.until[place] = 0

    @rule(at=st.integers(0, 1))
    def sell(self, at) -> None:
        owner = self.owner_of(self.works[at])
        to = next(account(name) for name in OWNERS if account(name) != owner)
        self.hall.works.transferFrom(owner, to, self.works[at], sender=owner)

    @rule(at=st.integers(0, 1), use=st.integers(0, 1))
    def close(self, at, use) -> None:
        self.terms.close(self.works[at], use, sender=self.owner_of(self.works[at]))

    @rule(days=st.integers(1, 2))
    def wait(self, days) -> None:
        boa.env.time_travel(seconds=days * DAY)

    @invariant()
    def a_grant_never_shortens_unless_its_grantee_gives_it_up(self) -> None:
        for (work, use, grantee), until in self.until.items():
            assert self.terms.granted(work, use, grantee) == until

    @invariant()
    def every_payment_is_in_the_till_of_the_work_it_was_for(self) -> None:
        for work, paid in self.paid.items():
            assert self.token.balanceOf(self.hall.works.till_of(work)) == paid
        assert self.token.balanceOf(self.terms) == 0

    @invariant()
    def whoever_is_granted_a_use_holds_a_grant_of_it(self) -> None:
        running = set()
        for number in range(1, self.terms.grant_count() + 1):
            if self.terms.holds(number):
                grant = self.terms.grant_of(number)
                running.add((grant[0], grant[1], grant[2]))
        assert running == {place for place, until in self.until.items() if until > now()}


TermsMachine.TestCase.settings = settings(max_examples=8, stateful_step_count=20, deadline=None)
TestTerms = TermsMachine.TestCase
