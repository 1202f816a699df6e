# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
# pragma evm-version cancun
"""
@title The one function of Multicall3 that x402's facilitator reads through
"""

struct Call:
    target: address
    callData: Bytes[1024]


struct Result:
    success: bool
    returnData: Bytes[1024]


@external
@payable
def tryAggregate(requireSuccess: bool, calls: DynArray[Call, 16]) -> DynArray[Result, 16]:
    """
    @notice Make calls and say what became of each.
    @param requireSuccess Revert unless all succeed.
    @param calls The calls.
    @return What they returned.
    """
    results: DynArray[Result, 16] = []
    for call: Call in calls:
        success: bool = False
        data: Bytes[1024] = b""
        success, data = raw_call(call.target, call.callData, max_outsize=1024, revert_on_failure=False)
        assert success or not requireSuccess
        results.append(Result(success=success, returnData=data))
    return results
