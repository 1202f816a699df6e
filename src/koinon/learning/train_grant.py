# SPDX-License-Identifier: Apache-2.0
"""Whether whoever opens a run may train on a dataset: the grant on chain is the receipt."""

from __future__ import annotations

from koinon.chain.handle import Chain
from koinon.errors import PaymentError
from koinon.works.terms import Terms, Use


def check_train_grant(chain: Chain, work_id: int, opener: str) -> None:
    """Where the dataset's owner sells the use "train", the opener must hold a grant of it.

    Without such an offer the owner decides by joining, and is paid from what the model earns.

    Raises
    ------
    PaymentError
        The use is offered and the opener has no running grant.
    """
    terms = Terms(chain)
    offer = terms.offer_of(work_id, Use.TRAIN)
    if offer is None or terms.is_granted(work_id, Use.TRAIN, opener):
        return
    raise PaymentError(
        f"Work {work_id} is taught from only by grant, and {opener} has none.",
        hint=f"Whoever opened the run can buy one: its terms stand at Work {work_id}, use 'train'.",
        code="learning.no_grant",
    )
