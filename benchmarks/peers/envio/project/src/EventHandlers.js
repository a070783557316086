// The work of every peer: a row for each transfer, and both accounts' balances.
"use strict";

const { Transfers } = require("generated");

Transfers.Transfer.handler(async ({ event, context }) => {
  const { from, to, value } = event.params;
  context.Ev.set({
    id: `${event.block.number}-${event.logIndex}`,
    block: event.block.number,
    logIndex: event.logIndex,
    txHash: event.transaction.hash,
    args: { from, to, value: value.toString() },
  });
  const source = await context.Account.get(from);
  context.Account.set({ id: from, balance: (source ? source.balance : 0n) - value });
  const target = await context.Account.get(to);
  context.Account.set({ id: to, balance: (target ? target.balance : 0n) + value });
});
