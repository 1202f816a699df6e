// SPDX-License-Identifier: Apache-2.0
// A second EVM for tests: a hardhat node on loopback.  node second_evm.mjs PORT FOLDER
// Started by Hardhat's own interface for programs: its command line looks for a project around the package.
import { createHardhatRuntimeEnvironment } from "hardhat/hre";

const [port, folder] = process.argv.slice(2);
const config = {
  networks: {
    node: { type: "edr-simulated", chainType: "l1", chainId: 31337, mining: { auto: true, interval: 0 } },
  },
  paths: { artifacts: `${folder}/artifacts`, cache: `${folder}/cache`, sources: `${folder}/sources` },
};
const environment = await createHardhatRuntimeEnvironment(config, { network: "node" }, folder);
await environment.tasks.getTask("node").run({
  hostname: "127.0.0.1",
  port: Number(port),
  chainType: undefined,
  chainId: -1,
  fork: undefined,
  forkBlockNumber: -1,
});
