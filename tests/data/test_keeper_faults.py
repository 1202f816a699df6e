# SPDX-License-Identifier: Apache-2.0
"""A keeper that gives its share to somebody without a grant, and what proves it."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from koinon.chain.keys import Key
from koinon.data.keeper_faults import released_without_grant
from koinon.data.keepers import ShareRequest, keeper_domain
from koinon.data.sealed import read_share, share_context
from koinon.data.sealed_box import BoxKey
from koinon.errors import IntegrityError, PaymentError
from koinon.works.terms import Terms, Use
from tests.data.keeper_support import KeeperProcess
from tests.data.sold_support import TEXT, Sold

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def processes(tmp_path_factory, network_file):
    folder = tmp_path_factory.mktemp("early")
    started = [KeeperProcess(folder / kind, network_file, kind).start() for kind in ("early", "honest")]
    yield started
    for each in started:
        each.kill()


def test_a_share_given_before_the_grant_is_proved_by_the_keepers_own_signature(
    chain, tmp_path, new_account, processes
):
    early, honest = processes
    sold = Sold(chain, new_account(), tmp_path, processes)
    stranger = new_account()
    domain = keeper_domain(chain.chain_id, chain.contract("Terms").address)
    box = BoxKey.generate()

    def request(keeper, who=stranger):
        return ShareRequest.sign(
            who,
            domain,
            keeper=keeper.ready["account"],
            work_id=sold.work_id,
            content_id=sold.content_id,
            sealing_key=box.public,
            deadline=int(time.time()) + 60,
        )

    with pytest.raises(PaymentError):
        honest.client().release(request(honest), domain)
    release = early.client().release(request(early), domain)
    opened = box.open(release.sealed_share, share_context(sold.content_id, stranger.address))
    assert read_share(opened, sold.described).index == 1
    assert released_without_grant(chain, release)

    Terms(chain).give(sold.owner, sold.work_id, Use.COMPUTE, stranger.address, terms_digest=TEXT)
    assert released_without_grant(chain, release)
    buyer = new_account()
    Terms(chain).give(sold.owner, sold.work_id, Use.DOWNLOAD, buyer.address, terms_digest=TEXT)
    for keeper in processes:
        assert not released_without_grant(chain, keeper.client().release(request(keeper, buyer), domain))

    for forged in (
        replace(release, sealed_share=bytes(81)),
        replace(release, request=replace(release.request, keeper=honest.ready["account"])),
        replace(release, request=replace(release.request, grantee=Key.generate().address)),
    ):
        with pytest.raises(IntegrityError):
            released_without_grant(chain, forged)
