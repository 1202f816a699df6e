# SPDX-License-Identifier: Apache-2.0
"""Everything a wallet's page says: what it scores, what each pool would lend it, why, and what it did."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from koinon.errors import KoinonError, TransactionFailed, UsageError
from koinon.lending.api import Lending
from koinon.lending.errands import Errand, Errands
from koinon.lending.forms import reason_in_words, unit_of
from koinon.lending.grades import letter
from koinon.lending.judging import Histories, Judged, folder, judged, span, usual_scorer
from koinon.lending.ledger import Happened, Ledger, Scored, standing_at
from koinon.lending.pictures import Scale, draw_past, draw_scale
from koinon.lending.pool_state import PoolState
from koinon.lending.pools import CreditPool, Position
from koinon.lending.pools_seen import PoolsSeen
from koinon.lending.quoting import Quote, priced_tier
from koinon.lending.scoring.serving import Scorer
from koinon.web import amount_text, gettext
from koinon.web import marked as _
from koinon.works.ground import Ground

LIMITS: Final = {
    "collateral": _("the collateral's worth"),
    "tier": _("the tier's cap for one borrower"),
    "borrower": _("one borrower's share of the pool"),
    "cash": _("what is not lent out"),
    "junior": _("what junior lenders cover"),
}
"""What bounds a quote, as `quoting.LIMITS` names it."""


@dataclass(frozen=True)
class AtPool:
    """A wallet at one pool. ``scores`` newest first, ``standing`` the one that counts now; ``tier`` None
    where a score ended; ``quote`` None with the reason in ``refused``."""

    state: PoolState
    position: Position
    scores: Sequence[Scored]
    standing: Scored | None
    tier: int | None
    quote: Quote | None
    refused: str

    @property
    def is_worst(self) -> bool:
        """Whether it gets what unknown wallets get."""
        return self.tier == self.state.worst_tier

    @property
    def scored_tier(self) -> int | None:
        """The tier that the standing score alone would give here."""
        if self.standing is None:
            return None
        return priced_tier(self.state, self.standing.word.tier, self.standing.word.pd_bps)


@dataclass(frozen=True)
class Look:
    """A wallet, looked at. ``errand`` judges it, None where nobody asked for that, or without a scorecard,
    with ``no_card`` saying why; ``busy`` where too much waits already; ``silent`` pools that do not
    answer."""

    wallet: str
    pools: Sequence[AtPool]
    silent: Sequence[str]
    happened: Sequence[Happened]
    read_through: int
    errand: Errand | None
    no_card: str
    busy: str
    scorer: Scorer | None

    @property
    def may_judge(self) -> bool:
        """Whether the node's scorecard can be asked, and was not yet."""
        return self.scorer is not None and self.errand is None

    @property
    def judged(self) -> Judged | None:
        """What the node's scorecard says, once it has."""
        found = self.errand.value if self.errand is not None and self.errand.state == "done" else None
        return found if isinstance(found, Judged) else None

    @property
    def standing(self) -> Scored | None:
        """The newest score that counts at some pool."""
        found = [each.standing for each in self.pools if each.standing is not None]
        return max(found, key=lambda each: each.issued_at, default=None)

    @property
    def ended(self) -> Scored | None:
        """The newest score, where none counts any more."""
        if self.standing is not None:
            return None
        found = [each.scores[0] for each in self.pools if each.scores]
        return max(found, key=lambda each: each.issued_at, default=None)

    @property
    def is_unknown(self) -> bool:
        """Whether neither issuers nor pools nor the history know it."""
        known = self.judged is not None and self.judged.is_known
        return self.standing is None and self.ended is None and not self.happened and not known

    @property
    def worst(self) -> str:
        """The tier of wallets without a score, where all pools have as many; '' otherwise."""
        found = {each.state.worst_tier for each in self.pools}
        return letter(found.pop()) if len(found) == 1 else ""

    @property
    def is_waiting(self) -> bool:
        """Whether the page has more to say soon."""
        return self.errand is not None and not self.errand.is_over

    def title(self) -> str:
        """The page's answer."""
        done, standing = self.judged, self.standing
        if self.is_unknown and not self.is_waiting:
            if not self.pools:
                return gettext("Nothing is known of this wallet")
            return self._unknown_title()
        if done is not None:
            answer = done.judgement.answer
            return gettext(
                "This wallet scores %(points)s of %(most)s: tier %(tier)s",
                points=answer.points,
                most=done.most,
                tier=letter(answer.final_tier),
            )
        if standing is not None and standing.word.points:
            return gettext(
                "This wallet scores %(points)s: tier %(tier)s",
                points=standing.word.points,
                tier=letter(standing.word.tier),
            )
        if standing is not None:
            return gettext(
                "Issuers of scores put this wallet into tier %(tier)s", tier=letter(standing.word.tier)
            )
        if self.ended is not None:
            return gettext("This wallet's score has ended")
        if not self.worst:
            return gettext("This wallet has no score on chain: it gets each pool's worst tier")
        return gettext("This wallet has no score on chain: it gets the worst tier, %(tier)s", tier=self.worst)

    def _unknown_title(self) -> str:
        done, worst = self.judged, self.worst
        if not worst:
            return gettext("Nothing is known of this wallet: it gets each pool's worst tier")
        scored = letter(done.judgement.answer.final_tier) if done is not None else worst
        if scored != worst:
            return gettext(
                "Nothing is known of this wallet: %(points)s points, tier %(tier)s here, %(worst)s on chain",
                points=done.judgement.answer.points if done is not None else 0,
                tier=scored,
                worst=worst,
            )
        return gettext("Nothing is known of this wallet: it gets the worst tier, %(tier)s", tier=worst)

    def scale(self) -> Markup | None:
        """Its points on their scale; None where nobody here knows the scale."""
        done, standing = self.judged, self.standing
        if done is not None:
            table = done.card.table
            return draw_scale(Scale(done.judgement.answer.points, done.least, done.most, table.thresholds))
        if standing is None or self.scorer is None:
            return None
        table = self.scorer.scorecard.table
        if standing.digest != "0x" + table.digest.hex():
            return None
        return draw_scale(Scale(standing.word.points, *span(table), table.thresholds))

    def past(self) -> Markup | None:
        """Its points in time; None where there is only one look."""
        done = self.judged
        if done is not None:
            tier, thresholds = done.found.tier, done.card.table.thresholds
            return draw_past(done.looks, (tier - 1, thresholds[tier - 1]) if tier else None)
        scores = [each for each in self._all_scores() if each.word.points]
        return draw_past([(each.issued_at, each.word.points) for each in reversed(scores)], None)

    def _all_scores(self) -> Sequence[Scored]:
        return max((each.scores for each in self.pools), key=len, default=())


class Looker:
    """Looks at wallets for one console: one pool of long work, one history."""

    def __init__(self, ground: Any) -> None:
        self.ground: Ground = ground
        self.ledger = Ledger(ground.index)
        self.errands = Errands()
        self.stresses = Errands()  # of its own: a full queue of wallets must not keep lenders from asking
        self.seen = PoolsSeen(self.ground.chain, self.ledger)
        self.histories = Histories()

    def lending(self) -> Lending:
        """The room's front door, for looking: nobody acts by it."""
        return Lending(self.ground.chain, folder(self.ground))

    def look(self, wallet: str, pools: Sequence[str], *, judging: bool) -> Look:
        """At a wallet (EIP-55), at these pools. ``judging`` begins to judge it in the background where there
        is a scorecard; else what was begun before is found. Judging is dear: not whoever loads a page may
        cause it for any address."""
        lending = self.lending()
        listing, now = self.seen.listed(pools), self.ground.chain.timestamp()
        errand, no_card, busy, scorer = None, "", "", None
        try:
            scorer = usual_scorer(self.ground)
        except KoinonError as fault:
            no_card = f"{fault.message} {fault.hint}"
        found = [self._at(lending, state, wallet, now) for state in listing.states]
        happened, through = self.ledger.of_wallet(wallet), self.ledger.through()
        if scorer is not None:  # last: what takes long must not slow the page that asks for it
            errand = self.errands.find(self._key(scorer, wallet))
            if errand is None and judging:
                try:
                    errand = self._judge(scorer, wallet, again=False)
                except UsageError as full:
                    busy = f"{full.message} {full.hint}"
        errand = copy(errand)  # the page is about one moment, while the work goes on
        return Look(wallet, found, listing.silent, happened, through, errand, no_card, busy, scorer)

    def judge_again(self, wallet: str) -> None:
        """Forget what was found, and judge it as of now."""
        scorer = usual_scorer(self.ground)
        if scorer is not None:
            self._judge(scorer, wallet, again=True)

    def _judge(self, scorer: Scorer, wallet: str, *, again: bool) -> Errand:
        # as the operator: prices of the pools count whose scores this node signs
        lending = Lending(self.ground.chain, folder(self.ground), self.ground.operator)
        return self.errands.begin(
            self._key(scorer, wallet),
            lambda tell: judged(lending, scorer, wallet, self.histories, tell),
            again=again,
        )

    @staticmethod
    def _key(scorer: Scorer, wallet: str) -> str:
        return f"judge {wallet} {scorer.scorecard.digest}"

    def _at(self, lending: Lending, state: PoolState, wallet: str, now: int) -> AtPool:
        pool = CreditPool(self.ground.chain, state.address)
        tier, quote, refused = None, None, ""
        try:
            tier = pool.tier_of(wallet)
            quote = lending.quote(state.address, wallet, state=state)
        except TransactionFailed as refusal:
            refused = gettext("Nothing new can be borrowed: %(why)s.", why=reason_in_words(refusal))
        except KoinonError as fault:
            refused = f"{fault.message} {fault.hint}".strip()
            if fault.code == "lending.too_little":
                least = f"{amount_text(state.terms.min_debt, unit_of(state.loan))} {state.loan.symbol}"
                refused = gettext(
                    "What it could borrow now is less than the pool's least loan of %(least)s.", least=least
                )
            if state.price is None:
                refused = gettext(
                    "Nothing can be borrowed now: there is no price that feeders and market share."
                )
        scores = self.ledger.scores(state.terms.schema, wallet)
        standing = standing_at(scores, state.terms.work_id, now)
        return AtPool(state, pool.position(wallet), scores, standing, tier, quote, refused)
