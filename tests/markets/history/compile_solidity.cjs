// SPDX-License-Identifier: Apache-2.0
// node compile_solidity.cjs <node_modules> <folder of sources> <file>...: contracts as JSON on stdout.
const fs = require("fs");
const path = require("path");
const [modules, base, ...files] = process.argv.slice(2);
const solc = require(path.join(modules, "solc"));
const read = (name) => fs.readFileSync(path.join(base, name), "utf8");
const input = {
  language: "Solidity",
  sources: Object.fromEntries(files.map((name) => [name, { content: read(name) }])),
  settings: {
    optimizer: { enabled: true, runs: 200 },
    evmVersion: "paris",
    outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input), { import: (name) => ({ contents: read(name) }) }));
const faults = (output.errors || []).filter((each) => each.severity === "error");
if (faults.length) {
  console.error(faults.map((each) => each.formattedMessage).join("\n"));
  process.exit(1);
}
const found = {};
for (const contracts of Object.values(output.contracts))
  for (const [name, contract] of Object.entries(contracts))
    found[name] = { abi: contract.abi, bytecode: contract.evm.bytecode.object };
console.log(JSON.stringify(found));
