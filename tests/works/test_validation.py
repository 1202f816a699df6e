# SPDX-License-Identifier: Apache-2.0
"""Checks of work done, asked for and answered through a node."""

from __future__ import annotations

import pytest

from koinon.chain.hashing import keccak256
from koinon.errors import BadInput, TransactionFailed
from koinon.works.validation import Validations


def test_a_check_is_asked_for_answered_and_read(chain, new_account):
    owner, validator = new_account(), new_account()
    works = chain.contract("Works")
    receipt = chain.sender(owner).send(works.transaction("register(string)", "ipfs://work"))
    work = works.logs(receipt, "Registered")[0]["agentId"]
    validations = Validations(chain)
    first = validations.ask(owner, work, validator.address, uri="ipfs://a", request=b"run it again")
    second = validations.ask(owner, work, validator.address, uri="ipfs://b", request=b"and again")
    assert first == keccak256(b"run it again")
    assert validations.summary(work) == (0, 0)
    validations.answer(validator, first, 80, tag="reexec:soft")
    validations.answer(validator, first, 100, tag="reexec:hard", evidence=b"trace")
    validations.answer(validator, second, 51)
    status = validations.status(first)
    assert (status.validator, status.work_id, status.response) == (validator.address, work, 100)
    assert (status.tag, status.response_hash) == ("reexec:hard", keccak256(b"trace"))
    assert validations.summary(work) == (2, 75)
    assert validations.summary(work, tag="reexec:hard") == (1, 100)
    assert validations.summary(work, [owner.address]) == (0, 0)
    assert list(validations.of_work(work)) == [first, second]
    assert list(validations.of_validator(validator.address)) == [first, second]
    with pytest.raises(TransactionFailed) as refused:
        validations.answer(owner, first, 100)
    assert refused.value.reason == "not validator"
    with pytest.raises(TransactionFailed):
        validations.status(bytes(32))


def test_what_the_contract_cannot_take_is_refused_here(chain, new_account):
    validations = Validations(chain)
    with pytest.raises(BadInput):
        validations.answer(new_account(0), bytes(32), 101)
    with pytest.raises(BadInput):
        validations.answer(new_account(0), bytes(32), 1, tag="t" * 65)
