# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Credit pool
@license Apache-2.0
@author Koinon
@notice Lending of one token against one other, on terms that follow the borrower's score.
        - A tier, from the score, says how much may be borrowed against collateral (LLTV), the spread above the pool's rate,
          and the most one borrower may owe. Both stay with the loan: a score that falls later never makes an open loan
          unsound, and an expired score only stops new borrowing. Wallets without a score get the worst tier.
        - Every tier's spread must pay for what it is expected to lose: spread >= PD * LGD + capital charge.
        - Lenders choose a tranche. The junior one bears every loss first and earns the spreads, as far as it covers what
          it must; the senior one loses only when nothing junior is left. Both earn the pool's rate. Nobody may borrow, and
          nobody junior may leave, where junior assets would fall below their share of the debt.
        - An unsound loan is sold by Dutch auction: the liquidator's bonus grows with time, and only part of a loan
          that is still covered may be sold at once. What no collateral covers is a loss at that moment; from when `mark`
          has shown it, whoever leaves a tranche bears their part of it.
        - Part of the interest goes to the till of the model that scores, where its owners and its data share it.
        LLTV never reaches 100 %: collateral at the threshold always pays the debt and the highest bonus. A loan beyond
        its collateral would let whoever holds the issuers' keys lend the junior tranche to themselves.
@dev All parameters are fixed at creation. Nobody owns a pool, and nothing pauses it. Every external function is closed
     while another runs, views as well. Balances are never read: what the pool has is what its books say, and
     cash + debt = senior + junior + fees, to the unit. A token that changes balances by itself harms its own pool.
     Debts of a tier share one index: the tier's debt divided by its shares.
@custom:source Morpho Blue (shares, isolated markets), ERC-1271, EIP-712
"""

from ethereum.ercs import IERC20Detailed
from interfaces import IBundles
from interfaces import ICreditPool
from koinon.lending.contracts import interest
from koinon.markets.contracts.interfaces import IPriceFeed
from koinon.works.contracts import eip712
from koinon.works.contracts import erc20_transfers
from koinon.works.contracts.interfaces import IAttestations
from koinon.works.contracts.interfaces import IWorks

implements: ICreditPool


NAME: constant(String[18]) = "Koinon Credit Pool"
VERSION: constant(String[1]) = "1"
NAME_HASH: constant(bytes32) = keccak256("Koinon Credit Pool")
VERSION_HASH: constant(bytes32) = keccak256("1")
OFFER_TYPE_HASH: constant(bytes32) = keccak256(
    "Offer(address pool,address borrower,uint256 amount,uint256 collateralRatioBps,uint256 spreadBps,uint256 tier,uint256 expiresAt,uint256 nonce)"
)
BPS: constant(uint256) = 10_000
WAD: constant(uint256) = 10**18
SENIOR: constant(uint256) = 0
JUNIOR: constant(uint256) = 1
EXIT_WINDOW_S: constant(uint256) = 86_400
AUCTIONS_LAST: constant(uint256) = 4  # times the seconds in which the bonus grows
LARGEST: constant(uint256) = 2**96  # of a loan, of collateral, and of a tranche when something is added
MOST_DEBT: constant(uint256) = 2**104  # what books hold: of a tier, a tranche, and in all
WORN_OUT: constant(uint256) = 10**12  # shares for a unit; a new tranche has a million
LOW: constant(uint256) = 2**128 - 1
MASK: constant(uint256) = 2**32 - 1

MARKET: immutable(ICreditPool.Market)
TIERS: immutable(uint256[8])
TIER_COUNT: immutable(uint256)
PRICE_TOP: immutable(uint256)
PRICE_BOTTOM: immutable(uint256)

_tranches: uint256  # senior assets, junior assets: 128 bits each
_sums: uint256  # debt 128 bits, fees 88, time of the last accrual 40
_tiers: uint256[8]  # debt 104 bits, interest below one unit 24, the debt's shares 128
_supply_before: uint256  # what both tranches had before anything happened in a block, and its number in 64 bits
_total_shares: uint256[2]
_epochs: uint256[2]  # a tranche that lost everything begins anew: its old shares are worth nothing
_shares: HashMap[uint256, HashMap[uint256, HashMap[address, uint256]]]  # tranche -> epoch -> account
_exits: HashMap[uint256, HashMap[address, uint256]]  # junior epoch -> account: shares, and from when in the lowest 40 bits
_loans: HashMap[address, uint256]  # collateral 128 bits, tier 8, when it was last confirmed 40, start of the auction 40
_debt_shares: HashMap[address, uint256]
_defaulted_in: HashMap[address, uint256]  # block of the last default
_seen: HashMap[address, uint256]  # what a loan would lose if it were sold as when it was last marked
_all_seen: uint256
_spent_offers: HashMap[address, HashMap[bytes32, bool]]  # signer that took it back, nobody where it was drawn -> digest


@deploy
def __init__(market_: ICreditPool.Market, tiers_: DynArray[ICreditPool.Tier, 8]):
    """
    @notice A pool with these terms for ever. `CreditPoolFactory` checks them; a pool that it does not know may have any.
    @param market_ Tokens, price feed, who scores, rates and limits.
    @param tiers_ Terms from the best score to none at all; each no better than the one before.
    """
    MARKET = market_
    packed: uint256[8] = empty(uint256[8])
    index: uint256 = 0
    for tier: ICreditPool.Tier in tiers_:
        packed[index] = (
            (tier.cap << 160)
            | (tier.lltv_bps << 128)
            | (tier.spread_bps << 96)
            | (tier.pd_bps << 64)
            | (tier.lgd_bps << 32)
            | tier.capital_bps
        )
        index += 1
    TIERS = packed
    TIER_COUNT = len(tiers_)
    decimals: uint256 = convert(staticcall IPriceFeed(market_.feed).decimals(), uint256)
    PRICE_TOP = 10 ** convert(staticcall IERC20Detailed(market_.loan_token).decimals(), uint256)
    PRICE_BOTTOM = 10 ** (convert(staticcall IERC20Detailed(market_.collateral_token).decimals(), uint256) + decimals)


# --- lenders ---------------------------------------------------------------------------------------------------------


@external
def deposit(tranche: uint256, assets: uint256, receiver: address) -> uint256:
    """
    @notice Lend to the pool.
    @param tranche 0 senior, 1 junior.
    @param assets How much of the loan token the caller pays; exactly this must arrive.
    @param receiver Who gets the shares.
    @return The shares.
    """
    self._require(receiver)
    books: ICreditPool.Books = self._accrue()
    total: uint256 = self._total(tranche, books)
    assert assets < LARGEST and total + assets < LARGEST, "amount too large"
    supply: uint256 = self._total_shares[tranche]
    shares: uint256 = interest._to_shares(assets, total, supply, False)
    self._require_some(shares)
    self._total_shares[tranche] = supply + shares
    self._shares[tranche][self._epochs[tranche]][receiver] += shares
    self._add(tranche, books, assets)
    log ICreditPool.Deposited(
        tranche=tranche, payer=msg.sender, receiver=receiver, assets=assets, shares=shares
    )
    erc20_transfers._collect(MARKET.loan_token, msg.sender, self, assets)
    return shares


@external
def withdraw(tranche: uint256, assets: uint256, receiver: address) -> uint256:
    """
    @notice Take an amount of one's own back, as far as there is cash.
    @param tranche 0 senior, 1 junior (after `announce_exit` where the pool asks for notice).
    @param assets How much.
    @param receiver Who gets it.
    @return The shares it took.
    """
    books: ICreditPool.Books = self._accrue()
    total: uint256 = self._net(tranche, books)
    shares: uint256 = interest._to_shares(assets, total, self._total_shares[tranche], True)
    self._take(tranche, books, assets, shares, receiver)
    return shares


@external
def redeem(tranche: uint256, shares: uint256, receiver: address) -> uint256:
    """
    @notice Give shares back for what they are worth, as far as there is cash.
    @param tranche 0 senior, 1 junior (after `announce_exit` where the pool asks for notice).
    @param shares How many.
    @param receiver Who gets the assets.
    @return The assets.
    """
    books: ICreditPool.Books = self._accrue()
    total: uint256 = self._net(tranche, books)
    assets: uint256 = interest._to_assets(shares, total, self._total_shares[tranche])
    self._take(tranche, books, assets, shares, receiver)
    return assets


@external
def announce_exit(shares: uint256):
    """
    @notice Say that junior shares will leave. They may from the pool's notice on, for a day; until then they bear losses
            as before. Replaces what was announced earlier.
    @param shares How many of one's own.
    """
    epoch: uint256 = self._epochs[JUNIOR]
    self._require_held(shares, self._shares[JUNIOR][epoch][msg.sender])
    from_time: uint256 = block.timestamp + MARKET.junior_notice_s
    self._exits[epoch][msg.sender] = (shares << 40) | from_time
    log ICreditPool.ExitAnnounced(account=msg.sender, shares=shares, from_time=from_time)


# --- borrowers -------------------------------------------------------------------------------------------------------


@external
def supply_collateral(amount: uint256, borrower: address):
    """
    @notice Put collateral behind a loan, one's own or another's.
    @param amount How much the caller pays; exactly this must arrive.
    @param borrower Whose.
    """
    self._require(borrower)
    self._require_amount(amount)
    loan: uint256 = self._loans[borrower]
    self._require_amount((loan >> 128) + amount)
    self._loans[borrower] = loan + (amount << 128)
    log ICreditPool.CollateralSupplied(borrower=borrower, payer=msg.sender, amount=amount)
    erc20_transfers._collect(MARKET.collateral_token, msg.sender, self, amount)


@external
def withdraw_collateral(amount: uint256, receiver: address):
    """
    @notice Take collateral back, as far as one's loan stays sound by the price that borrowing needs.
    @param amount How much.
    @param receiver Who gets it.
    """
    self._require(receiver)
    books: ICreditPool.Books = self._accrue()
    loan: ICreditPool.Position = self._position(msg.sender, books)
    self._require_amount(amount)
    self._require_held(amount, loan.collateral)
    loan.collateral -= amount
    if loan.debt > 0:
        self._require_covered(self._worth(loan.collateral, self._market_price()), loan)
        loan.auction_from = 0
    self._keep(msg.sender, loan, 0)
    log ICreditPool.CollateralWithdrawn(borrower=msg.sender, receiver=receiver, amount=amount)
    erc20_transfers._pay(MARKET.collateral_token, receiver, amount)


@external
def borrow(amount: uint256, receiver: address) -> uint256:
    """
    @notice Borrow against one's collateral, on the terms of one's tier. An open loan moves to that tier as a whole, also
            where it became worse: who does not want that borrows nothing more, and keeps the terms there are.
    @param amount How much; the whole debt must reach the pool's least.
    @param receiver Who gets it.
    @return The caller's debt.
    """
    self._require_no_offer()
    self._require_amount(amount)
    return self._borrow(amount, receiver, 0, 0)


@external
def borrow_with_offer(
    offer: ICreditPool.Offer, signer: address, signature: Bytes[1024], receiver: address
) -> uint256:
    """
    @notice Borrow exactly as an issuer of scores offered, once, however many issuers signed the same. An offer may ask
            for more than one's tier does, never less.
    @param offer What was offered to the caller.
    @param signer Which issuer signed it.
    @param signature Its signature.
    @param receiver Who gets the amount.
    @return The caller's debt.
    """
    assert offer.pool == self and offer.borrower == msg.sender, "offer for somebody else"
    assert block.timestamp <= offer.expires_at, "offer expired"
    self._require_amount(offer.amount)
    assert offer.tier < TIER_COUNT and offer.spread_bps == (TIERS[offer.tier] >> 96) & MASK, "no tier has this spread"
    digest: bytes32 = self._offer_digest(offer)
    self._require_unspent(signer, digest)
    assert staticcall IAttestations(MARKET.attestations).is_signed_by_issuer(
        MARKET.schema, signer, digest, signature
    ), "not signed by an issuer"
    self._spent_offers[empty(address)][digest] = True
    log ICreditPool.OfferSpent(signer=signer, digest=digest, borrowed=True)
    return self._borrow(offer.amount, receiver, offer.tier + 1, offer.collateral_ratio_bps)


@external
def cancel_offer(offer: ICreditPool.Offer):
    """
    @notice Take one's own offer back; the caller is its signer.
    @param offer What was offered.
    """
    digest: bytes32 = self._offer_digest(offer)
    self._require_unspent(msg.sender, digest)
    self._spent_offers[msg.sender][digest] = True
    log ICreditPool.OfferSpent(signer=msg.sender, digest=digest, borrowed=False)


@external
def refinance() -> uint256:
    """
    @notice Move one's open loan to one's present tier, without borrowing more. As `borrow`, with all its checks; but a
            loan whose score became worse keeps its tier while the pool's grace lasts from when a score last gave it. No
            grace for who has no score, or shares in a default.
    @return The caller's debt.
    """
    self._require_no_offer()
    assert self._debt_shares[msg.sender] > 0, "no loan"
    return self._borrow(0, msg.sender, 0, 0)


@external
def repay(amount: uint256, borrower: address) -> uint256:
    """
    @notice Pay a debt back, one's own or another's.
    @param amount The most to pay; what is above the debt is not taken. What is left must reach the pool's least debt.
    @param borrower Whose.
    @return What was paid.
    """
    books: ICreditPool.Books = self._accrue()
    loan: ICreditPool.Position = self._position(borrower, books)
    paid: uint256 = min(amount, loan.debt)
    loan = self._reduce(loan, books, paid)
    loss: uint256 = 0
    if loan.debt > 0:
        self._require_no_dust(loan.debt)
        if loan.auction_from != 0:
            loss = self._seen[borrower]
            loss -= min(loss, paid)
    self._keep(borrower, loan, loss)
    log ICreditPool.Repaid(borrower=borrower, payer=msg.sender, amount=paid, debt=loan.debt)
    erc20_transfers._collect(MARKET.loan_token, msg.sender, self, paid)
    return paid


# --- liquidators -----------------------------------------------------------------------------------------------------


@external
def mark(borrower: address) -> bool:
    """
    @notice Begin the auction of a loan that is unsound by the feeders' price, or end that of one that is sound again.
            What it would lose if it were sold now counts from then on for every lender who leaves. Anyone may, as often
            as the price moves.
    @param borrower Whose loan.
    @return Whether an auction runs.
    """
    books: ICreditPool.Books = self._accrue()
    loan: ICreditPool.Position = self._position(borrower, books)
    worth: uint256 = self._worth(loan.collateral, self._feeder_price())
    if self._covers(worth, loan):
        if loan.auction_from != 0:
            loan.auction_from = 0
            self._keep(borrower, loan, 0)
        return False
    loan = self._auctioned(borrower, loan)
    self._keep(borrower, loan, self._loss(loan.debt, worth, self._bonus(loan, worth)))
    return True


@external
def liquidate(
    borrower: address, repay: uint256, least_collateral: uint256, receiver: address
) -> (uint256, uint256):
    """
    @notice Repay part of an unsound loan and take collateral of that worth and the auction's bonus, by the feeders'
            price. Anyone may; the first call begins the auction at the least bonus, or at what the collateral is worth
            beyond the debt where that is less. It grows to the highest, so that junior lenders pay of it only what
            nobody took the loan for less. Where all collateral goes, what is still owed is a loss of the junior
            tranche, then of the senior one.
    @param borrower Whose loan.
    @param repay The most to repay. At most the close factor of a loan that its collateral still covers with the bonus.
    @param least_collateral The least to get for it.
    @param receiver Who gets the collateral.
    @return What was repaid and what was taken.
    """
    self._require(receiver)
    books: ICreditPool.Books = self._accrue()
    loan: ICreditPool.Position = self._position(borrower, books)
    price: uint256 = self._feeder_price()
    worth: uint256 = self._worth(loan.collateral, price)
    assert not self._covers(worth, loan), "the loan is sound"
    loan = self._auctioned(borrower, loan)
    bonus: uint256 = self._bonus(loan, worth)

    paid: uint256 = loan.debt * MARKET.close_factor_bps // BPS
    if worth * BPS < loan.debt * (BPS + bonus) or loan.debt - paid < MARKET.min_debt:
        paid = loan.debt
    paid = min(paid, repay)
    seized: uint256 = paid * (BPS + bonus) * PRICE_BOTTOM // (BPS * price * PRICE_TOP)
    if seized >= loan.collateral:
        seized = loan.collateral
        paid = min(
            paid, interest._ceil_div(seized * price * PRICE_TOP * BPS, PRICE_BOTTOM * (BPS + bonus))
        )
    assert seized >= least_collateral, "too little collateral for it"
    loan.collateral -= seized
    loan = self._reduce(loan, books, paid)
    worth = self._worth(loan.collateral, price)
    loss: uint256 = 0
    if loan.debt > 0:
        if loan.collateral == 0:
            books.debt -= paid
            loan = self._realise(borrower, loan, books)
        else:
            self._require_no_dust(min(loan.debt, worth))
            if self._covers(worth, loan):
                loan.auction_from = 0
            else:
                loss = self._loss(loan.debt, worth, bonus)
    self._keep(borrower, loan, loss)
    log ICreditPool.Liquidated(
        borrower=borrower,
        liquidator=msg.sender,
        receiver=receiver,
        repaid=paid,
        seized=seized,
        bonus_bps=bonus,
        debt=loan.debt,
    )
    erc20_transfers._collect(MARKET.loan_token, msg.sender, self, paid)
    erc20_transfers._pay(MARKET.collateral_token, receiver, seized)
    return paid, seized


# --- the model -------------------------------------------------------------------------------------------------------


@external
def pay_fee() -> uint256:
    """
    @notice Send what the model earned to its till, as far as there is cash. Anyone may.
    @return What was sent.
    """
    books: ICreditPool.Books = self._accrue()
    amount: uint256 = min(books.fees, self._cash(books))
    if amount == 0:
        return 0
    till: address = staticcall IWorks(MARKET.works).till_of(MARKET.work_id)
    self._set_sums(books.debt, books.fees - amount)
    log ICreditPool.FeePaid(till=till, amount=amount)
    erc20_transfers._pay(MARKET.loan_token, till, amount)
    return amount


# --- reading ---------------------------------------------------------------------------------------------------------


@external
@view
def market() -> ICreditPool.Market:
    """
    @return All that was fixed at creation but the tiers.
    """
    return MARKET


@external
@view
def tiers() -> DynArray[ICreditPool.Tier, 8]:
    """
    @return The tiers' terms, best first.
    """
    found: DynArray[ICreditPool.Tier, 8] = []
    for index: uint256 in range(TIER_COUNT, bound=8):
        found.append(self._terms(index))
    return found


@external
@view
def books() -> ICreditPool.Books:
    """
    @return What the tranches have, what the model is owed, and what is lent out, in all and by tier, at this second.
    """
    return self._accrued()[0]


@external
@view
def position_of(borrower: address) -> ICreditPool.Position:
    """
    @param borrower Whose.
    @return Collateral, debt at this second, its shares, the loan's tier, when a score last gave it, and when an auction
            began (0 none).
    """
    return self._position(borrower, self._accrued()[0])


@external
@view
def tier_of(borrower: address) -> uint256:
    """
    @notice Which tier new borrowing would get; reverts where none may be had because a score ended.
    @param borrower Who.
    @return The tier.
    """
    return self._score_of(borrower)[0]


@external
@view
def assets_of(tranche: uint256, account: address) -> uint256:
    """
    @param tranche 0 senior, 1 junior.
    @param account A lender.
    @return What its shares are worth at this second.
    """
    return self._assets_of(tranche, account, self._accrued()[0])


@external
@view
def shares_of(tranche: uint256, account: address) -> uint256:
    """
    @param tranche 0 senior, 1 junior.
    @param account A lender.
    @return Its shares.
    """
    return self._shares[tranche][self._epochs[tranche]][account]


@external
@view
def total_shares(tranche: uint256) -> uint256:
    """
    @param tranche 0 senior, 1 junior.
    @return All its shares.
    """
    return self._total_shares[tranche]


@external
@view
def max_withdraw(tranche: uint256, account: address) -> uint256:
    """
    @notice What `withdraw` would give at this second.
    @param tranche 0 senior, 1 junior.
    @param account A lender.
    @return The least of what it has, the cash, and for a junior lender what coverage and notice let go.
    """
    books: ICreditPool.Books = self._accrued()[0]
    most: uint256 = min(self._assets_of(tranche, account, books), self._cash(books))
    if tranche == SENIOR:
        return most
    needed: uint256 = interest._ceil_div(books.debt * MARKET.coverage_bps, BPS)
    junior: uint256 = self._net(JUNIOR, books)
    most = min(most, junior - min(needed, junior))
    if MARKET.junior_notice_s > 0:
        exit: uint256 = self._exits[self._epochs[JUNIOR]][account]
        if not self._may_exit(exit):
            return 0
        announced: uint256 = interest._to_assets(
            exit >> 40, self._net(JUNIOR, books), self._total_shares[JUNIOR]
        )
        most = min(most, announced)
    return most


@external
@view
def liquidity() -> uint256:
    """
    @return The cash that may be borrowed or withdrawn at this second.
    """
    return self._cash(self._accrued()[0])


@external
@view
def base_rate() -> uint256:
    """
    @return The pool's rate a year at this second, before any tier's spread, in 1e-18.
    """
    return self._rate(self._accrued()[0])


@external
@view
def is_sound(borrower: address) -> bool:
    """
    @param borrower Whose loan.
    @return Whether its collateral still covers it by the loan's own LLTV and the feeders' price.
    """
    loan: ICreditPool.Position = self._position(borrower, self._accrued()[0])
    return loan.debt == 0 or self._covers(self._worth(loan.collateral, self._feeder_price()), loan)


@external
@view
def offer_digest(offer: ICreditPool.Offer) -> bytes32:
    """
    @param offer What is offered.
    @return What an issuer signs (EIP-712).
    """
    return self._offer_digest(offer)


@external
@view
def eip712Domain() -> (bytes1, String[18], String[1], uint256, address, bytes32, DynArray[uint256, 1]):
    """
    @notice The signing domain (ERC-5267).
    @return Which fields are used, name, version, chain id, contract, salt and extensions.
    """
    return (0x0f, NAME, VERSION, chain.id, self, empty(bytes32), [])


# --- books -----------------------------------------------------------------------------------------------------------


@internal
@view
def _accrued() -> (ICreditPool.Books, uint256[8], uint256, uint256, uint256, uint256):
    """
    @dev The books at this second, the tiers' words, and the interest since they were written: all of it, the fee, the junior
         part. Interest below one unit is kept in 2**-24, so that nobody makes it vanish by writing often. The pool's
         rate is for both tranches by what they have; the spread is for the junior one as far as it bears the risk: where
         it covers only a part of what it must, only that part of the spread is its own, and the rest is everyone's.
    """
    sums: uint256 = self._sums
    tranches: uint256 = self._tranches
    books: ICreditPool.Books = ICreditPool.Books(
        senior=tranches >> 128, junior=tranches & LOW, fees=(sums >> 40) & (2**88 - 1), debt=sums >> 128, debts=empty(uint256[8])
    )
    elapsed: uint256 = block.timestamp - (sums & (2**40 - 1))
    words: uint256[8] = empty(uint256[8])
    if books.debt == 0:
        return books, words, 0, 0, 0, 0
    rate: uint256 = self._rate(books)
    total: uint256 = 0
    risk: uint256 = 0
    for index: uint256 in range(TIER_COUNT, bound=8):
        word: uint256 = self._tiers[index]
        debt: uint256 = word >> 152
        words[index] = word
        if debt > 0 and elapsed > 0:
            spread: uint256 = ((TIERS[index] >> 96) & MASK) * (WAD // BPS)
            grown: uint256 = debt * interest._growth(rate + spread, elapsed) * 2**24 // WAD
            grown += (word >> 128) & (2**24 - 1)
            rest: uint256 = grown & (2**24 - 1)
            grown >>= 24
            if grown > 0:
                total += grown
                risk += grown * spread // (rate + spread)
                debt += grown
                self._require_fits(debt)
            words[index] = (debt << 152) | (rest << 128) | (word & LOW)
        books.debts[index] = debt
    if total == 0:
        return books, words, 0, 0, 0, rate
    fee: uint256 = min(total * MARKET.fee_bps // BPS, 2**88 - 1 - books.fees)
    risk = risk * (total - fee) // total
    needed: uint256 = books.debt * MARKET.coverage_bps
    if books.junior * BPS < needed:
        risk = risk * books.junior * BPS // needed
    to_junior: uint256 = 0
    if self._total_shares[JUNIOR] > 0:
        if self._total_shares[SENIOR] == 0:
            to_junior = total - fee
        else:
            to_junior = risk + (total - fee - risk) * books.junior // max(books.junior + books.senior, 1)
    books.debt += total
    books.fees += fee
    books.junior += to_junior
    books.senior += total - fee - to_junior
    return books, words, total, fee, to_junior, rate


@internal
def _accrue() -> ICreditPool.Books:
    """
    @dev Write the books of this second.
    """
    books: ICreditPool.Books = empty(ICreditPool.Books)
    words: uint256[8] = empty(uint256[8])
    total: uint256 = 0
    fee: uint256 = 0
    to_junior: uint256 = 0
    rate: uint256 = 0
    books, words, total, fee, to_junior, rate = self._accrued()
    if self._supply_before & (2**64 - 1) != block.number:
        self._supply_before = ((books.senior + books.junior) << 64) | block.number
    if books.debt > 0:
        for index: uint256 in range(TIER_COUNT, bound=8):
            if self._tiers[index] != words[index]:
                self._tiers[index] = words[index]
    if total > 0:
        self._set_tranches(books.senior, books.junior)
        log ICreditPool.Accrued(interest=total, fee=fee, to_junior=to_junior, base_rate_bps=rate * BPS // WAD)
    self._set_sums(books.debt, books.fees)
    return books


@internal
@view
def _rate(books: ICreditPool.Books) -> uint256:
    return interest._base_rate(
        books.debt,
        books.senior + books.junior + books.fees,
        MARKET.base_rate_bps,
        MARKET.kink_rate_bps,
        MARKET.full_rate_bps,
        MARKET.kink_bps,
    )


@internal
@view
def _cash(books: ICreditPool.Books) -> uint256:
    return books.senior + books.junior + books.fees - books.debt


@internal
def _set_tranches(senior: uint256, junior: uint256):
    self._require_fits(max(senior, junior))
    self._tranches = (senior << 128) | junior


@internal
def _set_sums(debt: uint256, fees: uint256):
    self._require_fits(debt)
    self._sums = (debt << 128) | (fees << 40) | block.timestamp


@internal
@pure
def _require(account: address):
    assert account != empty(address), "account missing"


@internal
@pure
def _require_some(units: uint256):
    assert units > 0, "amount too small"


@internal
@pure
def _require_amount(amount: uint256):
    assert amount > 0 and amount < LARGEST, "amount out of range"


@internal
@pure
def _require_held(units: uint256, held: uint256):
    assert units <= held, "more than there is"


@internal
@view
def _require_cash(assets: uint256, books: ICreditPool.Books):
    assert assets <= self._cash(books), "not enough cash"


@internal
@view
def _require_cover(junior: uint256, debt: uint256):
    assert junior * BPS >= debt * MARKET.coverage_bps, "junior must cover the debt"


@internal
@view
def _require_no_dust(amount: uint256):
    assert amount >= MARKET.min_debt, "leaves dust"


@internal
@view
def _require_no_offer():
    assert not MARKET.offer_required, "this pool needs an offer"


@internal
@view
def _require_covered(worth: uint256, loan: ICreditPool.Position):
    assert self._covers(worth, loan), "too little collateral"


@internal
@pure
def _require_fits(amount: uint256):
    assert amount < MOST_DEBT, "books overflow"


@internal
@pure
def _total(tranche: uint256, books: ICreditPool.Books) -> uint256:
    assert tranche <= JUNIOR, "no such tranche"
    return books.junior if tranche == JUNIOR else books.senior


@internal
@view
def _net(tranche: uint256, books: ICreditPool.Books) -> uint256:
    """
    @dev What a tranche has beside the losses that marks have shown, which the junior one bears first: what shares are
         worth that leave. Shares that come pay for all there is, so that nobody buys into another's recovery.
    """
    seen: uint256 = self._all_seen
    if tranche == SENIOR:
        return books.senior - min(books.senior, seen - min(seen, books.junior))
    return self._total(tranche, books) - min(books.junior, seen)


@internal
def _add(tranche: uint256, books: ICreditPool.Books, assets: uint256):
    if tranche == JUNIOR:
        self._set_tranches(books.senior, books.junior + assets)
    else:
        self._set_tranches(books.senior + assets, books.junior)


@internal
@view
def _assets_of(tranche: uint256, account: address, books: ICreditPool.Books) -> uint256:
    return interest._to_assets(
        self._shares[tranche][self._epochs[tranche]][account],
        self._net(tranche, books),
        self._total_shares[tranche],
    )


@internal
@view
def _may_exit(exit: uint256) -> bool:
    """
    @dev Whether this is within the day after the notice.
    """
    from_time: uint256 = exit & (2**40 - 1)
    return block.timestamp >= from_time and block.timestamp <= from_time + EXIT_WINDOW_S


@internal
def _take(tranche: uint256, books: ICreditPool.Books, assets: uint256, shares: uint256, receiver: address):
    """
    @dev Shares leave, assets are paid.
    """
    self._require(receiver)
    self._require_some(assets)
    epoch: uint256 = self._epochs[tranche]
    held: uint256 = self._shares[tranche][epoch][msg.sender]
    self._require_held(shares, held)
    self._require_cash(assets, books)
    self._shares[tranche][epoch][msg.sender] = held - shares
    self._total_shares[tranche] -= shares
    if tranche == JUNIOR:
        self._require_cover(self._net(JUNIOR, books) - assets, books.debt)
        if MARKET.junior_notice_s > 0:
            exit: uint256 = self._exits[epoch][msg.sender]
            assert self._may_exit(exit), "announce the exit first"
            assert shares <= exit >> 40, "more than announced"
            self._exits[epoch][msg.sender] = exit - (shares << 40)
        self._set_tranches(books.senior, books.junior - assets)
    else:
        self._set_tranches(books.senior - assets, books.junior)
    log ICreditPool.Withdrawn(
        tranche=tranche, account=msg.sender, receiver=receiver, assets=assets, shares=shares
    )
    erc20_transfers._pay(MARKET.loan_token, receiver, assets)


@internal
@view
def _position(borrower: address, books: ICreditPool.Books) -> ICreditPool.Position:
    """
    @dev A debt is rounded up, so that no rest stays when the last of a tier pays.
    """
    word: uint256 = self._loans[borrower]
    shares: uint256 = self._debt_shares[borrower]
    tier: uint256 = (word >> 80) & 255
    debt: uint256 = 0
    if shares > 0:
        debt = interest._ceil_div(shares * books.debts[tier], self._tiers[tier] & LOW)
    return ICreditPool.Position(
        collateral=word >> 128,
        debt=debt,
        shares=shares,
        tier=tier,
        confirmed_at=(word >> 40) & (2**40 - 1),
        auction_from=word & (2**40 - 1),
    )


@internal
def _keep(borrower: address, loan: ICreditPool.Position, loss: uint256):
    """
    @dev A loan that is paid leaves nothing but its collateral. `loss` is what it would lose if it were sold now; nothing
         without an auction.
    """
    auction_from: uint256 = self._loans[borrower] & (2**40 - 1)
    word: uint256 = loan.collateral << 128
    if loan.shares > 0:
        word |= (loan.tier << 80) | (loan.confirmed_at << 40) | loan.auction_from
    self._loans[borrower] = word
    self._debt_shares[borrower] = loan.shares
    if auction_from | loan.auction_from != 0:
        seen: uint256 = self._seen[borrower]
        if seen != loss:
            self._seen[borrower] = loss
            self._all_seen = self._all_seen + loss - seen
            log ICreditPool.LossSeen(borrower=borrower, loss=loss)
        if word & (2**40 - 1) == 0 and auction_from != 0:
            log ICreditPool.AuctionEnded(borrower=borrower)


@internal
def _reduce(
    loan: ICreditPool.Position, books: ICreditPool.Books, paid: uint256
) -> ICreditPool.Position:
    """
    @dev The loan after `paid` leaves it and the books. Shares that leave are rounded down.
    """
    assert paid > 0, "nothing to repay"
    after: ICreditPool.Position = loan
    total: uint256 = self._tiers[loan.tier] & LOW
    gone: uint256 = loan.shares
    if paid < loan.debt:
        gone = paid * total // books.debts[loan.tier]
    self._shrink(loan.tier, paid, gone)
    self._set_sums(books.debt - paid, books.fees)
    after.shares -= gone
    after.debt = 0
    if after.shares > 0:
        after.debt = interest._ceil_div(after.shares * (books.debts[loan.tier] - paid), total - gone)
    return after


@internal
def _shrink(tier: uint256, debt: uint256, shares: uint256):
    """
    @dev Debt and its shares leave a tier. What remains of the interest below one unit stays.
    """
    word: uint256 = self._tiers[tier]
    assert debt <= word >> 152 and shares <= word & LOW, "books overflow"
    self._tiers[tier] = word - (debt << 152) - shares


@internal
def _increase(loan: ICreditPool.Position, tier: uint256, amount: uint256) -> ICreditPool.Position:
    """
    @dev The loan after it grew within a tier; new shares are rounded up. The sum of all debts is the caller's to write.
    """
    after: ICreditPool.Position = loan
    word: uint256 = self._tiers[tier]
    debt: uint256 = word >> 152
    total: uint256 = word & LOW
    shares: uint256 = amount * 10**6
    if total > 0:
        shares = interest._ceil_div(amount * total, debt)
    debt += amount
    total += shares
    self._require_fits(max(total >> 24, debt))
    self._tiers[tier] = word + (amount << 152) + shares
    after.tier = tier
    after.shares += shares
    after.debt = interest._ceil_div(after.shares * debt, total)
    return after


@internal
def _realise(
    borrower: address, loan: ICreditPool.Position, books: ICreditPool.Books
) -> ICreditPool.Position:
    """
    @dev What nobody will pay is taken from the junior tranche, then the senior one, then what the model is owed. A
         tranche that is left with nothing begins anew, and so does one whose shares are worth a millionth of what the
         first cost: else whoever lent next would need more shares than there are numbers. The crumb stays in it.
    """
    self._shrink(loan.tier, loan.debt, loan.shares)
    self._defaulted_in[borrower] = block.number
    from_junior: uint256 = min(loan.debt, books.junior)
    from_senior: uint256 = min(loan.debt - from_junior, books.senior)
    from_fees: uint256 = loan.debt - from_junior - from_senior
    self._set_tranches(books.senior - from_senior, books.junior - from_junior)
    self._set_sums(books.debt - loan.debt, books.fees - from_fees)
    self._begin_anew(JUNIOR, books.junior - from_junior)
    self._begin_anew(SENIOR, books.senior - from_senior)
    log ICreditPool.Defaulted(
        borrower=borrower,
        tier=loan.tier,
        bad_debt=loan.debt,
        from_junior=from_junior,
        from_senior=from_senior,
        from_fees=from_fees,
    )
    after: ICreditPool.Position = loan
    after.debt = 0
    after.shares = 0
    return after


@internal
def _begin_anew(tranche: uint256, left: uint256):
    if left * WORN_OUT < self._total_shares[tranche]:
        epoch: uint256 = self._epochs[tranche] + 1
        self._total_shares[tranche] = 0
        self._epochs[tranche] = epoch
        log ICreditPool.TrancheBegun(tranche=tranche, epoch=epoch)


# --- loans -----------------------------------------------------------------------------------------------------------


@internal
def _borrow(amount: uint256, receiver: address, offered: uint256, ratio_bps: uint256) -> uint256:
    """
    @dev `offered` is the offered tier plus one, 0 without an offer; `ratio_bps` what the offer asks for.
    """
    self._require(receiver)
    books: ICreditPool.Books = self._accrue()
    loan: ICreditPool.Position = self._position(msg.sender, books)
    tier: uint256 = 0
    wallets: DynArray[address, 8] = []
    scored: bool = False
    tier, wallets, scored = self._score_of(msg.sender)
    # The grace is for what is owed already: nobody draws on a tier that no score gives any more.
    if amount == 0 and scored and tier > loan.tier and block.timestamp < loan.confirmed_at + MARKET.grace_s:
        tier = loan.tier
    else:
        loan.confirmed_at = block.timestamp
    if offered > 0:
        assert offered > tier, "better than the tier"
        tier = offered - 1
    if loan.debt > 0 and tier != loan.tier:
        before: uint256 = loan.tier
        debt: uint256 = loan.debt
        self._shrink(before, debt, loan.shares)
        loan.shares = 0
        loan = self._increase(loan, tier, debt)
        log ICreditPool.TierChanged(borrower=msg.sender, before=before, after=tier, debt=debt)
    if amount > 0:
        loan = self._increase(loan, tier, amount)
    loan.auction_from = 0
    self._keep(msg.sender, loan, 0)
    self._require_cash(amount, books)
    books.debt += amount
    self._set_sums(books.debt, books.fees)

    assert loan.debt >= MARKET.min_debt, "below the least debt"
    worth: uint256 = self._worth(loan.collateral, self._market_price())
    self._require_covered(worth, loan)
    assert worth * BPS >= loan.debt * ratio_bps, "below the offer's ratio"
    self._require_cover(self._net(JUNIOR, books), books.debt)
    owed: uint256 = loan.debt
    for wallet: address in wallets:
        if wallet != msg.sender:
            books.debts[(self._loans[wallet] >> 80) & 255] = self._tiers[(self._loans[wallet] >> 80) & 255] >> 152
            owed += self._position(wallet, books).debt
    assert owed <= TIERS[tier] >> 160, "above the tier's cap"
    # What was lent within this block counts for nothing: nobody raises the cap with money that leaves again.
    supply: uint256 = min(books.senior + books.junior, self._supply_before >> 64)
    assert owed * BPS <= supply * MARKET.borrower_cap_bps, "above the borrower's cap"
    log ICreditPool.Borrowed(
        borrower=msg.sender, receiver=receiver, tier=tier, amount=amount, debt=loan.debt
    )
    erc20_transfers._pay(MARKET.loan_token, receiver, amount)
    return loan.debt


@internal
@view
def _score_of(borrower: address) -> (uint256, DynArray[address, 8], bool):
    """
    @dev The tier that a score gives now, the wallets that share its history, and whether it is a score that gives it. The
         worst tier of all without a valid score that looked at the block of the last default of any of them. A
         probability of default above the tier's own moves to a tier that is priced for it.
    """
    score: IBundles.Score = staticcall IBundles(MARKET.bundles).score_of(
        MARKET.attestations, MARKET.schema, MARKET.work_id, borrower
    )
    worst: uint256 = TIER_COUNT - 1
    if not score.is_valid:
        return worst, score.wallets, False
    for wallet: address in score.wallets:
        if score.as_of_block < self._defaulted_in[wallet]:
            return worst, score.wallets, False
    tier: uint256 = min(score.tier, worst)
    for step: uint256 in range(8):
        if tier == worst or score.pd_bps <= (TIERS[tier] >> 64) & MASK:
            break
        tier += 1
    return tier, score.wallets, True


@internal
@view
def _terms(tier: uint256) -> ICreditPool.Tier:
    """
    @dev Terms are kept in one word each: cap 96 bits, then LLTV, spread, PD, LGD and capital charge, 32 bits each.
    """
    word: uint256 = TIERS[tier]
    return ICreditPool.Tier(
        lltv_bps=(word >> 128) & MASK,
        spread_bps=(word >> 96) & MASK,
        cap=word >> 160,
        pd_bps=(word >> 64) & MASK,
        lgd_bps=(word >> 32) & MASK,
        capital_bps=word & MASK,
    )


@internal
@view
def _covers(worth: uint256, loan: ICreditPool.Position) -> bool:
    """
    @dev Whether collateral of this worth makes a loan sound, by the LLTV it was given.
    """
    return worth * ((TIERS[loan.tier] >> 128) & MASK) >= loan.debt * BPS


@internal
@view
def _worth(collateral: uint256, price: uint256) -> uint256:
    """
    @dev In the loan token's smallest unit, rounded down.
    """
    return collateral * price * PRICE_TOP // PRICE_BOTTOM


@internal
@view
def _market_price() -> uint256:
    """
    @dev The price that feeders and market agree on; reverts where they do not.
    """
    return self._positive((staticcall IPriceFeed(MARKET.feed).latestRoundData())[1])


@internal
@view
def _feeder_price() -> uint256:
    """
    @dev The feeders' price alone: liquidation goes on while the market disagrees.
    """
    return self._positive((staticcall IPriceFeed(MARKET.feed).latestFeederData())[1])


@internal
@pure
def _positive(answer: int256) -> uint256:
    assert answer > 0 and answer < 2**80, "price out of range"
    return convert(answer, uint256)


@internal
def _auctioned(borrower: address, loan: ICreditPool.Position) -> ICreditPool.Position:
    """
    @dev An unsound loan with its auction, which begins now unless one runs.
    """
    after: ICreditPool.Position = loan
    if loan.auction_from == 0 or block.timestamp > loan.auction_from + AUCTIONS_LAST * MARKET.auction_s:
        after.auction_from = block.timestamp
        self._loans[borrower] = ((self._loans[borrower] >> 40) << 40) | block.timestamp
        log ICreditPool.AuctionStarted(borrower=borrower, debt=loan.debt, collateral=loan.collateral)
    return after


@internal
@pure
def _loss(debt: uint256, worth: uint256, bonus_bps: uint256) -> uint256:
    """
    @dev What nobody pays of a debt whose collateral is sold with this bonus.
    """
    return debt - min(debt, worth * BPS // (BPS + bonus_bps))


@internal
@view
def _bonus(loan: ICreditPool.Position, worth: uint256) -> uint256:
    """
    @dev What a liquidator gets now beyond what is repaid, in 1e-4 of it. Its beginning costs nobody anything, and no
         fall of the price makes it jump: a bonus that is less just above the debt than below it would be worth waiting
         for.
    """
    least: uint256 = MARKET.min_bonus_bps
    if worth * BPS < loan.debt * (BPS + least):
        least = (max(worth, loan.debt) - loan.debt) * BPS // loan.debt
    passed: uint256 = min(block.timestamp - loan.auction_from, MARKET.auction_s)
    return least + (MARKET.max_bonus_bps - least) * passed // MARKET.auction_s


@internal
@view
def _require_unspent(signer: address, digest: bytes32):
    assert not (
        self._spent_offers[empty(address)][digest] or self._spent_offers[signer][digest]
    ), "offer already used"


@internal
@view
def _offer_digest(offer: ICreditPool.Offer) -> bytes32:
    return eip712._digest(
        eip712._separator(NAME_HASH, VERSION_HASH, self),
        keccak256(abi_encode(OFFER_TYPE_HASH, offer)),
    )
