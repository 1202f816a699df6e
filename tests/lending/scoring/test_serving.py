# SPDX-License-Identifier: Apache-2.0
import dataclasses

import orjson
import pytest

from koinon.errors import BadInput
from koinon.lending.issuing import judge, word_of
from koinon.lending.scoring.serving import Scorer, service_file
from koinon.services.selling import schema
from koinon.services.selling.signature import InvalidInput

ASKED = {"debt": 0.9, "arrears": 3, "income": None, "home": "renter", "noise": 0.0}


def test_an_answer_carries_reasons_and_what_it_can_be_held_to(trained):
    said = Scorer(trained.scorecard, trained.challenger).answer(ASKED)
    assert said.tier == 3
    assert said.final_tier >= said.tier
    assert 0 < said.probability < 1
    assert 1 <= len(said.reasons) <= 4
    assert said.scorecard == trained.scorecard.digest
    assert said.auc == trained.report.champion.auc.value
    assert said.baseline is not None
    assert "simulated" in said.measured_on


def test_what_nobody_asked_for_and_words_for_numbers_are_refused(trained):
    scorer = Scorer(trained.scorecard)
    with pytest.raises(BadInput, match="Nobody asked for 'race'"):
        scorer.answer({"race": "x"})
    with pytest.raises(BadInput, match="'debt' is a number"):
        scorer.answer({"debt": "much"})
    assert scorer.answer({}).tier == scorer.scorecard.table.worst_tier


def test_the_file_beside_a_scorecard_is_a_service_of_a_gateway(trained, tmp_path):
    trained.scorecard.save(tmp_path / "scorecard.json")
    (tmp_path / "challenger.json").write_bytes(trained.challenger.to_bytes())
    file = tmp_path / "score.py"
    file.write_text(service_file("scorecard.json", "challenger.json", "score.py", 'made "up" \\ rows'))
    function = schema.load(f"{file}:score")
    assert function.signature.name == "score"
    assert set(function.signature.input_schema["properties"]) == {"features"}
    answer = orjson.loads(function.call(orjson.dumps({"features": ASKED})))
    assert answer == dataclasses.asdict(Scorer(trained.scorecard, trained.challenger).answer(ASKED))
    with pytest.raises(InvalidInput):
        function.call(b'{"features": {"debt": [1]}}')


def test_a_scorecard_that_knows_its_horizon_is_held_to_a_year(trained):
    short = dataclasses.replace(trained.scorecard, about={**trained.scorecard.about, "horizon_days": 30})
    whole, month = (judge(Scorer(card), "0x", told=ASKED) for card in (trained.scorecard, short))
    assert month.answer.probability == whole.answer.probability
    assert month.word == word_of(whole.answer, 30)
    assert month.word.pd_bps > whole.word.pd_bps
