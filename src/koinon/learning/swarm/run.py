# SPDX-License-Identifier: Apache-2.0
"""A swarm with a process a peer on this machine, opened and watched from here.

Who opens a swarm fixes the recipe, the common sets and the rules, reveals the sets when the rounds are over,
and gets the model's Work. It leads nothing: peers follow the chain, wherever they run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from koinon.chain.handle import Chain
from koinon.chain.keyring import Keyring
from koinon.chain.keys import Key
from koinon.errors import BadInput, NotFound, PeerError
from koinon.learning.gains import OwnReport
from koinon.learning.ledger import check_against_chain
from koinon.learning.messages import federation_domain
from koinon.learning.models.base import Vector
from koinon.learning.outcome import Outcome
from koinon.learning.recipe import Recipe
from koinon.learning.splits import Split
from koinon.learning.swarm.chain_state import (
    NO_ROUND,
    Rules,
    SwarmPeer,
    SwarmState,
    read_peers,
    read_round,
    read_swarm,
)
from koinon.learning.swarm.config import PeerConfig
from koinon.learning.swarm.keeping import MODEL, read_alone, read_kept, read_reports
from koinon.learning.swarm.ledger import SwarmLedger
from koinon.learning.swarm.outcome import swarm_outcome
from koinon.learning.swarm.processes import PROGRAM, PeerProcess
from koinon.tables import check_trainable

Progress = Callable[[dict[str, Any]], None]
OWNER_KEY: Final = "operator"
STAKE: Final = 10_000_000
"""The least stake of a swarm on this machine: ten coins of six decimals."""
_STAKES: Final = 20
_POLL_S: Final = 0.1
_JOIN_S: Final = 90.0
_SILENT_S: Final = 120.0


def local_rules(token: str, *, slot_s: int = 5, window_s: int = 3) -> Rules:
    """Rules for a chain whose blocks are there at once."""
    return Rules(token, STAKE, STAKE // 10, slot_s, window_s)


class LocalSwarm:
    """Opens a run and has peers on this machine take part in it; use as a context manager.

    Parameters
    ----------
    recipe : Recipe
        With its scaling: in a swarm nobody sends statistics.
    key : Key
        The initiator's.
    folder : Path
        Gets a folder for each owner, ``owners/<number>``, and for those who lend computing, ``lenders/…``.
    split : Split
        The owners' tables and the common sets.
    lenders : int
        Peers that lend computing only, besides one for each of the split's owners.
    rules : Rules, optional
        `local_rules` when not given.
    fund : callable, optional
        Gives accounts ETH.
    names : sequence of str
        What the owners' datasets are called.
    stakes : mapping of int to int, optional
        For peers by number: their stakes, in the smallest unit.
    programs : mapping of int to words, optional
        For peers by number: what runs instead of the usual program.

    Raises
    ------
    BadInput
        The common sets do not fit the recipe or are the same, or the recipe leaves its scaling open.
    """

    def __init__(
        self,
        recipe: Recipe,
        key: Key,
        folder: Path,
        split: Split,
        *,
        chain: Chain,
        lenders: int = 0,
        rules: Rules | None = None,
        fund: Callable[..., None] | None = None,
        names: Sequence[str] = (),
        stakes: Mapping[int, int] | None = None,
        programs: Mapping[int, Sequence[str]] | None = None,
        store: Path | None = None,
    ) -> None:
        _check(recipe, split)
        self.recipe, self.split, self.folder, self.chain = recipe, split, folder, chain
        self.ledger = SwarmLedger(chain, key)
        self.rules = rules or local_rules(chain.coin.address)
        self.run_id = self.ledger.open(recipe, split.contribution.digest, split.held_out.digest, self.rules)
        self._sets = folder / "revealed" / str(self.run_id)
        self._store = store
        owners = len(split.owners)
        homes = [folder / "owners" / str(number + 1) for number in range(owners)]
        homes += [folder / "lenders" / str(number + 1) for number in range(lenders)]
        rings = [Keyring(home / "keys", derivation="pbkdf2", environment={}) for home in homes]
        keys = [ring.open(OWNER_KEY) for ring in rings]
        self._fund([one.address for one in keys], fund, key)
        self.peers: list[PeerProcess] = []
        for number, (home, ring, one) in enumerate(zip(homes, rings, keys, strict=True)):
            config = replace(
                self._config(number, home, ring),
                name=names[number] if number < len(names) else f"Data set of owner {number + 1}",
                stake=(stakes or {}).get(number, 0),
            )
            program = (programs or {}).get(number, PROGRAM)
            self.peers.append(PeerProcess(config, home, one.address, chain.rpc.url, program))

    def start(
        self,
        *,
        late: Collection[int] = (),
        patience_s: float = _JOIN_S,
        progress: Progress = lambda _: None,
    ) -> None:
        """Start the processes, but for those that come ``late``, and then the first round.

        It waits for everybody to be ready, or until the time is over.

        Raises
        ------
        PeerError
            Fewer came than the recipe needs.
        """
        for number, peer in enumerate(self.peers):
            if number not in late:
                peer.start()
        deadline = time.monotonic() + patience_s
        told: set[str] = set()
        while True:
            coming, ready = self._coming()
            for one in ready:
                if one.account not in told and one.member is not None:
                    told.add(one.account)
                    progress({"event": "joined", "owner": one.account, "waiting": coming})
            if not coming or time.monotonic() >= deadline:
                break
            time.sleep(_POLL_S)
        if len([one for one in ready if one.member is not None]) < self.recipe.minimum_owners:
            said = next((peer.last_words() for peer in self.peers if peer.status), "")
            raise PeerError(
                f"Only {len(ready)} of {len(self.peers)} peers are ready.",
                hint=said or "Are the peers' processes running?",
                code="learning.too_few_owners",
            )
        self.ledger.start(self.run_id)

    def watch(self, progress: Progress = lambda _: None) -> int:
        """Tell what happens and reveal the common sets when the rounds are over; the model's Work.

        Raises
        ------
        PeerError
            All peers have ended, or nothing happens any more.
        """
        seen, changed, told = (0, 0, 0), time.monotonic(), 0
        while True:
            state = read_swarm(self.chain, self.run_id)
            told = min(told, state.round)  # what was overturned is told again when it is done again
            try:
                while told < min(state.round, state.rounds):
                    progress(self._round(told + 1))
                    told += 1
                work_id = self._look(state)
            except NotFound as error:
                if error.code != NO_ROUND:
                    raise
                continue  # a round was overturned while it was looked at
            if work_id:
                return work_id
            now = (state.round, state.settled, state.draw)
            if now != seen:
                seen, changed = now, time.monotonic()
            if not any(peer.running for peer in self.peers) or time.monotonic() - changed > _SILENT_S:
                said = next((peer.last_words() for peer in self.peers if peer.status), "")
                raise PeerError("The swarm has come to a stand.", hint=said, code="swarm.stuck")
            time.sleep(_POLL_S)

    def close(self) -> None:
        """End the processes; those that publish the model or collect their stakes are let finish."""
        for peer in self.peers:
            peer.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for peer in self.peers:
            if kind is None:
                peer.stop(self.rules.window_s + 20.0)
            else:
                peer.kill()

    def outcome(self, work_id: int, stages: Mapping[str, float]) -> Outcome:
        """Measure what the swarm came to, from what a peer kept and the chain confirms.

        Raises
        ------
        PeerError
            No peer kept the run.
        IntegrityError
            What was kept is not what the chain records.
        """
        federation = self.chain.contract("Federation")
        domain = federation_domain(self.chain.chain_id, federation.address)
        folders = [Path(peer.config.data_dir) for peer in self.peers]
        kept = next((folder for folder in folders if (folder / MODEL).exists()), None)
        if kept is None:
            raise PeerError("No peer has kept the finished run.", code="swarm.stuck")
        found = read_kept(kept, domain)
        check_against_chain(federation, self.run_id, found.evidence)
        places = {joining.owner: index for index, joining in enumerate(found.joinings)}
        alone: dict[int, Vector] = {}
        reports: dict[int, OwnReport] = {}
        for folder in folders:
            told = read_reports(folder, self.recipe, self.run_id, domain)
            reports |= {places[owner]: one for owner, one in told.items() if owner in places}
            shown = read_alone(folder, self.recipe, domain)
            alone |= {places[owner]: one for owner, one in shown.items() if owner in places}
        return swarm_outcome(
            found,
            self.run_id,
            held_out=self.split.held_out,
            alone=alone,
            reports=reports,
            peers=len(self.peers),
            stages=stages,
            work_id=work_id,
        )

    def _look(self, state: SwarmState) -> int:
        """Reveal the common sets once it is time; the model's Work, 0 until it is published."""
        self._reveal(state)
        if state.round <= state.rounds:
            return 0
        return int.from_bytes(read_round(self.chain, self.run_id, state.round).updates, "big")

    def _coming(self) -> tuple[int, list[SwarmPeer]]:
        """How many of those who run are not ready yet, and who is."""
        ready = [one for one in read_peers(self.chain, self.run_id) if one.active]
        accounts = {one.account for one in ready}
        return sum(peer.running and peer.account not in accounts for peer in self.peers), ready

    def _round(self, number: int) -> dict[str, Any]:
        """A round as it is told; it may still be overturned."""
        found = read_round(self.chain, self.run_id, number)
        members = [
            one for one in read_peers(self.chain, self.run_id) if one.active and one.member is not None
        ]
        return {
            "event": "round",
            "round": number,
            "rounds": self.recipe.rounds,
            "participants": found.participants.bit_count(),
            "missing": [one.account for one in members if not found.participants >> (one.member or 0) & 1],
            "leader": found.leader,
        }

    def _reveal(self, state: SwarmState) -> None:
        """Put the common sets where peers look for them, once no update can depend on them."""
        if state.round < state.rounds or self._sets.exists():
            return
        last = read_round(self.chain, self.run_id, state.rounds)
        if time.time() < last.proposed_at + self.rules.window_s:
            return
        hidden = self._sets.with_suffix(".hidden")
        self.split.contribution.save(hidden / "contribution.npz")
        self.split.held_out.save(hidden / "held_out.npz")
        hidden.rename(self._sets)

    def _config(self, number: int, home: Path, ring: Keyring) -> PeerConfig:
        data_dir = home / "swarm" / str(self.run_id)
        self.chain.network.save(home / "network.json")
        (home / "recipe.json").write_bytes(self.recipe.to_json())
        for blocks in (home / "blocks", data_dir / "blocks"):
            if self._store is not None and not blocks.exists():
                self._store.mkdir(parents=True, exist_ok=True)
                blocks.parent.mkdir(parents=True, exist_ok=True)
                blocks.symlink_to(self._store.resolve(), target_is_directory=True)
        table = ""
        if number < len(self.split.owners):
            self.split.owners[number].save(home / "table.npz")
            table = str(home / "table.npz")
        return PeerConfig(
            run_id=self.run_id,
            network=str(home / "network.json"),
            recipe=str(home / "recipe.json"),
            data_dir=str(data_dir),
            keystore=str(ring.path(OWNER_KEY)),
            password_file=str(ring.password_file),
            table=table,
            contribution_set=str(self._sets / "contribution.npz"),
            held_out=str(self._sets / "held_out.npz"),
            dataset_dir=str(home),
            show_alone=not self.recipe.privacy.on,
        )

    def _fund(self, accounts: list[str], fund: Callable[..., None] | None, key: Key) -> None:
        """ETH for gas, and test coins to stake."""
        if fund is not None:
            fund(key.address, *accounts)
        if self.chain.network.test_money and self.rules.token == self.chain.coin.address:
            amount = _STAKES * self.rules.minimum_stake
            self.chain.sender(key).send_all(
                [self.chain.coin.transaction("mint", account, amount) for account in accounts]
            )


def _check(recipe: Recipe, split: Split) -> None:
    for name, table in (("contribution set", split.contribution), ("held-out set", split.held_out)):
        if table.columns != recipe.columns:
            raise BadInput(f"The {name} has other columns than the recipe.", code="learning.columns_differ")
        check_trainable(table, f"The {name}", classes=recipe.classes)
    if split.contribution.digest == split.held_out.digest:
        raise BadInput(
            "The contribution set and the held-out set are the same.",
            hint="Nobody may be paid by the rows the result is reported on.",
            code="learning.same_sets",
        )
    if recipe.scaling is None:
        raise BadInput(
            "A swarm's recipe says itself how columns are scaled.",
            hint="Give it a [scaling]; in a swarm nobody collects statistics.",
            code="learning.scaling",
        )
    if recipe.privacy.private_sum or recipe.privacy.noise == "central":
        raise BadInput(
            "In a swarm every peer computes every sum again, so nothing is hidden from the others.",
            hint="Run this recipe with a coordinator: --mode coordinator.",
            code="learning.private_mode",
        )
    recipe.check_owners(len(split.owners), recorded=True)
