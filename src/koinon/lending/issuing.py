# SPDX-License-Identifier: Apache-2.0
"""An issuer of scores: judges a wallet as of a block by a taught scorecard, attests its tier, signs offers.

A scorecard of wallets reads the chain's own history. One that was taught off chain (the tour's, a bank's)
reads columns that no chain tells: the issuer is given them, and answers for having looked at them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from koinon.chain.account import Account
from koinon.chain.handle import Chain
from koinon.errors import BadInput, IntegrityError
from koinon.lending.credit_offer import CreditOffer
from koinon.lending.features.catalogue import NAMES
from koinon.lending.features.compute import Anchor, FeatureVector, features
from koinon.lending.following import Followed, check_block
from koinon.lending.offer_file import SignedOffer
from koinon.lending.pool_state import PoolState
from koinon.lending.pools import CreditPool
from koinon.lending.quoting import Quote
from koinon.lending.score_word import ScoreWord
from koinon.lending.scorecard_table import MISSING
from koinon.lending.scoring.calibration import YEAR_DAYS, yearly
from koinon.lending.scoring.on_chain import row_of
from koinon.lending.scoring.reasons import explain
from koinon.lending.scoring.serving import Answer, Cell, Scorer
from koinon.lending.scoring.words import notice, ways_up
from koinon.works.attestations import Attestation, AttestationDomain, Signed

LASTS_S: Final = 90 * 86_400
"""How long a score counts unless its issuer says otherwise."""
LONGEST_S: Final = YEAR_DAYS * 86_400
"""Beyond which an issuer joins no other's score."""
OFFER_LASTS_S: Final = 3_600


@dataclass(frozen=True)
class Judgement:
    """What a scorecard says of a wallet.

    ``word`` is what goes on chain; ``answer`` has the reasons, what would lift it a tier, and what the
    scorecard was measured on. ``anchor`` is the block that it holds as long as; (-1, '') where nothing was
    read from the chain.
    """

    subject: str
    as_of_block: int
    anchor: Anchor
    word: ScoreWord
    answer: Answer

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "subject": self.subject,
            "as_of_block": self.as_of_block,
            "block_hash": self.anchor[1],
            "pd_a_year": self.word.pd_bps / 10_000,
            **asdict(self.answer),
        }


def judge(
    scorer: Scorer,
    subject: str,
    *,
    followed: Followed | None = None,
    block: int | None = None,
    told: Mapping[str, Cell] | None = None,
    horizon_days: int = YEAR_DAYS,
) -> Judgement:
    """Score a wallet at the end of a block.

    Parameters
    ----------
    followed : Followed, optional
        The chain's history; needed where the scorecard reads it.
    block : int, optional
        By default the last one that is confirmed.
    told : mapping, optional
        Columns that no chain tells, by name.
    horizon_days : int
        How long the scorecard's probability is for, unless it says so itself (one taught on wallets' loans
        does); what goes on chain is for a year.

    Raises
    ------
    BadInput
        A column is told that the chain tells itself, the scorecard reads one that nobody told, or the block
        is not confirmed yet.
    """
    given = dict(told or {})
    of_chain = [name for name in scorer.columns if name in NAMES]
    if of_chain and len(of_chain) < len(scorer.columns):
        raise BadInput("A scorecard reads the chain or a file, not both.", code="lending.told")
    if forged := sorted(set(given) & set(NAMES)):
        raise BadInput(f"'{forged[0]}' is read from the chain, not told.", code="lending.told")
    lacking = [name for name in scorer.columns if name not in NAMES and name not in given]
    if lacking or (of_chain and followed is None):
        raise BadInput(
            f"The scorecard reads '{(lacking or of_chain)[0]}', which nobody told.",
            hint="Give a file with it by --told, or take a scorecard taught with --wallets.",
            code="lending.told",
        )
    as_of, anchor = 0, (-1, "")
    if followed is not None:
        as_of = followed.block if block is None else block
        if not 0 <= as_of <= followed.block:
            raise BadInput(f"Blocks up to {followed.block} can be judged as of now.", code="lending.block")
    if of_chain and followed is not None:
        vector = features(followed.history, subject, as_of)
        anchor, answer = vector.anchor, _of_chain(scorer, vector)
    else:
        answer = scorer.answer(given)
    horizon_days = int(scorer.scorecard.about.get("horizon_days", horizon_days))
    return Judgement(subject, as_of, anchor, word_of(answer, horizon_days), answer)


def word_of(answer: Answer, horizon_days: int = YEAR_DAYS) -> ScoreWord:
    """What goes on chain: the tier after the challenger, the probability for a year, rounded up."""
    if not 1 <= horizon_days <= YEAR_DAYS:
        raise BadInput("A horizon has 1 to 365 days.", code="lending.score")
    chance = yearly(min(max(answer.probability, 0.0), 1.0), horizon_days)
    pd_bps = math.ceil(round(chance * 10_000, 6))  # 0.04 is 400, not 401 by a float's last bit
    return ScoreWord(answer.final_tier, pd_bps, answer.points)


@dataclass(frozen=True, slots=True)
class ScoreFile:
    """An attestation on its way: what issuers signed so far, and what they must agree on."""

    attestation: Attestation
    signed: tuple[Signed, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Its fields; the word as text."""
        fields = asdict(self.attestation)
        for name in ("schema", "digest", "feature_root"):
            fields[name] = "0x" + fields[name].hex()
        signed = [{"issuer": issuer, "signature": "0x" + by.hex()} for issuer, by in self.signed]
        return {**fields, "word": str(self.attestation.word), "signed": signed}

    @classmethod
    def from_json(cls, fields: Any) -> ScoreFile:
        """From `to_json`; BadInput where it is not that."""
        try:
            made = Attestation(
                schema=_bytes(fields["schema"]),
                subject=str(fields["subject"]),
                word=int(fields["word"]),
                issued_at=int(fields["issued_at"]),
                expires_at=int(fields["expires_at"]),
                digest=_bytes(fields["digest"]),
                work_id=int(fields["work_id"]),
                feature_root=_bytes(fields["feature_root"]),
                as_of_block=int(fields["as_of_block"]),
                nonce=int(fields["nonce"]),
            )
            signed = tuple((str(each["issuer"]), _bytes(each["signature"])) for each in fields["signed"])
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput("This is not a score that issuers sign.", code="lending.score_file") from error
        return cls(made, signed)


class Issuer:
    """One issuer of one pool's scores."""

    def __init__(self, chain: Chain, account: Account, pool: CreditPool, state: PoolState) -> None:
        self.chain, self.account, self.pool, self.state = chain, account, pool, state
        self.domain = AttestationDomain(chain.chain_id, chain.contract("Attestations").address)
        if account.address not in state.issuers:
            raise BadInput(
                f"{account.address} is no issuer of this pool's scores.",
                hint=f"They are: {', '.join(state.issuers)}.",
                code="lending.not_issuer",
            )

    def draft(self, judgement: Judgement, *, lasts_s: int = LASTS_S) -> ScoreFile:
        """The attestation of a judgement, signed by this issuer."""
        now = self.chain.timestamp()
        made = Attestation(
            schema=self.state.terms.schema,
            subject=judgement.subject,
            word=judgement.word.word(),
            issued_at=now,
            expires_at=now + lasts_s,
            digest=bytes.fromhex(judgement.answer.table.removeprefix("0x")),
            work_id=self.state.terms.work_id,
            as_of_block=judgement.as_of_block,
        )
        return self.join(ScoreFile(made), judgement)

    def join(self, begun: ScoreFile, judgement: Judgement) -> ScoreFile:
        """Sign what others began, if one's own judgement as of the same block is the same.

        Raises
        ------
        IntegrityError
            It is another, theirs would count for more than a year, or a reorganisation replaced the block.
        """
        check_block(self.chain, judgement.anchor)
        theirs = begun.attestation
        mine = (
            self.state.terms.schema,
            judgement.subject.lower(),
            judgement.word.word(),
            bytes.fromhex(judgement.answer.table.removeprefix("0x")),
            self.state.terms.work_id,
            judgement.as_of_block,
        )
        said = (
            theirs.schema,
            theirs.subject.lower(),
            theirs.word,
            theirs.digest,
            theirs.work_id,
            theirs.as_of_block,
        )
        if mine != said or theirs.expires_at > self.chain.timestamp() + LONGEST_S:
            raise IntegrityError(
                "This issuer judges the wallet otherwise, and does not sign.",
                hint="All must judge as of the same block, with the same scorecard and the same files.",
                code="lending.issuers_differ",
            )
        others = tuple(each for each in begun.signed if each[0].lower() != self.account.address.lower())
        return ScoreFile(theirs, (*others, self.domain.sign(self.account, theirs)))

    def is_enough(self, score: ScoreFile) -> bool:
        """Whether as many have signed as the schema asks for."""
        return len(score.signed) >= self.state.threshold

    def offer(
        self,
        quote: Quote,
        *,
        nonce: int,
        lasts_s: int = OFFER_LASTS_S,
        judgement: Judgement | None = None,
        ratio_bps: int = 0,
    ) -> SignedOffer:
        """Sign a quote, so that the pool executes it.

        Parameters
        ----------
        nonce : int
            Tells offers apart that are otherwise the same.
        ratio_bps : int
            More collateral than the tier asks for: its worth as a part of the whole debt.
        """
        offer = CreditOffer(
            quote.pool,
            quote.borrower,
            quote.amount,
            ratio_bps,
            quote.spread_bps,
            quote.tier,
            self.chain.next_timestamp() + lasts_s,
            nonce,
        )
        issuer, signature = self.pool.offers.sign(self.account, offer)
        reasons: Sequence[str] = () if judgement is None else judgement.answer.reasons
        ways: Sequence[str] = () if judgement is None else judgement.answer.ways_up
        return SignedOffer(self.chain.chain_id, offer, issuer, signature, tuple(reasons), tuple(ways))


def _of_chain(scorer: Scorer, vector: FeatureVector) -> Answer:
    """Points, tier and probability of the features' whole numbers, as the contract and the challenger read
    them; reasons in the features' own units."""
    card = scorer.scorecard
    whole = dict(zip(NAMES, vector.integers().tolist(), strict=True))
    cells = {name: None if whole[name] == MISSING else float(whole[name]) for name in scorer.columns}
    plain = replace(
        card,
        table=replace(card.table, features=tuple(replace(each, scale=1) for each in card.table.features)),
        readers=tuple(replace(each, scale=1) for each in card.readers),
    )
    found = explain(card, row_of(card, vector))
    return replace(
        Scorer(plain, scorer.challenger).answer(cells),
        reasons=notice(card, found),
        ways_up=ways_up(card, found),
        scorecard=card.digest,
        table="0x" + card.table.digest.hex(),
    )


def _bytes(text: Any) -> bytes:
    return bytes.fromhex(str(text).removeprefix("0x"))
