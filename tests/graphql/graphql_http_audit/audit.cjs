// Runs every audit of the package graphql-http against the URL of its second argument; writes what came of each.
const { createRequire } = require("node:module");

const library = createRequire(`${process.argv[2]}/`)("graphql-http");
const { auditServer } = library;

auditServer({ url: process.argv[3] }).then((results) => {
  const told = results.map(({ id, name, status, reason }) => ({ id, name, status, reason: reason ? String(reason) : "" }));
  process.stdout.write(JSON.stringify(told));
});
