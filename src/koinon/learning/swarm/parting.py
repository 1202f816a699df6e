# SPDX-License-Identifier: Apache-2.0
"""What a peer does once the model is published: find out whether its owner gains, and leave everything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from koinon.learning.closing import close, keep_own
from koinon.learning.gains import OwnRows
from koinon.learning.scaling import Scaling
from koinon.learning.swarm.closing import Closing
from koinon.learning.swarm.config import PeerConfig
from koinon.learning.swarm.entering import frames_of, take_back_stake
from koinon.learning.swarm.keeping import keep, keep_alone, keep_reports
from koinon.learning.swarm.seat import Seat
from koinon.learning.swarm.teaching import Teaching
from koinon.learning.trained import TrainedModel
from koinon.tables import Table


class Parting:
    """The end of one peer.

    Parameters
    ----------
    rows : tuple of Table, optional
        The owner's rows that teach, and those it keeps to measure on; None for a peer that lends computing.
    """

    def __init__(
        self,
        seat: Seat,
        config: PeerConfig,
        closing: Closing,
        scaling: Scaling,
        rows: tuple[Table, Table] | None,
    ) -> None:
        self._seat, self._config, self._closing, self._scaling = seat, config, closing, scaling
        self._rows = rows

    def part(self, work_id: int, taught: Teaching | None) -> None:
        """Put what came of it where the owner finds it, tell the others, and take the stake back.

        Parameters
        ----------
        work_id : int
            The model's; 0 where this peer leaves before.
        taught : Teaching, optional
            None for a peer that lends computing.
        """
        seat, worth = self._seat, self._closing.worth
        if work_id and worth is not None:
            if taught is not None:
                self._find_out(taught)
            keep_reports(seat.folder, self._reports())
            keep(seat.folder, self.model, self._closing.evidence, worth.contributions, seat.roster)
        collected = take_back_stake(seat, seat.key)
        if work_id:
            keep_reports(seat.folder, self._reports())  # others told theirs in the meantime
        seat.report({"event": "done", "work_id": work_id, "collected": collected})

    @property
    def model(self) -> TrainedModel:
        """The common model as it is now."""
        return TrainedModel(self._seat.recipe, self._scaling, self._seat.course.common.parameters)

    def _find_out(self, taught: Teaching) -> None:
        seat, config = self._seat, self._config
        if self._rows is None:
            return
        teaching, kept = self._rows
        last = seat.course.common.vector
        own = OwnRows(seat.recipe, kept, self._scaling)
        if own.enough:
            for number, one in enumerate(self._closing.evidence.replay()[1:], start=1):
                own.note(number, one.base)
            own.note(seat.recipe.rounds, last)
        found = close(
            learner=taught.learner(),
            teaching=teaching,
            own=own,
            scaling=self._scaling,
            last=last,
            frames=frames_of(seat, len(teaching)),
            share_alone=config.show_alone,
            share_report=config.share_report,
        )
        home = Path(config.dataset_dir or config.data_dir)
        keep_own(home, found.gain, found.population, seat.recipe, seat.report)
        for path, frame in found.shown:
            if path == "/alone":
                keep_alone(seat.folder, frame)
            else:
                seat.exchange.keep_report(frame)
                seat.exchange.tell(path, frame)

    def _reports(self) -> Sequence[bytes]:
        known = [self._seat.journal.fact(f"report {one.account}") for one in self._seat.roster.members]
        return [frame for frame in known if frame is not None]
