# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title A price that feeders sign and a market confirms
@license Apache-2.0
@author Koinon
@notice Chainlink's AggregatorV3 ABI. The answer is the price of one whole base token in whole quote tokens, times
        10**decimals.
        - Feeders: a fixed set. Each signs (feed, price, second of observation, round); anyone posts `threshold` or
          more of these for the next round, and their median is the round's answer. While fewer than half of `threshold`
          feeders lie, the median is within the range of honest prices, whichever are posted; fewer than half of those
          posted is enough. A signature serves one feed and one round. The round's time is the lower median of theirs, so
        that as few liars can neither age a round nor make it younger.
        - Market: the time-weighted average price of a Uniswap V2 pair over at least `window_s` seconds (at most twice
          that), from observations kept here; anyone makes one, and every post does.
        - `latestRoundData` answers only while the round is no older than `max_age_s` and differs from the pair's
          average by at most `max_deviation_bps`; otherwise it reverts with the reason. Whoever moves a thin pair can
          stop the feed, at the cost of holding the pool's price for a good part of the window, but not move it.
        - `latestFeederData` needs only a fresh round: for what must go on while the market is disturbed.
        Whoever posts chooses which of the valid signatures to post, so within the honest range of the moment.
@dev Every bound is in the code; nobody owns this contract. Slots hold one observation for each eighth of the window.
@custom:source Chainlink AggregatorV3Interface; Uniswap V2 Core, section 2.2; EIP-712
"""

from ethereum.ercs import IERC20Detailed
from interfaces import IPair
from interfaces import IPriceFeed
from koinon.works.contracts import eip712
from koinon.works.contracts import signatures

implements: IPriceFeed


struct Report:
    feeder: uint256  # index in the set of feeders; ascending within a post
    price: int256
    observed_at: uint64  # unix time
    signature: Bytes[512]


struct Round:
    answer: int256
    observed_at: uint256  # the lower median of the reports'
    posted_at: uint256


struct Observation:
    at: uint256
    cumulative: uint256


MAX_FEEDERS: constant(uint256) = 16
MAX_PRICE: constant(int256) = 2**191 - 1  # as Chainlink's answers; no product overflows
SLOTS: constant(uint256) = 16
SLOTS_A_WINDOW: constant(uint256) = 8
NAME_HASH: constant(bytes32) = keccak256("Koinon PriceFeed")
VERSION_HASH: constant(bytes32) = keccak256("1")
PRICE_TYPEHASH: public(constant(bytes32)) = keccak256(
    "Price(address feed,int256 price,uint64 observedAt,uint80 round)"
)
version: public(constant(uint256)) = 1

pair: public(immutable(address))
base_token: public(immutable(address))
quote_token: public(immutable(address))
decimals: public(immutable(uint8))
description: public(immutable(String[64]))
threshold: public(immutable(uint256))
max_age_s: public(immutable(uint256))
window_s: public(immutable(uint256))
max_deviation_bps: public(immutable(uint256))
FEEDERS: immutable(DynArray[address, MAX_FEEDERS])
BASE_IS_TOKEN0: immutable(bool)
SCALE_UP: immutable(uint256)
SCALE_DOWN: immutable(uint256)

latest_round: public(uint80)
_rounds: HashMap[uint80, Round]
_observations: Observation[SLOTS]


@deploy
def __init__(
    pair_: address,
    base_token_: address,
    decimals_: uint8,
    description_: String[64],
    feeders_: DynArray[address, MAX_FEEDERS],
    threshold_: uint256,
    max_age_s_: uint256,
    window_s_: uint256,
    max_deviation_bps_: uint256,
):
    """
    @notice A feed without a price; its first observation of the pair is made at once.
    @param pair_ The market: a Uniswap V2 pair.
    @param base_token_ The token priced; the other one of the pair is the quote.
    @param decimals_ Digits after the point of the answer, at most 18.
    @param description_ Such as "tETH / tUSD".
    @param feeders_ The accounts that sign prices, 1 to 16 different ones.
    @param threshold_ How many of them make a round: more than half of the set.
    @param max_age_s_ Seconds after which a round is stale.
    @param window_s_ Seconds that the average covers, at least 8.
    @param max_deviation_bps_ Largest difference of round and average, in 1e-4 of the round's answer; below 10,000.
    """
    count: uint256 = len(feeders_)
    assert count > 0, "no feeders"
    assert threshold_ * 2 > count and threshold_ <= count, "threshold out of range"
    for index: uint256 in range(count, bound=MAX_FEEDERS):
        assert feeders_[index] != empty(address), "feeder missing"
        for other: uint256 in range(index, bound=MAX_FEEDERS):
            assert feeders_[other] != feeders_[index], "feeder twice"
    assert decimals_ <= 18, "more than 18 decimals"
    assert max_age_s_ > 0, "age missing"
    assert window_s_ >= SLOTS_A_WINDOW, "window too short"
    assert max_deviation_bps_ > 0 and max_deviation_bps_ < 10_000, "deviation out of range"
    token0: address = staticcall IPair(pair_).token0()
    token1: address = staticcall IPair(pair_).token1()
    assert base_token_ == token0 or base_token_ == token1, "base is not in the pair"
    pair = pair_
    base_token = base_token_
    quote_token = token1 if base_token_ == token0 else token0
    BASE_IS_TOKEN0 = base_token_ == token0
    decimals = decimals_
    description = description_
    threshold = threshold_
    max_age_s = max_age_s_
    window_s = window_s_
    max_deviation_bps = max_deviation_bps_
    FEEDERS = feeders_
    base_decimals: uint8 = staticcall IERC20Detailed(base_token_).decimals()
    quote_decimals: uint8 = staticcall IERC20Detailed(quote_token).decimals()
    assert base_decimals <= 18 and quote_decimals <= 18, "token with more than 18 decimals"
    # Units of quote for a unit of base, times 10**(decimals + base decimals - quote decimals).
    up: uint256 = convert(base_decimals + decimals_, uint256)
    down: uint256 = convert(quote_decimals, uint256)
    SCALE_UP = 10 ** (up - min(up, down))
    SCALE_DOWN = 10 ** (down - min(up, down))
    self._observe()


# --------------------------------------------------------------------------------------------- writing


@external
def post(round_id: uint80, reports: DynArray[Report, MAX_FEEDERS]) -> int256:
    """
    @notice Post the next round. Anyone may.
    @param round_id One more than the latest round: what the feeders signed.
    @param reports Signed prices, ascending by feeder, at least `threshold`, each newer than the round before.
    @return The answer: the median, for an even number the lower mean of both in the middle.
    """
    assert round_id == self.latest_round + 1, "not the next round"
    count: uint256 = len(reports)
    assert count >= threshold, "too few reports"
    feeders: DynArray[address, MAX_FEEDERS] = FEEDERS
    separator: bytes32 = eip712._separator(NAME_HASH, VERSION_HASH, self)
    last: uint256 = self._rounds[self.latest_round].observed_at
    times: uint256[MAX_FEEDERS] = empty(uint256[MAX_FEEDERS])
    prices: int256[MAX_FEEDERS] = empty(int256[MAX_FEEDERS])
    position: uint256 = 0
    next_feeder: uint256 = 0
    for report: Report in reports:
        assert report.feeder >= next_feeder, "feeders not ascending"
        assert report.feeder < len(feeders), "no such feeder"
        next_feeder = report.feeder + 1
        assert report.price > 0 and report.price <= MAX_PRICE, "price out of range"
        observed_at: uint256 = convert(report.observed_at, uint256)
        assert observed_at <= block.timestamp, "observed in the future"
        assert block.timestamp - observed_at <= max_age_s, "report is stale"
        assert observed_at > last, "report is older than the last round"
        struct_hash: bytes32 = keccak256(
            abi_encode(PRICE_TYPEHASH, self, report.price, report.observed_at, round_id)
        )
        assert signatures._signed_by(
            feeders[report.feeder], eip712._digest(separator, struct_hash), report.signature
        ), "invalid signature"
        # Insertion sort: reports are few, and often in order.
        place: uint256 = position
        for _: uint256 in range(position, bound=MAX_FEEDERS):
            if prices[place - 1] <= report.price:
                break
            prices[place] = prices[place - 1]
            place -= 1
        prices[place] = report.price
        place = position
        for _: uint256 in range(position, bound=MAX_FEEDERS):
            if times[place - 1] <= observed_at:
                break
            times[place] = times[place - 1]
            place -= 1
        times[place] = observed_at
        position += 1
    answer: int256 = prices[count // 2]
    if count % 2 == 0:
        answer = (prices[count // 2 - 1] + answer) // 2
    observed: uint256 = times[(count - 1) // 2]
    self.latest_round = round_id
    self._rounds[round_id] = Round(answer=answer, observed_at=observed, posted_at=block.timestamp)
    log IPriceFeed.Posted(round_id=round_id, answer=answer, observed_at=observed, reports=count)
    self._observe()
    return answer


@external
def observe() -> bool:
    """
    @notice Keep the pair's cumulative price as it is now, for later averages. Anyone may; one for each eighth of the
            window is kept.
    @return Whether it was the first of its eighth.
    """
    return self._observe()


# --------------------------------------------------------------------------------------------- reading


@external
@view
def latestRoundData() -> (uint80, int256, uint256, uint256, uint80):
    """
    @notice The latest round, only while feeders and market agree and both are fresh.
    @return Round, answer, the lower median of its reports' seconds twice (started, updated), round.
    """
    round: Round = self._fresh()
    market: uint256 = self._twap()
    answer: uint256 = convert(round.answer, uint256)
    difference: uint256 = market - answer if market > answer else answer - market
    assert difference <= answer, "feeders and market disagree"
    assert difference * 10_000 <= answer * max_deviation_bps, "feeders and market disagree"
    return self.latest_round, round.answer, round.observed_at, round.observed_at, self.latest_round


@external
@view
def latestFeederData() -> (uint80, int256, uint256, uint256, uint80):
    """
    @notice The latest round while it is fresh, whatever the market says.
    @return As latestRoundData.
    """
    round: Round = self._fresh()
    return self.latest_round, round.answer, round.observed_at, round.observed_at, self.latest_round


@external
@view
def getRoundData(round_id: uint80) -> (uint80, int256, uint256, uint256, uint80):
    """
    @notice A round of the past, as its feeders gave it.
    @param round_id Its number.
    @return As latestRoundData, with the second it was posted at as the time of its update.
    """
    round: Round = self._rounds[round_id]
    assert round.posted_at != 0, "no such round"
    return round_id, round.answer, round.observed_at, round.posted_at, round_id


@external
@view
def twap() -> uint256:
    """
    @notice The pair's average price over at least `window_s` seconds until now.
    @return The price of one whole base token in whole quote tokens, times 10**decimals.
    """
    return self._twap()


@external
@view
def spot() -> uint256:
    """
    @notice The pair's price by its books at this moment. Anyone can move it within one transaction: never rely on it.
    @return As `twap`.
    """
    reserve0: uint112 = 0
    reserve1: uint112 = 0
    at: uint32 = 0
    reserve0, reserve1, at = staticcall IPair(pair).getReserves()
    assert reserve0 > 0 and reserve1 > 0, "pair is empty"
    return self._scaled(self._price(convert(reserve0, uint256), convert(reserve1, uint256)))


@external
@view
def feeders() -> DynArray[address, MAX_FEEDERS]:
    """
    @return The accounts that sign prices, in the order of their indices.
    """
    return FEEDERS


@external
@view
def observation(slot: uint256) -> Observation:
    """
    @param slot 0 to 15: (unix time // (window_s // 8)) modulo 16.
    @return What is kept there.
    """
    return self._observations[slot]


@external
@view
def DOMAIN_SEPARATOR() -> bytes32:
    """
    @notice The EIP-712 domain separator of signed prices: Koinon PriceFeed, 1, chain id, this feed.
    """
    return eip712._separator(NAME_HASH, VERSION_HASH, self)


# --------------------------------------------------------------------------------------------- inside


@internal
@view
def _fresh() -> Round:
    round: Round = self._rounds[self.latest_round]
    assert round.posted_at != 0, "no round yet"
    assert block.timestamp - round.observed_at <= max_age_s, "feeders' price is stale"
    return round


@internal
def _observe() -> bool:
    """
    @dev The first observation of a period stays: a later one in the same period would shorten the average.
    """
    period: uint256 = window_s // SLOTS_A_WINDOW
    slot: uint256 = block.timestamp // period % SLOTS
    if self._observations[slot].at // period == block.timestamp // period:
        return False
    cumulative: uint256 = 0
    found: bool = False
    found, cumulative = self._cumulative()
    if not found:
        return False  # an empty pair stops the average, never the feeders' price
    self._observations[slot] = Observation(at=block.timestamp, cumulative=cumulative)
    log IPriceFeed.Observed(cumulative=cumulative, observed_at=block.timestamp)
    return True


@internal
@view
def _twap() -> uint256:
    """
    @dev Looks for the newest observation that is at least a window old; none older than two windows is used.
    """
    found: bool = False
    cumulative: uint256 = 0
    found, cumulative = self._cumulative()
    assert found, "pair is empty"
    period: uint256 = window_s // SLOTS_A_WINDOW
    current: uint256 = block.timestamp // period
    for back: uint256 in range(SLOTS_A_WINDOW, SLOTS):
        if back > current:
            break
        at: uint256 = self._observations[(current - back) % SLOTS].at
        if at // period == current - back and block.timestamp - at >= window_s:
            before: uint256 = self._observations[(current - back) % SLOTS].cumulative
            return self._scaled(unsafe_sub(cumulative, before) // (block.timestamp - at))
    raise "no observation of the market's window"


@internal
@view
def _cumulative() -> (bool, uint256):
    """
    @dev Whether the pair has reserves, and its cumulative price of the base token as if its books had been closed now.
    """
    reserve0: uint112 = 0
    reserve1: uint112 = 0
    last: uint32 = 0
    reserve0, reserve1, last = staticcall IPair(pair).getReserves()
    if reserve0 == 0 or reserve1 == 0:
        return False, 0
    cumulative: uint256 = 0
    if BASE_IS_TOKEN0:
        cumulative = staticcall IPair(pair).price0CumulativeLast()
    else:
        cumulative = staticcall IPair(pair).price1CumulativeLast()
    elapsed: uint256 = unsafe_sub(block.timestamp, convert(last, uint256)) & convert(max_value(uint32), uint256)
    price: uint256 = self._price(convert(reserve0, uint256), convert(reserve1, uint256))
    return True, unsafe_add(cumulative, unsafe_mul(price, elapsed))


@internal
@view
def _price(reserve0: uint256, reserve1: uint256) -> uint256:
    """
    @dev Units of quote for a unit of base, as UQ112x112.
    """
    return unsafe_div(reserve1 << 112, reserve0) if BASE_IS_TOKEN0 else unsafe_div(reserve0 << 112, reserve1)


@internal
@view
def _scaled(price: uint256) -> uint256:
    """
    @dev From UQ112x112 of smallest units to the answer's scale, rounded down.
    """
    whole: uint256 = (price >> 112) * SCALE_UP
    fraction: uint256 = ((price & convert(max_value(uint112), uint256)) * SCALE_UP) >> 112
    return (whole + fraction) // SCALE_DOWN
