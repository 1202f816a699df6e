# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Reputation of Works
@notice The Reputation Registry of ERC-8004: anyone but a Work's owner and operators gives feedback on it, may revoke
        it, and anyone may respond. Functions, events, topics, revert reasons and arithmetic are the standard's.
        Writing never walks a list, so nobody can make another's write fail by filling one. Reading walks lists; each
        such reader has a paged twin (snake_case) whose cost the reader sets.
        Bounds: tags 64 bytes (128 when searched for), endpoint and URI 2,048 bytes, 1,024 addresses in a list given, 4,096 clients and 256
        entries in a list returned by the unpaged readers, which revert beyond that and name the twin.
@dev A tag is stored once, under its hash; a feedback keeps the hashes.
@custom:source ERC-8004, ReputationRegistry 2.0.0
"""

from interfaces import IWorks

event NewFeedback:
    agentId: indexed(uint256)
    clientAddress: indexed(address)
    feedbackIndex: uint64
    value: int128
    valueDecimals: uint8
    indexedTag1: indexed(String[64])
    tag1: String[64]
    tag2: String[64]
    endpoint: String[2048]
    feedbackURI: String[2048]
    feedbackHash: bytes32


event FeedbackRevoked:
    agentId: indexed(uint256)
    clientAddress: indexed(address)
    feedbackIndex: indexed(uint64)


event ResponseAppended:
    agentId: indexed(uint256)
    clientAddress: indexed(address)
    feedbackIndex: uint64
    responder: indexed(address)
    responseURI: String[2048]
    responseHash: bytes32


struct Entry:
    facts: uint256  # value (128 bits, two's complement), decimals (8 bits), revoked (1 bit)
    tag1: bytes32
    tag2: bytes32


struct Feedbacks:
    clients: DynArray[address, 256]
    feedbackIndexes: DynArray[uint64, 256]
    values: DynArray[int128, 256]
    valueDecimals: DynArray[uint8, 256]
    tag1s: DynArray[String[64], 256]
    tag2s: DynArray[String[64], 256]
    revokedStatuses: DynArray[bool, 256]


MAX_ABS_VALUE: constant(int128) = 10**38
MAX_DECIMALS: constant(uint8) = 18
MAX_GIVEN: constant(uint256) = 1024
MAX_CLIENTS: constant(uint256) = 4096
MAX_ENTRIES: constant(uint256) = 256
EVERY: constant(uint256) = 2**64 - 1
DECIMALS_AT: constant(uint256) = 2**128
REVOKED_AT: constant(uint256) = 2**136

WORKS: immutable(IWorks)

_entries: HashMap[uint256, HashMap[address, HashMap[uint64, Entry]]]
_last_index: HashMap[uint256, HashMap[address, uint64]]
_clients: HashMap[uint256, HashMap[uint256, address]]
_client_count: HashMap[uint256, uint256]
_tags: HashMap[bytes32, String[64]]
_responses: HashMap[uint256, HashMap[address, HashMap[uint64, uint64]]]
_responses_by: HashMap[uint256, HashMap[address, HashMap[uint64, HashMap[address, uint64]]]]


@deploy
def __init__(works: address):
    """
    @param works The identity registry: Works.
    """
    assert works != empty(address), "bad identity"
    WORKS = IWorks(works)


# --- writing ---------------------------------------------------------------------------------------------------------


@external
def giveFeedback(
    agentId: uint256,
    value_: int128,
    valueDecimals: uint8,
    tag1: String[64],
    tag2: String[64],
    endpoint: String[2048],
    feedbackURI: String[2048],
    feedbackHash: bytes32,
):
    """
    @notice Say how a Work did. Endpoint, URI and hash are in the event only.
    @param agentId The Work; the caller must not be its owner or operator.
    @param value_ The figure, |value| <= 1e38, in units of 10**-valueDecimals.
    @param valueDecimals 0 to 18.
    @param tag1 What the figure is, by the writer's own convention; may be empty.
    @param tag2 A second tag; may be empty.
    @param endpoint What was used; may be empty.
    @param feedbackURI More about it; may be empty.
    @param feedbackHash Digest of what the URI points to.
    """
    assert valueDecimals <= MAX_DECIMALS, "too many decimals"
    assert value_ >= -MAX_ABS_VALUE and value_ <= MAX_ABS_VALUE, "value too large"
    assert not staticcall WORKS.isAuthorizedOrOwner(msg.sender, agentId), "Self-feedback not allowed"
    index: uint64 = self._last_index[agentId][msg.sender] + 1
    self._last_index[agentId][msg.sender] = index
    if index == 1:
        position: uint256 = self._client_count[agentId]
        self._clients[agentId][position] = msg.sender
        self._client_count[agentId] = position + 1
    facts: uint256 = convert(value_, uint256) if value_ >= 0 else DECIMALS_AT - convert(-value_, uint256)
    self._entries[agentId][msg.sender][index] = Entry(
        facts=facts + convert(valueDecimals, uint256) * DECIMALS_AT,
        tag1=self._remember(tag1),
        tag2=self._remember(tag2),
    )
    log NewFeedback(
        agentId=agentId,
        clientAddress=msg.sender,
        feedbackIndex=index,
        value=value_,
        valueDecimals=valueDecimals,
        indexedTag1=tag1,
        tag1=tag1,
        tag2=tag2,
        endpoint=endpoint,
        feedbackURI=feedbackURI,
        feedbackHash=feedbackHash,
    )


@external
def revokeFeedback(agentId: uint256, feedbackIndex: uint64):
    """
    @notice Take back one's own feedback; it stays readable and no longer counts.
    @param agentId The Work.
    @param feedbackIndex Which of the caller's feedbacks, from 1.
    """
    self._check_index(agentId, msg.sender, feedbackIndex)
    facts: uint256 = self._entries[agentId][msg.sender][feedbackIndex].facts
    assert facts < REVOKED_AT, "Already revoked"
    self._entries[agentId][msg.sender][feedbackIndex].facts = facts + REVOKED_AT
    log FeedbackRevoked(agentId=agentId, clientAddress=msg.sender, feedbackIndex=feedbackIndex)


@external
def appendResponse(
    agentId: uint256,
    clientAddress: address,
    feedbackIndex: uint64,
    responseURI: String[2048],
    responseHash: bytes32,
):
    """
    @notice Respond to a feedback: a refund shown, spam marked, thanks. Anyone may.
    @param agentId The Work.
    @param clientAddress Who gave the feedback.
    @param feedbackIndex Which one, from 1.
    @param responseURI The response; not empty.
    @param responseHash Digest of what the URI points to.
    """
    assert feedbackIndex > 0, "index must be > 0"
    assert len(responseURI) > 0, "Empty URI"
    self._check_index(agentId, clientAddress, feedbackIndex)
    self._responses[agentId][clientAddress][feedbackIndex] += 1
    self._responses_by[agentId][clientAddress][feedbackIndex][msg.sender] += 1
    log ResponseAppended(
        agentId=agentId,
        clientAddress=clientAddress,
        feedbackIndex=feedbackIndex,
        responder=msg.sender,
        responseURI=responseURI,
        responseHash=responseHash,
    )


# --- reading, the standard's -----------------------------------------------------------------------------------------


@external
@view
def getIdentityRegistry() -> address:
    """
    @return The registry whose Works are spoken of.
    """
    return WORKS.address


@external
@pure
def getVersion() -> String[8]:
    """
    @return The version of the reference registry that this one behaves like.
    """
    return "2.0.0"


@external
@view
def getLastIndex(agentId: uint256, clientAddress: address) -> uint64:
    """
    @return How many feedbacks this client gave; 0 for none.
    """
    return self._last_index[agentId][clientAddress]


@external
@view
def getClients(agentId: uint256) -> DynArray[address, MAX_CLIENTS]:
    """
    @return Everyone who gave feedback, in order of their first.
    """
    count: uint256 = self._client_count[agentId]
    assert count <= MAX_CLIENTS, "too many: use clients_page"
    clients: DynArray[address, MAX_CLIENTS] = []
    for position: uint256 in range(count, bound=MAX_CLIENTS):
        clients.append(self._clients[agentId][position])
    return clients


@external
@view
def readFeedback(
    agentId: uint256, clientAddress: address, feedbackIndex: uint64
) -> (int128, uint8, String[64], String[64], bool):
    """
    @return Value, its decimals, both tags, and whether it was revoked.
    """
    self._check_index(agentId, clientAddress, feedbackIndex)
    entry: Entry = self._entries[agentId][clientAddress][feedbackIndex]
    return (
        self._value_of(entry.facts),
        self._decimals_of(entry.facts),
        self._tags[entry.tag1],
        self._tags[entry.tag2],
        entry.facts >= REVOKED_AT,
    )


@external
@view
def getSummary(
    agentId: uint256, clientAddresses: DynArray[address, MAX_GIVEN], tag1: String[128], tag2: String[128]
) -> (uint64, int128, uint8):
    """
    @notice Count and average over the feedback of the clients named, not revoked, with the tags given (an empty tag
            matches every tag).
    @dev As the reference does: the average is taken at 18 decimals, rounded towards zero, then cut to the decimals
         most often used (the fewest of equals); what does not fit int128 after that wraps.
    @param clientAddresses Whom the reader trusts; not empty, for feedback is free to give.
    @return Count, average, and the average's decimals.
    """
    assert len(clientAddresses) > 0, "clientAddresses required"
    count: uint64 = 0
    total: int256 = 0
    uses: uint64[19] = empty(uint64[19])
    next: uint256 = 0
    count, total, uses, next = self._sum(agentId, clientAddresses, tag1, tag2, 0, max_value(uint256))
    if count == 0:
        return (0, 0, 0)
    mode: uint8 = 0
    most: uint64 = 0
    for decimals: uint8 in range(19):
        if uses[decimals] > most:
            most = uses[decimals]
            mode = decimals
    average: int256 = total // convert(count, int256) // self._power(MAX_DECIMALS - mode)
    return (count, self._wrap(average), mode)


@external
@view
def readAllFeedback(
    agentId: uint256,
    clientAddresses: DynArray[address, MAX_GIVEN],
    tag1: String[128],
    tag2: String[128],
    includeRevoked: bool,
) -> (
    DynArray[address, MAX_ENTRIES],
    DynArray[uint64, MAX_ENTRIES],
    DynArray[int128, MAX_ENTRIES],
    DynArray[uint8, MAX_ENTRIES],
    DynArray[String[64], MAX_ENTRIES],
    DynArray[String[64], MAX_ENTRIES],
    DynArray[bool, MAX_ENTRIES],
):
    """
    @notice The feedback of the clients named (of all when none is), with the tags given.
    @return Clients, indexes, values, decimals, first tags, second tags, revoked: columns of equal length.
    """
    found: Feedbacks = empty(Feedbacks)
    next: uint256 = 0
    found, next = self._read(
        agentId, clientAddresses, tag1, tag2, includeRevoked, 0, max_value(uint256), MAX_ENTRIES
    )
    assert next == 0, "too many: use feedback_page"
    return (
        found.clients,
        found.feedbackIndexes,
        found.values,
        found.valueDecimals,
        found.tag1s,
        found.tag2s,
        found.revokedStatuses,
    )


@external
@view
def getResponseCount(
    agentId: uint256, clientAddress: address, feedbackIndex: uint64, responders: DynArray[address, MAX_GIVEN]
) -> uint64:
    """
    @notice Responses by the responders named (by all when none is) to one feedback, to all of a client's (index 0),
            or to all of a Work's (client 0).
    """
    if clientAddress != empty(address) and feedbackIndex != 0:
        return self._count_responses(agentId, clientAddress, feedbackIndex, responders)
    count: uint64 = 0
    next: uint256 = 0
    count, next = self._count_all(agentId, clientAddress, responders, 0, max_value(uint256))
    return count


# --- reading, paged --------------------------------------------------------------------------------------------------


@external
@view
def client_count(agentId: uint256) -> uint256:
    """
    @return How many clients gave feedback.
    """
    return self._client_count[agentId]


@external
@view
def clients_page(agentId: uint256, offset: uint256, limit: uint256) -> DynArray[address, MAX_CLIENTS]:
    """
    @return Clients number `offset` to `offset + limit - 1`, counted from 0; fewer at the end.
    """
    clients: DynArray[address, MAX_CLIENTS] = []
    count: uint256 = self._client_count[agentId]
    if offset < count:
        for i: uint256 in range(min(min(limit, MAX_CLIENTS), count - offset), bound=MAX_CLIENTS):
            clients.append(self._clients[agentId][offset + i])
    return clients


@external
@view
def summary_page(
    agentId: uint256,
    clientAddresses: DynArray[address, MAX_GIVEN],
    tag1: String[128],
    tag2: String[128],
    offset: uint256,
    limit: uint256,
) -> (uint64, int256, uint64[19], uint256):
    """
    @notice One part of a summary: walks `limit` entries from entry `offset` on, over the clients in the order given.
            Parts add up; nothing here rounds or wraps.
    @return Count, sum at 18 decimals, how often each number of decimals was used, and the offset to go on from (0 at
            the end).
    """
    assert len(clientAddresses) > 0, "clientAddresses required"
    return self._sum(agentId, clientAddresses, tag1, tag2, offset, limit)


@external
@view
def feedback_page(
    agentId: uint256,
    clientAddresses: DynArray[address, MAX_GIVEN],
    tag1: String[128],
    tag2: String[128],
    includeRevoked: bool,
    offset: uint256,
    limit: uint256,
) -> (Feedbacks, uint256):
    """
    @notice One part of `readAllFeedback`: walks up to `limit` entries from entry `offset` on, matching or not, over
            the clients in the order given (all of the Work's when none is), and stops early at 256 matches.
    @return The columns, and the offset to go on from (0 at the end).
    """
    return self._read(agentId, clientAddresses, tag1, tag2, includeRevoked, offset, limit, MAX_ENTRIES)


@external
@view
def response_count_page(
    agentId: uint256,
    clientAddress: address,
    responders: DynArray[address, MAX_GIVEN],
    offset: uint256,
    limit: uint256,
) -> (uint64, uint256):
    """
    @notice One part of `getResponseCount` over all feedback of a client, or of a Work (client 0).
    @return Responses to entries `offset` to `offset + limit - 1`, and the offset to go on from (0 at the end).
    """
    return self._count_all(agentId, clientAddress, responders, offset, limit)


# --- inside ----------------------------------------------------------------------------------------------------------


@internal
@view
def _check_index(agent_id: uint256, client: address, index: uint64):
    """
    @dev Reverts unless the client gave that feedback.
    """
    assert index > 0, "index must be > 0"
    assert index <= self._last_index[agent_id][client], "index out of bounds"


@internal
def _remember(tag: String[64]) -> bytes32:
    """
    @dev The tag's hash (zero for the empty tag), stored with its text when new.
    """
    if len(tag) == 0:
        return empty(bytes32)
    tag_hash: bytes32 = keccak256(tag)
    if len(self._tags[tag_hash]) == 0:
        self._tags[tag_hash] = tag
    return tag_hash


@internal
@pure
def _wrap(number: int256) -> int128:
    """
    @dev The low 128 bits as a signed number.
    """
    low: uint256 = convert(convert(number, bytes32), uint256) & (DECIMALS_AT - 1)
    if low < DECIMALS_AT // 2:
        return convert(low, int128)
    return convert(convert(low, int256) - convert(DECIMALS_AT, int256), int128)


@internal
@pure
def _value_of(facts: uint256) -> int128:
    return self._wrap(convert(facts & (DECIMALS_AT - 1), int256))


@internal
@pure
def _decimals_of(facts: uint256) -> uint8:
    return convert((facts // DECIMALS_AT) & 255, uint8)


@internal
@pure
def _power(exponent: uint8) -> int256:
    """
    @dev 10 to the power 0 to 18.
    """
    return convert(pow_mod256(10, convert(exponent, uint256)), int256)


@internal
@pure
def _matches(entry: Entry, tag1: String[128], tag2: String[128], hash1: bytes32, hash2: bytes32) -> bool:
    return (len(tag1) == 0 or entry.tag1 == hash1) and (len(tag2) == 0 or entry.tag2 == hash2)


@internal
@view
def _sum(
    agent_id: uint256,
    clients: DynArray[address, MAX_GIVEN],
    tag1: String[128],
    tag2: String[128],
    offset: uint256,
    limit: uint256,
) -> (uint64, int256, uint64[19], uint256):
    """
    @dev Count, sum at 18 decimals and decimals used over up to `limit` entries; then where to go on.
    """
    hash1: bytes32 = keccak256(tag1)
    hash2: bytes32 = keccak256(tag2)
    count: uint64 = 0
    total: int256 = 0
    uses: uint64[19] = empty(uint64[19])
    skip: uint256 = offset
    left: uint256 = limit
    for client: address in clients:
        last: uint256 = convert(self._last_index[agent_id][client], uint256)
        if skip >= last:
            skip -= last
            continue
        for position: uint256 in range(skip, last, bound=EVERY):
            if left == 0:
                return (count, total, uses, offset + limit)
            left -= 1
            entry: Entry = self._entries[agent_id][client][convert(position + 1, uint64)]
            if entry.facts >= REVOKED_AT or not self._matches(entry, tag1, tag2, hash1, hash2):
                continue
            decimals: uint8 = self._decimals_of(entry.facts)
            total += convert(self._value_of(entry.facts), int256) * self._power(MAX_DECIMALS - decimals)
            uses[decimals] += 1
            count += 1
        skip = 0
    return (count, total, uses, 0)


@internal
@view
def _read(
    agent_id: uint256,
    given: DynArray[address, MAX_GIVEN],
    tag1: String[128],
    tag2: String[128],
    with_revoked: bool,
    offset: uint256,
    limit: uint256,
    room: uint256,
) -> (Feedbacks, uint256):
    """
    @dev Up to `room` matching entries out of up to `limit`; then where to go on.
    """
    hash1: bytes32 = keccak256(tag1)
    hash2: bytes32 = keccak256(tag2)
    found: Feedbacks = empty(Feedbacks)
    walked: uint256 = 0
    skip: uint256 = offset
    clients: uint256 = len(given) if len(given) > 0 else self._client_count[agent_id]
    for at: uint256 in range(clients, bound=EVERY):
        client: address = given[at] if len(given) > 0 else self._clients[agent_id][at]
        last: uint256 = convert(self._last_index[agent_id][client], uint256)
        if skip >= last:
            skip -= last
            continue
        for position: uint256 in range(skip, last, bound=EVERY):
            if walked == limit:
                return (found, offset + walked)
            index: uint64 = convert(position + 1, uint64)
            entry: Entry = self._entries[agent_id][client][index]
            revoked: bool = entry.facts >= REVOKED_AT
            if (with_revoked or not revoked) and self._matches(entry, tag1, tag2, hash1, hash2):
                if len(found.clients) == room:
                    return (found, offset + walked)
                found.clients.append(client)
                found.feedbackIndexes.append(index)
                found.values.append(self._value_of(entry.facts))
                found.valueDecimals.append(self._decimals_of(entry.facts))
                found.tag1s.append(self._tags[entry.tag1])
                found.tag2s.append(self._tags[entry.tag2])
                found.revokedStatuses.append(revoked)
            walked += 1
        skip = 0
    return (found, 0)


@internal
@view
def _count_responses(
    agent_id: uint256, client: address, index: uint64, responders: DynArray[address, MAX_GIVEN]
) -> uint64:
    """
    @dev Responses to one feedback by the responders named, or by all.
    """
    if len(responders) == 0:
        return self._responses[agent_id][client][index]
    count: uint64 = 0
    for responder: address in responders:
        count += self._responses_by[agent_id][client][index][responder]
    return count


@internal
@view
def _count_all(
    agent_id: uint256, client: address, responders: DynArray[address, MAX_GIVEN], offset: uint256, limit: uint256
) -> (uint64, uint256):
    """
    @dev Responses to up to `limit` feedbacks of a client, or of everyone; then where to go on.
    """
    count: uint64 = 0
    skip: uint256 = offset
    left: uint256 = limit
    everyone: bool = client == empty(address)
    clients: uint256 = self._client_count[agent_id] if everyone else 1
    for at: uint256 in range(clients, bound=EVERY):
        of: address = self._clients[agent_id][at] if everyone else client
        last: uint256 = convert(self._last_index[agent_id][of], uint256)
        if skip >= last:
            skip -= last
            continue
        for position: uint256 in range(skip, last, bound=EVERY):
            if left == 0:
                return (count, offset + limit)
            left -= 1
            count += self._count_responses(agent_id, of, convert(position + 1, uint64), responders)
        skip = 0
    return (count, 0)
