// SPDX-License-Identifier: Apache-2.0
// The second EVM: a hardhat node on loopback.  node node.mjs FOLDER CHAIN_ID HARDFORK UNIX_SECONDS
import { createHardhatRuntimeEnvironment } from "hardhat/hre";

const [folder, chainId, hardfork, started] = process.argv.slice(2);
const config = {
  networks: {
    node: {
      type: "edr-simulated",
      chainType: "l1",
      chainId: Number(chainId),
      hardfork,
      accounts: [],
      allowBlocksWithSameTimestamp: true, // titanoboa's clock stands still between messages
      allowUnlimitedContractSize: true,
      blockGasLimit: 1_000_000_000_000n, // no message fills half of it, so the base fee stays nought
      gasPrice: 0n,
      initialBaseFeePerGas: 0n,
      initialDate: new Date(Number(started) * 1000),
      throwOnTransactionFailures: false,
    },
  },
  paths: { artifacts: `${folder}/artifacts`, cache: `${folder}/cache`, sources: `${folder}/sources` },
};
const environment = await createHardhatRuntimeEnvironment(config, { network: "node" }, folder);
await environment.tasks.getTask("node").run({
  hostname: "127.0.0.1",
  port: 0,
  chainType: undefined,
  chainId: -1,
  fork: undefined,
  forkBlockNumber: -1,
});
