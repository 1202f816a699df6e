# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title VaultFactory: vaults that all run one code
@license Apache-2.0
@author Koinon
@notice Makes vaults as clones of one implementation. Whoever sees that a vault was made here knows its code.
@dev Nobody owns this contract.
"""

from interfaces import IVaultRules


interface IVault:
    def initialize(
        name: String[64],
        symbol: String[16],
        charter: IVaultRules.Charter,
        limits: IVaultRules.Limits,
        listed: DynArray[IVaultRules.Strategy, 8],
    ): nonpayable


event VaultCreated:
    vault: indexed(address)
    asset: indexed(address)
    manager: indexed(address)
    name: String[64]


IMPLEMENTATION: public(immutable(address))

vault_count: public(uint256)
# number from 1 -> vault
vault: public(HashMap[uint256, address])
is_vault: public(HashMap[address, bool])


@deploy
def __init__(implementation: address):
    """
    @notice Make clones of an implementation, for ever.
    @param implementation A Vault.
    """
    assert implementation.codesize > 0, "implementation missing"
    IMPLEMENTATION = implementation


@external
def create(
    name: String[64],
    symbol: String[16],
    charter: IVaultRules.Charter,
    limits: IVaultRules.Limits,
    listed: DynArray[IVaultRules.Strategy, 8],
) -> address:
    """
    @notice Make a vault.
    @param name The share's name.
    @param symbol The share's symbol.
    @param charter What is fixed for ever, and the first holders of the roles.
    @param limits The first limits.
    @param listed The first strategies.
    @return Its address.
    """
    made: address = create_minimal_proxy_to(IMPLEMENTATION)
    count: uint256 = self.vault_count + 1
    self.vault_count = count
    self.vault[count] = made
    self.is_vault[made] = True
    extcall IVault(made).initialize(name, symbol, charter, limits, listed)
    log VaultCreated(vault=made, asset=charter.asset, manager=charter.manager, name=name)
    return made
