// Reads [[earner, asset, amount], ...][] from stdin; writes, for each list, OpenZeppelin's dump and proofs of its tree.
// With the argument "load" it reads dumps instead, loads each (which validates it) and writes its root.
const { createRequire } = require("node:module");
const { readFileSync } = require("node:fs");

const library = createRequire(`${process.argv[2]}/`)("@openzeppelin/merkle-tree");
const { StandardMerkleTree } = library;
const given = JSON.parse(readFileSync(0, "utf8"));

function made(values) {
  const tree = StandardMerkleTree.of(values, ["address", "address", "uint256"]);
  return { root: tree.root, dump: tree.dump(), proofs: values.map((value) => tree.getProof(value)) };
}

const answer = process.argv[3] === "load" ? given.map((dump) => StandardMerkleTree.load(dump).root) : given.map(made);
process.stdout.write(JSON.stringify(answer));
