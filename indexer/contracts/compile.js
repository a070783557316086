// Compiles src/*.sol into artifacts/*.json. The bytes are the same on every machine: the compiler is pinned, sources are
// named relative to this folder, and no metadata hash (which would change with a comment) is appended to the bytecode.
"use strict";

const fs = require("node:fs");
const path = require("node:path");

// The sources are always those beside this file; the compiler may live elsewhere, so that a test can use its own
// node_modules, and the artifacts may be written elsewhere, so that it can compare them.
const here = __dirname;
const modules = path.resolve(process.env.DEEPNODE_NODE_MODULES || path.join(here, "node_modules"));
const out = path.resolve(process.argv[2] || path.join(here, "artifacts"));
const solc = require(path.join(modules, "solc"));

const settings = {
  evmVersion: "cancun",
  // RevenueSplit has fourteen arguments, which the legacy code generator cannot hold on its stack.
  viaIR: true,
  optimizer: { enabled: true, runs: 1000 },
  metadata: { bytecodeHash: "none", appendCBOR: false },
};

function sources() {
  const names = fs.readdirSync(path.join(here, "src")).filter((name) => name.endsWith(".sol")).sort();
  return Object.fromEntries(
    names.map((name) => [`src/${name}`, { content: fs.readFileSync(path.join(here, "src", name), "utf8") }]),
  );
}

function readImport(name) {
  const file = path.join(modules, name);
  if (!file.startsWith(modules + path.sep) || !fs.existsSync(file)) {
    return { error: `${name} is not among the pinned dependencies` };
  }
  return { contents: fs.readFileSync(file, "utf8") };
}

function compile() {
  const input = {
    language: "Solidity",
    sources: sources(),
    settings: { ...settings, outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } } },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: readImport }));
  for (const problem of output.errors || []) process.stderr.write(problem.formattedMessage + "\n");
  if ((output.errors || []).length > 0) {
    throw new Error("compilation failed: a warning counts as an error here");
  }
  // Imported files are compiled as well; only ours become artifacts.
  return Object.fromEntries(Object.entries(output.contracts).filter(([file]) => file.startsWith("src/")));
}

fs.mkdirSync(out, { recursive: true });
for (const [file, contracts] of Object.entries(compile())) {
  for (const [contractName, contract] of Object.entries(contracts)) {
    if (`src/${contractName}.sol` !== file) throw new Error(`${file} must define ${contractName} alone`);
    const artifact = {
      contractName,
      compiler: solc.version(),
      settings,
      abi: contract.abi,
      bytecode: "0x" + contract.evm.bytecode.object,
    };
    fs.writeFileSync(path.join(out, `${contractName}.json`), JSON.stringify(artifact, null, 1) + "\n");
    process.stdout.write(`${contractName}: ${contract.evm.bytecode.object.length / 2} bytes\n`);
  }
}
