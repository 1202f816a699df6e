# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Verdicts by proof
@notice A Work's owner names, once for each model digest, the contract that verifies proofs of its answers. Whoever
        brings a proof that verifies has it told to the Validation Registry: 100, tag `zkml`. A proof that does not
        verify is refused and tells nothing, since anybody can make up a bad one. A proof is refused without a
        validation request, filed by the provider, that names this contract.
        What a proof is worth is what its verifier is worth: readers look who named it, and what it is.
@dev Holds nothing. Nobody owns this contract.
"""

from koinon.services.contracts.interfaces import IProofVerifier
from koinon.services.contracts.interfaces import IValidation
from koinon.works.contracts.interfaces import IWorks

event Named:
    work_id: indexed(uint256)
    model: indexed(bytes32)
    verifier: indexed(address)


event Proven:
    request: indexed(bytes32)
    work_id: indexed(uint256)
    model: bytes32
    input_digest: bytes32
    output_digest: bytes32


VALIDATION: immutable(IValidation)
WORKS: immutable(IWorks)

# Work -> model digest -> who verifies proofs of its answers
verifier_of: public(HashMap[uint256, HashMap[bytes32, address]])


@deploy
def __init__(validation: address):
    """
    @param validation The Validation Registry that verdicts land in.
    """
    assert validation != empty(address), "validation missing"
    VALIDATION = IValidation(validation)
    WORKS = IWorks(staticcall IValidation(validation).getIdentityRegistry())


@external
def name_verifier(work_id: uint256, model: bytes32, verifier: address):
    """
    @notice Name who verifies proofs of a model's answers. Fixed for ever: a new model has a new digest.
    @param work_id The Work; the caller must be its owner or operator.
    @param model Digest of the model.
    @param verifier A contract as `IProofVerifier`.
    """
    assert staticcall WORKS.isAuthorizedOrOwner(msg.sender, work_id), "only owner or operator"
    assert self.verifier_of[work_id][model] == empty(address), "already named"
    assert verifier.is_contract, "no contract there"
    self.verifier_of[work_id][model] = verifier
    log Named(work_id=work_id, model=model, verifier=verifier)


@external
def prove(
    request: bytes32,
    work_id: uint256,
    model: bytes32,
    input_digest: bytes32,
    output_digest: bytes32,
    salt: bytes32,
    proof: Bytes[8192],
):
    """
    @notice Have a proof verified and told to the registry. Anyone may.
    @param request `request_of(work_id, model, input_digest, output_digest, salt)`, filed in the registry.
    @param work_id The Work.
    @param model Digest of its model.
    @param input_digest Of what was asked.
    @param output_digest Of what was answered.
    @param salt Any value.
    @param proof As the verifier wants it.
    """
    verifier: address = self.verifier_of[work_id][model]
    assert verifier != empty(address), "no verifier named"
    assert request == self._request(work_id, model, input_digest, output_digest, salt), "another request"
    validator: address = empty(address)
    agent_id: uint256 = 0
    response: uint8 = 0
    response_hash: bytes32 = empty(bytes32)
    tag: String[64] = ""
    updated_at: uint256 = 0
    validator, agent_id, response, response_hash, tag, updated_at = staticcall VALIDATION.getValidationStatus(request)
    assert validator == self, "another validator"
    assert agent_id == work_id, "request on another Work"
    statement: bytes32 = keccak256(abi_encode(model, input_digest, output_digest))
    assert staticcall IProofVerifier(verifier).verify(statement, proof), "proof refused"
    extcall VALIDATION.validationResponse(request, 100, "", statement, "zkml")
    log Proven(
        request=request, work_id=work_id, model=model, input_digest=input_digest, output_digest=output_digest
    )


@external
@view
def request_of(
    work_id: uint256, model: bytes32, input_digest: bytes32, output_digest: bytes32, salt: bytes32
) -> bytes32:
    """
    @return The request to file before `prove`.
    """
    return self._request(work_id, model, input_digest, output_digest, salt)


@external
@pure
def statement_of(model: bytes32, input_digest: bytes32, output_digest: bytes32) -> bytes32:
    """
    @return What is proven.
    """
    return keccak256(abi_encode(model, input_digest, output_digest))


@internal
@view
def _request(
    work_id: uint256, model: bytes32, input_digest: bytes32, output_digest: bytes32, salt: bytes32
) -> bytes32:
    return keccak256(abi_encode(chain.id, self, work_id, model, input_digest, output_digest, salt))
