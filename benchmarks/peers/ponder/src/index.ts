// The work of every peer: a row for each transfer, and both accounts' balances.
import { ponder } from "ponder:registry";
import { account, ev } from "ponder:schema";

ponder.on("Transfers:Transfer", async ({ event, context }) => {
  const { from, to, value } = event.args;
  await context.db.insert(ev).values({
    id: `${event.block.number}-${event.log.logIndex}`,
    block: event.block.number,
    logIndex: event.log.logIndex,
    txHash: event.transaction.hash,
    args: { from, to, value: value.toString() },
  });
  await context.db
    .insert(account)
    .values({ address: from, balance: -value })
    .onConflictDoUpdate((row) => ({ balance: row.balance - value }));
  await context.db
    .insert(account)
    .values({ address: to, balance: value })
    .onConflictDoUpdate((row) => ({ balance: row.balance + value }));
});
