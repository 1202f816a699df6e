# SPDX-License-Identifier: Apache-2.0
"""Sums of vectors that nobody sees one by one: secure aggregation that survives owners who drop out.

The protocol of Bonawitz et al. 2017 (figure 4, with the consistency check against a server that lies), in
five phases, each one message from every participant to the collector and one answer back:

========== ============================================= ===============================================
Phase      A participant sends                           and is told
========== ============================================= ===============================================
keys       its public keys, signed                       everybody's (the roster)
shares     shares of its two secrets, sealed for each    the shares sealed for it
masked     its vector under masks                        who sent one (the survivors)
agreement  its signature over roster and survivors       everybody's signatures
reveal     a survivor's seed share or a dropped one's    nothing
           key share, never both
========== ============================================= ===============================================

`Participant` and `Collector` turn messages into messages; they have no network and no clock. Fewer than the
threshold of participants, with the collector, learn of the others' vectors nothing but their sum. A sum that
too few are left in is given up by signature before the same vectors go into another (`Abandonment`). All that
holds where the names in the roster are of different people: a collector that brings enough of its own
participants is more than a threshold.
"""

from koinon.learning.privacy.secagg.abandonment import Abandonment, enough_to_abandon
from koinon.learning.privacy.secagg.collector import Collector
from koinon.learning.privacy.secagg.masks import LARGEST_VALUE
from koinon.learning.privacy.secagg.messages import Identity, Phase
from koinon.learning.privacy.secagg.participant import Participant
from koinon.learning.privacy.secagg.unmasking import Unmasking, unmasked_sum

__all__ = [
    "LARGEST_VALUE",
    "Abandonment",
    "Collector",
    "Identity",
    "Participant",
    "Phase",
    "Unmasking",
    "enough_to_abandon",
    "unmasked_sum",
]
