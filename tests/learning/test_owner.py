# SPDX-License-Identifier: Apache-2.0
"""An owner whose leader goes too early, or answers what it should not."""

import threading
from typing import Any

import orjson
import pytest

from koinon.errors import BadInput, IntegrityError
from koinon.learning.connection import HttpsTransport
from koinon.learning.fairness import Fairness
from koinon.learning.leader import Full, Leader
from koinon.learning.messages import GlobalModel, Start, federation_domain
from koinon.learning.owner import Owner
from koinon.learning.owner_config import Network
from koinon.learning.owner_frames import OwnerFrames
from tests.learning.support import key, recipe, table

OPENER = key("opener")
NETWORK = Network(31337, "0x" + "AB" * 20, "0x" + "cd" * 20)
DOMAIN = federation_domain(NETWORK.chain_id, NETWORK.federation)


class Cut(HttpsTransport):
    """A line that is dead after the last round."""

    def send(self, path, frame, *, answer_limit):
        if path in {"/report", "/alone"}:
            self._port = 1
            self.close()
        return super().send(path, frame, answer_limit=answer_limit)


def test_a_leader_that_has_gone_after_the_last_round_costs_nobody_the_model(tmp_path):
    found = recipe(rounds=1, minimum_owners=1, fairness=Fairness(own_rows=0.3, told="gain", populations=True))
    happened: list[dict[str, Any]] = []
    results: dict[str, Any] = {}
    serving = Leader(found, OPENER, tmp_path, run_id=1, domain=DOMAIN, expected=1, alone_deadline_s=0)

    def take_part():
        with Cut(serving.url, OPENER.address, DOMAIN, 1) as line:
            results["taught"] = Owner(
                key("owner 0"),
                table(200),
                line,
                NETWORK,
                opener=OPENER.address,
                keep=lambda model: happened.append({"event": "kept", "model": model}),
                report=happened.append,
            ).take_part()

    with serving:
        thread = threading.Thread(target=take_part)
        thread.start()
        for event in serving.events():
            if isinstance(event, Full):
                serving.begin()
        thread.join(30)
    told = [each["event"] for each in happened]
    assert told == ["started", "round", "kept", "unheard", "unheard"]
    assert [each["what"] for each in happened[3:]] == ["report", "alone"]
    assert (happened[2]["model"].vector == serving.run.common.parameters).all()
    assert results["taught"].gain is not None


# ------------------------------------------------------------ what an opener may sign, and an owner refuses


def frames(found=None):
    return OwnerFrames(
        key("owner 0"),
        DOMAIN,
        NETWORK.works,
        opener=OPENER.address,
        run_id=1,
        recipe=found or recipe(),
        rows=60,
    )


def start(index=0, scaling=None):
    given = recipe().scaling
    assert given is not None
    told = orjson.dumps(given.to_dict()).decode() if scaling is None else scaling
    return Start(1, key("owner 0").address, index, told).pack(OPENER, DOMAIN, b"")


def test_a_good_start_is_read():
    assert frames().read_start(start(99))[0].index == 99


@pytest.mark.parametrize(
    "wrong",
    [
        {"index": 100},
        {"index": 2**31},
        {"scaling": ""},
        {"scaling": "[]"},
        {"scaling": "3"},
        {"scaling": '{"signed_log":[true],"center":[1],"scale":[1]}'},
        {"scaling": '{"signed_log":[true],"center":["x"],"scale":[1]}'},
    ],
)
@pytest.mark.parametrize("scaled", [True, False])
def test_a_start_that_makes_no_sense_is_refused_in_words(wrong, scaled):
    reader = frames(recipe() if scaled else recipe(scaling=None))
    with pytest.raises((BadInput, IntegrityError)):
        reader.read_start(start(**wrong))


def test_a_leader_cannot_go_on_beyond_the_last_round():
    model = GlobalModel(1, recipe().rounds + 1, bytes(32), bytes(32), 1, False)
    with pytest.raises(IntegrityError) as refused:
        frames().read_model(model.pack(OPENER, DOMAIN, b""), 1)
    assert refused.value.code == "learning.round"
