// Follows entries with the clients of both protocols, and prints each message as a line of JSON.
// node follow.cjs FOLDER_OF_PACKAGES HOST:PORT ws|sse|query UNTIL_POSITION
const { createRequire } = require("node:module");
const [folder, address, way, until] = process.argv.slice(2);
const packages = createRequire(`${folder}/`);
const print = (message) => console.log(JSON.stringify(message));

const http = `http://${address}/graphql`;
const client =
  way === "sse"
    ? packages("graphql-sse").createClient({ url: http, retryAttempts: 0 })
    : packages("graphql-ws").createClient({
        url: `ws://${address}/graphql`,
        keepAlive: 200,
        on: { pong: () => way === "ws" && print({ pong: true }) },
      });

const query =
  way === "query"
    ? "{ _meta { position } }"
    : "subscription ($from: Place) { entries(from: $from) { place position retraction { keptPosition } entries { position } } }";
const payload = { query, variables: way === "query" ? {} : { from: "0" } };
const stop = client.subscribe(payload, {
  next: (result) => {
    print(result);
    const change = result.data && result.data.entries;
    if (change && change.position >= Number(until) && !change.retraction) stop();
  },
  error: (error) => {
    print({ error: String(error.message || JSON.stringify(error)) });
    process.exit(1);
  },
  complete: async () => {
    print({ complete: true });
    await client.dispose();
  },
});
