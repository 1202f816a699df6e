# SPDX-License-Identifier: Apache-2.0
"""What a keeper's own signature proves against it: a share given to somebody who had no grant.

Whoever was given it has the evidence: request, answer and the keeper's signature. The chain has the rest.
Anyone may check; no contract pays for it, since no keeper has staked anything on its silence.
"""

from __future__ import annotations

from koinon.chain.handle import Chain
from koinon.chain.keys import verify
from koinon.data.keepers import LONGEST_REQUEST_S, Release, keeper_domain
from koinon.errors import IntegrityError
from koinon.works.terms import Use


def released_without_grant(chain: Chain, release: Release) -> bool:
    """Whether a keeper gave a share while the chain shows no grant for it.

    It answered at some time from `LONGEST_REQUEST_S` before the request's deadline to that deadline, or else
    against its duty. A grant that ran at any moment of that time clears the keeper, one that was given up in
    between too: the doubt is the keeper's.

    Raises IntegrityError: the evidence is not signed by the keeper, or the request not by who is said to have
    asked.
    """
    terms, request = chain.contract("Terms"), release.request
    domain = keeper_domain(chain.chain_id, terms.address)
    release.check(domain)
    if not verify(request.digest(domain), request.signature, request.grantee):
        raise IntegrityError(
            "The request is not signed by who is said to have made it.",
            hint="It proves nothing.",
            code="data.evidence_request",
        )
    grants = terms.history(
        "Granted",
        from_block=chain.network.start_block,
        work_id=request.work_id,
        grantee=request.grantee,
    )
    return not any(
        grant["use"] == Use.DOWNLOAD
        and grant["starts_at"] <= request.deadline
        and grant["valid_until"] >= request.deadline - LONGEST_REQUEST_S
        for grant in grants
    )
