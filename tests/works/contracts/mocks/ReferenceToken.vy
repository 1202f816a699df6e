# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title snekmate's ERC-20 as it comes, for tests to hold ours against
"""

from snekmate.auth import ownable
from snekmate.tokens import erc20

initializes: ownable
initializes: erc20[ownable := ownable]

exports: (
    erc20.totalSupply,
    erc20.balanceOf,
    erc20.allowance,
    erc20.transfer,
    erc20.transferFrom,
    erc20.approve,
    erc20.permit,
    erc20.nonces,
    erc20.DOMAIN_SEPARATOR,
    erc20.mint,
)


@deploy
def __init__(name_: String[25], symbol_: String[5]):
    """
    @notice A token whose deployer mints.
    @param name_ Its name.
    @param symbol_ Its symbol.
    """
    ownable.__init__()
    erc20.__init__(name_, symbol_, 6, name_, "1")
