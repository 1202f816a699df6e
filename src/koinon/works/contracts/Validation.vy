# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Validation of Works
@notice The Validation Registry of ERC-8004: a Work's owner or operator asks a validator to check something the Work
        did; the validator named, and nobody else, answers 0 to 100, as often as it learns more. Functions, events,
        topics and revert reasons are the standard's.
        Writing never walks a list, so nobody can make another's write fail by filling one. Reading walks lists; each
        such reader has a paged twin (snake_case) whose cost the reader sets.
        Bounds: URI 2,048 bytes, tag 64 bytes (128 when searched for), 1,024 addresses in a list given, 4,096 hashes in a list returned by the
        unpaged readers, which revert beyond that and name the twin.
        A request hash can be used once, by whoever is first: let it commit to something only the asker knows.
@custom:source ERC-8004, ValidationRegistry 2.0.0
"""

from interfaces import IWorks

event ValidationRequest:
    validatorAddress: indexed(address)
    agentId: indexed(uint256)
    requestURI: String[2048]
    requestHash: indexed(bytes32)


event ValidationResponse:
    validatorAddress: indexed(address)
    agentId: indexed(uint256)
    requestHash: indexed(bytes32)
    response: uint8
    responseURI: String[2048]
    responseHash: bytes32
    tag: String[64]


struct Status:
    facts: uint256  # validator (160 bits), last update (64 bits), response (8 bits), answered (1 bit)
    agent_id: uint256
    response_hash: bytes32
    tag: bytes32


MAX_GIVEN: constant(uint256) = 1024
MAX_HASHES: constant(uint256) = 4096
EVERY: constant(uint256) = 2**64 - 1
UPDATE_AT: constant(uint256) = 2**160
RESPONSE_AT: constant(uint256) = 2**224
ANSWERED_AT: constant(uint256) = 2**232

WORKS: immutable(IWorks)

_status: HashMap[bytes32, Status]
_tags: HashMap[bytes32, String[64]]
_of_agent: HashMap[uint256, HashMap[uint256, bytes32]]
_of_agent_count: HashMap[uint256, uint256]
_of_validator: HashMap[address, HashMap[uint256, bytes32]]
_of_validator_count: HashMap[address, uint256]


@deploy
def __init__(works: address):
    """
    @param works The identity registry: Works.
    """
    assert works != empty(address), "bad identity"
    WORKS = IWorks(works)


# --- writing ---------------------------------------------------------------------------------------------------------


@external
def validationRequest(validatorAddress: address, agentId: uint256, requestURI: String[2048], requestHash: bytes32):
    """
    @notice Ask a validator to check something a Work did.
    @param validatorAddress Who shall answer.
    @param agentId The Work; the caller must be its owner or operator.
    @param requestURI Where the validator finds what to check.
    @param requestHash Digest of the request; used once.
    """
    assert validatorAddress != empty(address), "bad validator"
    assert self._status[requestHash].facts == 0, "exists"
    assert staticcall WORKS.isAuthorizedOrOwner(msg.sender, agentId), "Not authorized"
    self._status[requestHash].facts = convert(validatorAddress, uint256) + block.timestamp * UPDATE_AT
    self._status[requestHash].agent_id = agentId
    position: uint256 = self._of_agent_count[agentId]
    self._of_agent[agentId][position] = requestHash
    self._of_agent_count[agentId] = position + 1
    position = self._of_validator_count[validatorAddress]
    self._of_validator[validatorAddress][position] = requestHash
    self._of_validator_count[validatorAddress] = position + 1
    log ValidationRequest(
        validatorAddress=validatorAddress, agentId=agentId, requestURI=requestURI, requestHash=requestHash
    )


@external
def validationResponse(
    requestHash: bytes32, response: uint8, responseURI: String[2048], responseHash: bytes32, tag: String[64]
):
    """
    @notice Answer a request; a later answer replaces an earlier one.
    @param requestHash The request; the caller must be the validator it names.
    @param response 0 (failed) to 100 (passed).
    @param responseURI Evidence; may be empty.
    @param responseHash Digest of what the URI points to.
    @param tag What kind of answer, such as `reexec:soft`; may be empty.
    """
    facts: uint256 = self._status[requestHash].facts
    assert facts != 0, "unknown"
    assert msg.sender == self._validator_of(facts), "not validator"
    assert response <= 100, "resp>100"
    self._status[requestHash].facts = (
        convert(msg.sender, uint256)
        + block.timestamp * UPDATE_AT
        + convert(response, uint256) * RESPONSE_AT
        + ANSWERED_AT
    )
    self._status[requestHash].response_hash = responseHash
    tag_hash: bytes32 = empty(bytes32)
    if len(tag) > 0:
        tag_hash = keccak256(tag)
        if len(self._tags[tag_hash]) == 0:
            self._tags[tag_hash] = tag
    self._status[requestHash].tag = tag_hash
    log ValidationResponse(
        validatorAddress=msg.sender,
        agentId=self._status[requestHash].agent_id,
        requestHash=requestHash,
        response=response,
        responseURI=responseURI,
        responseHash=responseHash,
        tag=tag,
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
def getValidationStatus(requestHash: bytes32) -> (address, uint256, uint8, bytes32, String[64], uint256):
    """
    @return Validator, Work, response (0 until answered), response hash, tag, and when it last changed.
    """
    status: Status = self._status[requestHash]
    assert status.facts != 0, "unknown"
    return (
        self._validator_of(status.facts),
        status.agent_id,
        self._response_of(status.facts),
        status.response_hash,
        self._tags[status.tag],
        (status.facts // UPDATE_AT) & EVERY,
    )


@external
@view
def getSummary(agentId: uint256, validatorAddresses: DynArray[address, MAX_GIVEN], tag: String[128]) -> (uint64, uint8):
    """
    @notice Count and average (rounded down) of the answers on a Work by the validators named (by all when none is),
            with the tag given (any when empty).
    """
    count: uint64 = 0
    total: uint256 = 0
    next: uint256 = 0
    count, total, next = self._sum(agentId, validatorAddresses, tag, 0, max_value(uint256))
    if count == 0:
        return (0, 0)
    return (count, convert(total // convert(count, uint256), uint8))


@external
@view
def getAgentValidations(agentId: uint256) -> DynArray[bytes32, MAX_HASHES]:
    """
    @return The hashes of every request on a Work.
    """
    assert self._of_agent_count[agentId] <= MAX_HASHES, "too many: use agent_validations_page"
    return self._agent_page(agentId, 0, MAX_HASHES)


@external
@view
def getValidatorRequests(validatorAddress: address) -> DynArray[bytes32, MAX_HASHES]:
    """
    @return The hashes of every request to a validator.
    """
    assert self._of_validator_count[validatorAddress] <= MAX_HASHES, "too many: use validator_requests_page"
    return self._validator_page(validatorAddress, 0, MAX_HASHES)


# --- reading, paged --------------------------------------------------------------------------------------------------


@external
@view
def agent_validation_count(agentId: uint256) -> uint256:
    """
    @return How many requests there are on a Work.
    """
    return self._of_agent_count[agentId]


@external
@view
def validator_request_count(validatorAddress: address) -> uint256:
    """
    @return How many requests there are to a validator.
    """
    return self._of_validator_count[validatorAddress]


@external
@view
def agent_validations_page(agentId: uint256, offset: uint256, limit: uint256) -> DynArray[bytes32, MAX_HASHES]:
    """
    @return Hashes number `offset` to `offset + limit - 1`, counted from 0; fewer at the end.
    """
    return self._agent_page(agentId, offset, limit)


@external
@view
def validator_requests_page(
    validatorAddress: address, offset: uint256, limit: uint256
) -> DynArray[bytes32, MAX_HASHES]:
    """
    @return Hashes number `offset` to `offset + limit - 1`, counted from 0; fewer at the end.
    """
    return self._validator_page(validatorAddress, offset, limit)


@external
@view
def summary_page(
    agentId: uint256, validatorAddresses: DynArray[address, MAX_GIVEN], tag: String[128], offset: uint256, limit: uint256
) -> (uint64, uint256, uint256):
    """
    @notice One part of a summary: the Work's requests number `offset` to `offset + limit - 1`. Parts add up.
    @return Count, sum of the answers, and the offset to go on from (0 at the end).
    """
    return self._sum(agentId, validatorAddresses, tag, offset, limit)


# --- inside ----------------------------------------------------------------------------------------------------------


@internal
@pure
def _validator_of(facts: uint256) -> address:
    return convert(facts & (UPDATE_AT - 1), address)


@internal
@pure
def _response_of(facts: uint256) -> uint8:
    return convert((facts // RESPONSE_AT) & 255, uint8)


@internal
@view
def _agent_page(agent_id: uint256, offset: uint256, limit: uint256) -> DynArray[bytes32, MAX_HASHES]:
    hashes: DynArray[bytes32, MAX_HASHES] = []
    count: uint256 = self._of_agent_count[agent_id]
    if offset < count:
        for i: uint256 in range(min(min(limit, MAX_HASHES), count - offset), bound=MAX_HASHES):
            hashes.append(self._of_agent[agent_id][offset + i])
    return hashes


@internal
@view
def _validator_page(validator: address, offset: uint256, limit: uint256) -> DynArray[bytes32, MAX_HASHES]:
    hashes: DynArray[bytes32, MAX_HASHES] = []
    count: uint256 = self._of_validator_count[validator]
    if offset < count:
        for i: uint256 in range(min(min(limit, MAX_HASHES), count - offset), bound=MAX_HASHES):
            hashes.append(self._of_validator[validator][offset + i])
    return hashes


@internal
@view
def _sum(
    agent_id: uint256, validators: DynArray[address, MAX_GIVEN], tag: String[128], offset: uint256, limit: uint256
) -> (uint64, uint256, uint256):
    """
    @dev Count and sum of matching answers among up to `limit` requests; then where to go on.
    """
    tag_hash: bytes32 = keccak256(tag)
    count: uint64 = 0
    total: uint256 = 0
    requests: uint256 = self._of_agent_count[agent_id]
    if offset >= requests:
        return (0, 0, 0)
    end: uint256 = requests if limit >= requests - offset else offset + limit
    for position: uint256 in range(offset, end, bound=EVERY):
        request_hash: bytes32 = self._of_agent[agent_id][position]
        facts: uint256 = self._status[request_hash].facts
        if facts < ANSWERED_AT:
            continue
        if len(validators) > 0 and self._validator_of(facts) not in validators:
            continue
        if len(tag) > 0 and self._status[request_hash].tag != tag_hash:
            continue
        total += convert(self._response_of(facts), uint256)
        count += 1
    return (count, total, 0 if end == requests else end)
