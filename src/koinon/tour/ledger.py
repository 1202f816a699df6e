# SPDX-License-Identifier: Apache-2.0
"""What the tour found out: how good, for whom, and where every unit of money went."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich.markup import escape

from koinon.errors import IntegrityError
from koinon.terminal import Terminal
from koinon.tour.lent import Lent

WHOLE = 1_000_000_000


@dataclass(frozen=True)
class Figure:
    """A figure on the held-out set with its bootstrap 95 % interval."""

    value: float
    interval: tuple[float, float]

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.interval[0]:.3f}, {self.interval[1]:.3f}]"


@dataclass(frozen=True)
class Money:
    """What the better model is worth to a lender: defaults among the approved at one approval rate."""

    approval_rate: float
    alone: float
    together: int


@dataclass(frozen=True)
class Row:
    """One party's line. ``share`` in 1e-9 of the model's income; amounts in the coin's smallest unit, read
    from the chain: ``earned`` by this run's model, ``withdrawn`` to the party's own account, ``spent``."""

    name: str
    role: str
    address: str
    share: int
    earned: int
    withdrawn: int
    spent: int = 0


@dataclass(frozen=True)
class Ledger:
    """Everything ``koinon tour --json`` prints.

    ``waiting`` is what still lies in tills, ``paid`` what left the buyer's channel for the model's till;
    ``conserved`` that paid = withdrawn + waiting, and that the shares make a whole, all read from the chain.
    ``lent`` is the loan that the model decided afterwards, with an account of its own; ``not_lent`` says why
    there is none.
    """

    alone: dict[str, float]
    alone_mean: float | None
    together: Figure
    pooled: float
    pooled_epochs: int
    gain: Figure | None
    money: Money | None
    held_out_rows: int
    rounds: int
    missing: dict[str, list[str]]
    calls: int
    price: int
    paid: int
    waiting: int
    parties: tuple[Row, ...]
    conserved: bool
    model_work: int
    model_till: str
    symbol: str
    decimals: int
    stages: dict[str, float]
    rpc_url: str
    contracts: dict[str, str]
    lent: Lent | None = None
    not_lent: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values; amounts stay integers."""
        fields = asdict(self)
        fields["together"] = self.together.value
        fields["together_interval"] = list(self.together.interval)
        fields["gain"] = self.gain and {"value": self.gain.value, "interval": list(self.gain.interval)}
        fields["pooled"] = {"auc": self.pooled, "epochs": self.pooled_epochs}
        del fields["pooled_epochs"]
        fields["lent"] = self.lent and self.lent.to_json()
        return fields

    def check(self) -> None:
        """IntegrityError when a unit is missing or too many."""
        if not self.conserved:
            withdrawn = sum(row.withdrawn for row in self.parties)
            raise IntegrityError(
                f"{self.paid} units were paid, but {withdrawn} withdrawn and {self.waiting} are waiting.",
                hint="Keep the data directory and report this.",
                code="tour.not_conserved",
            )
        if self.lent is not None:
            self.lent.check()

    def show(self, terminal: Terminal) -> None:
        """The ledger as people read it."""
        terminal.say("")
        terminal.say("[bold]Is the model better than what each lender had alone?[/bold]")
        terminal.say(
            f"Ranking of defaulters (AUC) on {self.held_out_rows:,} customers nobody trained on; "
            "chance is 0.500."
        )
        terminal.say("")
        terminal.table(
            "",
            ["model taught by", "AUC"],
            [
                *((name, f"{value:.3f}") for name, value in self.alone.items()),
                (f"all {_number(self.taught)} together, no data shown", str(self.together)),
                (f"all rows in one place ({self.pooled_epochs} epochs; not allowed)", f"{self.pooled:.3f}"),
            ],
            right=[1],
        )
        terminal.say("")
        if self.gain is not None:
            terminal.say(f"Gain over the mean lender alone: {self.gain} (95 % bootstrap interval)")
        if self.money is not None:
            money = self.money
            terminal.say(
                f"In money: approving the safest {money.approval_rate:.0%} of {self.held_out_rows:,}, "
                f"a lender alone has {money.alone:,.0f} defaults, together {money.together:,}."
            )
        for owner, numbers in self._absences().items():
            terminal.say(
                f"[yellow]{owner} did not answer in {_rounds(numbers)} of {self.rounds}; "
                "the run went on with the others.[/yellow]"
            )
        terminal.say("")
        terminal.say(
            f"[bold]Who was paid?[/bold]  {self.calls:,} calls at {self.coins(self.price)} {self.symbol} "
            f"= {self.coins(self.paid)} {self.symbol}, paid by vouchers, settled on chain."
        )
        terminal.say("")
        terminal.table(
            "",
            ["party", "role", "share", "earned", "withdrawn", "address"],
            [
                (
                    row.name,
                    row.role,
                    f"{row.share / WHOLE:.2%}" if row.share else "",
                    self.coins(row.earned)
                    if row.earned
                    else (f"-{self.coins(row.spent)}" if row.spent else ""),
                    self.coins(row.withdrawn) if row.withdrawn else "",
                    short(row.address),
                )
                for row in self.parties
            ],
            right=[2, 3, 4],
        )
        terminal.say("")
        withdrawn = sum(row.withdrawn for row in self.parties)
        terminal.say(
            f"Read back from the chain: {self.coins(self.paid)} paid = {self.coins(withdrawn)} withdrawn "
            f"+ {self.coins(self.waiting)} still in tills (shares are rounded down to the unit). "
            + ("Every unit is there." if self.conserved else "[bold red]UNITS ARE MISSING.[/bold red]")
        )
        if self.lent is not None:
            self.lent.show(terminal)
        elif self.not_lent:
            terminal.say(f"[dim]{escape(self.not_lent)}[/dim]")
        total = sum(self.stages.values())
        longest = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.stages.items())
        terminal.note(f"[dim]{total:.0f} s: {longest}[/dim]")

    @property
    def taught(self) -> int:
        """How many lenders took part in a round or more."""
        absences = self._absences()
        joined = sum(row.role.endswith("customers") for row in self.parties)
        return joined - sum(len(numbers) == self.rounds for numbers in absences.values())

    def _absences(self) -> dict[str, list[int]]:
        """Name → the rounds that ended without them, in order."""
        found: dict[str, list[int]] = {}
        for number, names in self.missing.items():
            for name in names:
                found.setdefault(name, []).append(int(number))
        return {name: sorted(numbers) for name, numbers in found.items()}

    def coins(self, units: int) -> str:
        """Units as people write them, exact."""
        whole, part = divmod(abs(units), 10**self.decimals)
        return f"{'-' if units < 0 else ''}{whole}.{part:0{self.decimals}d}"


def _number(count: int) -> str:
    words = ("none", "one", "two", "three", "four", "five")
    return words[count] if count < len(words) else str(count)


def _rounds(numbers: list[int]) -> str:
    """Rounds in order as people say them: "round 3", "rounds 3 to 15", "rounds 2, 5"."""
    if len(numbers) == 1:
        return f"round {numbers[0]}"
    if numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"rounds {numbers[0]} to {numbers[-1]}"
    return f"rounds {', '.join(map(str, numbers))}"


def short(address: str) -> str:
    """An address as people compare it; the whole one is in the JSON."""
    return f"{address[:6]}…{address[-4:]}"
