# SPDX-License-Identifier: Apache-2.0
"""Which events of which protocols are read, and what each says in the terms of `EventRow`.

Signatures are the protocols' own, as their published ABIs and sources have them: Aave v3 `IPool`, Compound
v3 `CometMainInterface`, Morpho Blue `EventsLib`, Uniswap `IUniswapV2Pair`/`IUniswapV3PoolEvents`, EIP-20,
EIP-4626, Chainlink `AggregatorInterface`, OpenZeppelin `IGovernor`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from koinon.chain.events import Layout
from koinon.markets.history.facts import Facts, MarketFacts
from koinon.markets.history.saying import (
    Fields,
    Reader,
    approval_for_all,
    authorization,
    governed,
    lending,
    morpho_liquidation,
    nothing,
    pool_loan,
    price,
    says,
    sync,
    v2_swap,
    v3_swap,
)
from koinon.markets.history.signatures import event_entry


@dataclass(frozen=True)
class Rule:
    """One event. ``market`` the field that holds the market's id, where the emitter has several."""

    signature: str
    read: Reader
    market: str = ""

    @property
    def name(self) -> str:
        return self.signature.partition("(")[0]


OWNERS: Final = (
    Rule(
        "OwnershipTransferred(address indexed previousOwner, address indexed newOwner)",
        says("role", account="new_owner", counterparty="previous_owner"),
    ),
    Rule(
        "RoleGranted(bytes32 indexed role, address indexed account, address indexed sender)",
        says("role", account="account", counterparty="sender", note="role"),
    ),
    Rule(
        "RoleRevoked(bytes32 indexed role, address indexed account, address indexed sender)",
        says("role", account="account", counterparty="sender", note="role"),
    ),
    Rule("Upgraded(address indexed implementation)", says("role", account="implementation")),
    Rule(
        "AdminChanged(address previousAdmin, address newAdmin)",
        says("role", account="new_admin", counterparty="previous_admin"),
    ),
)

ERC20: Final = (
    Rule(
        "Transfer(address indexed from, address indexed to, uint256 value)",
        says("transfer", account="from", counterparty="to", asset="address", amount="value"),
    ),
    Rule(
        "Approval(address indexed owner, address indexed spender, uint256 value)",
        says("approval", account="owner", counterparty="spender", asset="address", amount="value"),
    ),
    Rule("ApprovalForAll(address indexed owner, address indexed operator, bool approved)", approval_for_all),
)

AAVE_V3: Final = (
    Rule(
        "Supply(address indexed reserve, address user, address indexed onBehalfOf, uint256 amount, "
        "uint16 indexed referralCode)",
        lending("supply", "on_behalf_of", "user", "reserve", "amount"),
    ),
    Rule(
        "Withdraw(address indexed reserve, address indexed user, address indexed to, uint256 amount)",
        lending("withdraw", "user", "to", "reserve", "amount"),
    ),
    Rule(
        "Borrow(address indexed reserve, address user, address indexed onBehalfOf, uint256 amount, "
        "uint8 interestRateMode, uint256 borrowRate, uint16 indexed referralCode)",
        lending("borrow", "on_behalf_of", "user", "reserve", "amount"),
    ),
    Rule(
        "Repay(address indexed reserve, address indexed user, address indexed repayer, uint256 amount, "
        "bool useATokens)",
        lending("repay", "user", "repayer", "reserve", "amount"),
    ),
    Rule(
        "LiquidationCall(address indexed collateralAsset, address indexed debtAsset, address indexed user, "
        "uint256 debtToCover, uint256 liquidatedCollateralAmount, address liquidator, bool receiveAToken)",
        says(
            "liquidation",
            account="user",
            counterparty="liquidator",
            asset="debt_asset",
            amount="debt_to_cover",
            asset_2="collateral_asset",
            amount_2="liquidated_collateral_amount",
        ),
    ),
)

COMPOUND_V3: Final = (
    Rule(
        "Supply(address indexed from, address indexed dst, uint256 amount)",
        lending("supply", "dst", "from", "@asset", "amount"),
    ),
    Rule(
        "Withdraw(address indexed src, address indexed to, uint256 amount)",
        lending("withdraw", "src", "to", "@asset", "amount"),
    ),
    Rule(
        "SupplyCollateral(address indexed from, address indexed dst, address indexed asset, uint256 amount)",
        lending("deposit_collateral", "dst", "from", "asset", "amount"),
    ),
    Rule(
        "WithdrawCollateral(address indexed src, address indexed to, address indexed asset, uint256 amount)",
        lending("withdraw_collateral", "src", "to", "asset", "amount"),
    ),
    Rule(
        "AbsorbDebt(address indexed absorber, address indexed borrower, uint256 basePaidOut, "
        "uint256 usdValue)",
        lending("liquidation", "borrower", "absorber", "@asset", "base_paid_out"),
    ),
    Rule(
        "AbsorbCollateral(address indexed absorber, address indexed borrower, address indexed asset, "
        "uint256 collateralAbsorbed, uint256 usdValue)",
        lending("seizure", "borrower", "absorber", "asset", "collateral_absorbed"),
    ),
    Rule(
        "Transfer(address indexed from, address indexed to, uint256 amount)",
        says("transfer", account="from", counterparty="to", amount="amount"),
    ),
)

MORPHO_BLUE: Final = (
    Rule(
        "CreateMarket(bytes32 indexed id, (address loanToken, address collateralToken, address oracle, "
        "address irm, uint256 lltv) marketParams)",
        nothing,
        "id",
    ),
    Rule(
        "Supply(bytes32 indexed id, address indexed caller, address indexed onBehalf, uint256 assets, "
        "uint256 shares)",
        lending("supply", "on_behalf", "caller"),
        "id",
    ),
    Rule(
        "Withdraw(bytes32 indexed id, address caller, address indexed onBehalf, address indexed receiver, "
        "uint256 assets, uint256 shares)",
        lending("withdraw", "on_behalf", "receiver"),
        "id",
    ),
    Rule(
        "Borrow(bytes32 indexed id, address caller, address indexed onBehalf, address indexed receiver, "
        "uint256 assets, uint256 shares)",
        lending("borrow", "on_behalf", "receiver"),
        "id",
    ),
    Rule(
        "Repay(bytes32 indexed id, address indexed caller, address indexed onBehalf, uint256 assets, "
        "uint256 shares)",
        lending("repay", "on_behalf", "caller"),
        "id",
    ),
    Rule(
        "SupplyCollateral(bytes32 indexed id, address indexed caller, address indexed onBehalf, "
        "uint256 assets)",
        lending("deposit_collateral", "on_behalf", "caller", "@asset_2"),
        "id",
    ),
    Rule(
        "WithdrawCollateral(bytes32 indexed id, address caller, address indexed onBehalf, "
        "address indexed receiver, uint256 assets)",
        lending("withdraw_collateral", "on_behalf", "receiver", "@asset_2"),
        "id",
    ),
    Rule(
        "Liquidate(bytes32 indexed id, address indexed caller, address indexed borrower, "
        "uint256 repaidAssets, uint256 repaidShares, uint256 seizedAssets, uint256 badDebtAssets, "
        "uint256 badDebtShares)",
        morpho_liquidation,
        "id",
    ),
    Rule(
        "SetAuthorization(address indexed caller, address indexed authorizer, address indexed authorized, "
        "bool newIsAuthorized)",
        authorization,
    ),
    Rule("SetOwner(address indexed newOwner)", says("role", account="new_owner")),
)

UNISWAP_V2: Final = (
    Rule(
        "Swap(address indexed sender, uint256 amount0In, uint256 amount1In, uint256 amount0Out, "
        "uint256 amount1Out, address indexed to)",
        v2_swap,
    ),
    Rule("Sync(uint112 reserve0, uint112 reserve1)", sync),
)

UNISWAP_V3: Final = (
    Rule(
        "Swap(address indexed sender, address indexed recipient, int256 amount0, int256 amount1, "
        "uint160 sqrtPriceX96, uint128 liquidity, int24 tick)",
        v3_swap,
    ),
)

ERC4626: Final = (
    Rule(
        "Deposit(address indexed sender, address indexed owner, uint256 assets, uint256 shares)",
        says("vault_deposit", account="owner", counterparty="sender", asset="@asset", amount="assets"),
    ),
    Rule(
        "Withdraw(address indexed sender, address indexed receiver, address indexed owner, uint256 assets, "
        "uint256 shares)",
        says("vault_withdraw", account="owner", counterparty="receiver", asset="@asset", amount="assets"),
    ),
)

CHAINLINK: Final = (
    Rule(
        "AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt)",
        price,
    ),
)

GOVERNOR: Final = (
    Rule(
        "ProposalCreated(uint256 proposalId, address proposer, address[] targets, uint256[] values, "
        "string[] signatures, bytes[] calldatas, uint256 voteStart, uint256 voteEnd, string description)",
        governed("proposal", "proposer"),
    ),
    Rule(
        "VoteCast(address indexed voter, uint256 proposalId, uint8 support, uint256 weight, string reason)",
        governed("vote", "voter", "weight"),
    ),
    Rule("ProposalExecuted(uint256 proposalId)", governed("execution")),
)
"""OpenZeppelin's `IGovernor` and Compound's Governor Bravo, whose events are the same."""

KOINON_FEED: Final = (
    Rule("Posted(uint80 indexed round_id, int256 answer, uint256 observed_at, uint256 reports)", price),
)

KOINON_POOL: Final = (
    Rule(
        "Deposited(uint256 indexed tranche, address indexed payer, address indexed receiver, uint256 assets, "
        "uint256 shares)",
        lending("supply", "receiver", "payer"),
    ),
    Rule(
        "Withdrawn(uint256 indexed tranche, address indexed account, address indexed receiver, "
        "uint256 assets, uint256 shares)",
        lending("withdraw", "account", "receiver"),
    ),
    Rule(
        "CollateralSupplied(address indexed borrower, address indexed payer, uint256 amount)",
        lending("deposit_collateral", "borrower", "payer", "@asset_2", "amount"),
    ),
    Rule(
        "CollateralWithdrawn(address indexed borrower, address indexed receiver, uint256 amount)",
        lending("withdraw_collateral", "borrower", "receiver", "@asset_2", "amount"),
    ),
    Rule(
        "Borrowed(address indexed borrower, address indexed receiver, uint256 indexed tier, uint256 amount, "
        "uint256 debt)",
        pool_loan,
    ),
    Rule(
        "Repaid(address indexed borrower, address indexed payer, uint256 amount, uint256 debt)",
        lending("repay", "borrower", "payer", "@asset", "amount"),
    ),
    Rule(
        "Liquidated(address indexed borrower, address indexed liquidator, address indexed receiver, "
        "uint256 repaid, uint256 seized, uint256 bonus_bps, uint256 debt)",
        says(
            "liquidation",
            account="borrower",
            counterparty="liquidator",
            asset="@asset",
            amount="repaid",
            asset_2="@asset_2",
            amount_2="seized",
        ),
    ),
    Rule(
        "Defaulted(address indexed borrower, uint256 indexed tier, uint256 bad_debt, uint256 from_junior, "
        "uint256 from_senior, uint256 from_fees)",
        says("bad_debt", account="borrower", asset="@asset", amount="bad_debt"),
    ),
)

RULES: Final[Mapping[str, Sequence[Rule]]] = {
    "erc20": (*ERC20, *OWNERS),
    "erc4626": (*ERC4626, *ERC20, *OWNERS),
    "aave-v3": (*AAVE_V3, *OWNERS),
    "compound-v3": (*COMPOUND_V3, *OWNERS),
    "morpho-blue": (*MORPHO_BLUE, *OWNERS),
    "uniswap-v2": (*UNISWAP_V2, *ERC20),
    "uniswap-v3": UNISWAP_V3,
    "chainlink": (*CHAINLINK, *OWNERS),
    "governor": (*GOVERNOR, *OWNERS),
    "koinon-pair": (*UNISWAP_V2, *ERC20),
    "koinon-pool": KOINON_POOL,
    "koinon-feed": KOINON_FEED,
}


@cache
def bound(protocol: str) -> Mapping[tuple[str, int], tuple[Rule, Layout]]:
    """A protocol's rules with their events' layouts, by first topic and number of topics."""
    found: dict[tuple[str, int], tuple[Rule, Layout]] = {}
    for rule in RULES[protocol]:
        layout = Layout(event_entry(rule.signature))
        found.setdefault(layout.key, (rule, layout))
    return found


def abi(protocol: str) -> list[dict[str, Any]]:
    """The events that are read, as a JSON ABI."""
    return [layout.entry for _, layout in bound(protocol).values()]


def learn(facts: Facts, event: str, fields: Fields) -> None:
    """Note the tokens that an event names for a new market."""
    if event == "CreateMarket":
        facts.markets[fields["id"]] = MarketFacts(
            fields["market_params_loan_token"],
            fields["market_params_collateral_token"],
            fields["market_params_lltv"] // 10**12,
        )
