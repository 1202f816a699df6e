# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Scorecard
@license Apache-2.0
@author Koinon
@notice A credit score that anyone can compute again: a table of whole numbers, one look-up a feature and one sum. The
        table is stored once, when this contract is created, as the code of another contract, and never changes. Its
        digest is what the model's card names.
@dev The packed form is that of `koinon.lending.scorecard_table`. Nobody owns this contract.
@custom:source EIP-3541 (data code begins with 0x00, never 0xEF)
"""

MISSING: public(constant(int256)) = -9223372036854775808
VERSION: constant(uint256) = 1
HEADER: constant(uint256) = 128
BLOCK: constant(uint256) = 224
MAXIMUM_FEATURES: constant(uint256) = 64
MAXIMUM_EDGES: constant(uint256) = 15
MAXIMUM_TIERS: constant(uint256) = 16

digest: public(immutable(bytes32))
names_digest: public(immutable(bytes32))
feature_count: public(immutable(uint256))
tier_count: public(immutable(uint256))
base_points: public(immutable(int256))
table: public(immutable(address))
THRESHOLDS: immutable(uint256[2])


@deploy
def __init__(packed: Bytes[14464]):
    """
    @notice Keep a table for ever.
    @param packed The table, as `ScorecardTable.encode` packs it; refused unless well formed.
    """
    assert len(packed) >= HEADER + BLOCK, "no features"
    head: uint256 = convert(extract32(packed, 0), uint256)
    assert head >> 248 == VERSION, "unknown version"
    count: uint256 = (head >> 240) & 255
    tiers: uint256 = (head >> 232) & 255
    assert count <= MAXIMUM_FEATURES and len(packed) == HEADER + BLOCK * count, "wrong length"
    assert tiers <= MAXIMUM_TIERS, "too many tiers"
    thresholds: uint256[2] = [convert(extract32(packed, 64), uint256), convert(extract32(packed, 96), uint256)]
    for index: uint256 in range(1, max(tiers, 1), bound=MAXIMUM_TIERS):
        assert self._int32_at(thresholds[(index - 1) // 8], (index - 1) % 8) > self._int32_at(
            thresholds[index // 8], index % 8
        ), "thresholds must fall"
    for number: uint256 in range(count, bound=MAXIMUM_FEATURES):
        start: uint256 = HEADER + BLOCK * number
        info: uint256 = convert(extract32(packed, start), uint256)
        edges: uint256 = info >> 248
        assert edges <= MAXIMUM_EDGES and (info >> 240) & 255 <= 1, "malformed feature"
        last: int256 = MISSING
        for index: uint256 in range(edges, bound=MAXIMUM_EDGES):
            word: uint256 = convert(extract32(packed, start + 32 + 32 * (index // 4)), uint256)
            edge: int256 = self._int64_at(word, index % 4)
            assert edge > last, "edges must rise"
            last = edge
    digest = keccak256(packed)
    names_digest = extract32(packed, 32)
    feature_count = count
    tier_count = tiers
    base_points = self._int32_at(head, 7)
    THRESHOLDS = thresholds
    size: uint256 = len(packed) + 1
    # PUSH2 size, RETURNDATASIZE, DUP2, PUSH1 10, RETURNDATASIZE, CODECOPY, RETURN, then a STOP before the data.
    table = raw_create(concat(b"\x61", convert(convert(size, uint16), bytes2), b"\x3d\x81\x60\x0a\x3d\x39\xf3\x00", packed))


@external
@view
def points(features: DynArray[int256, 64]) -> int256:
    """
    @notice The points of one row.
    @param features Scaled values in the table's order; MISSING (-2**63) where there is none.
    @return Their points and the base points, summed.
    """
    return self._points(features)


@external
@view
def tier(points: int256) -> uint256:
    """
    @notice The tier that points give.
    @param points As `points` says.
    @return 0 is the best; the number of thresholds, the worst.
    """
    return self._tier(points)


@external
@view
def score(features: DynArray[int256, 64]) -> (int256, uint256):
    """
    @notice Points and tier of one row.
    @param features As `points` takes them.
    @return Points, tier.
    """
    points: int256 = self._points(features)
    return points, self._tier(points)


# --- inside ----------------------------------------------------------------------------------------------------------


@internal
@view
def _points(features: DynArray[int256, 64]) -> int256:
    assert len(features) == feature_count, "one value a feature"
    total: int256 = base_points
    start: uint256 = 1 + HEADER
    for feature: int256 in features:
        packed: Bytes[224] = slice(table.code, start, BLOCK)
        total += self._feature_points(packed, feature)
        start += BLOCK
    return total


@internal
@pure
def _feature_points(packed: Bytes[224], feature: int256) -> int256:
    """
    @dev A value belongs to the first bin whose upper edge is not below it; missing and zero come first.
    """
    info: uint256 = convert(extract32(packed, 0), uint256)
    if feature == MISSING:
        return self._int32_at(info, 6)
    if feature == 0 and (info >> 240) & 255 == 1:
        return self._int32_at(info, 7)
    edges: uint256 = info >> 248
    bin: uint256 = 0
    word: uint256 = 0
    for index: uint256 in range(edges, bound=MAXIMUM_EDGES):
        if index % 4 == 0:
            word = convert(extract32(packed, 32 + 8 * index), uint256)
        if feature <= self._int64_at(word, index % 4):
            break
        bin += 1
    return self._int32_at(convert(extract32(packed, 160 + 32 * (bin // 8)), uint256), bin % 8)


@internal
@view
def _tier(points: int256) -> uint256:
    for index: uint256 in range(tier_count, bound=MAXIMUM_TIERS):
        if points >= self._int32_at(THRESHOLDS[index // 8], index % 8):
            return index
    return tier_count


@internal
@pure
def _int64_at(word: uint256, index: uint256) -> int256:
    """
    @dev The signed 64-bit number at this place of four, from the left.
    """
    return convert(convert(word << (64 * index), bytes32), int256) >> 192


@internal
@pure
def _int32_at(word: uint256, index: uint256) -> int256:
    """
    @dev The signed 32-bit number at this place of eight, from the left.
    """
    return convert(convert(word << (32 * index), bytes32), int256) >> 224
