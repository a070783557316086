// The work of every peer: a row for each transfer, and both accounts' balances.
"use strict";

const { event, indexed, keccak256 } = require("@subsquid/evm-abi");
const types = require("@subsquid/evm-codec");
const { EvmBatchProcessor } = require("@subsquid/evm-processor");
const { TypeormDatabase } = require("@subsquid/typeorm-store");
const { In } = require("typeorm");
const { Account, Ev } = require("./model");

const SIGNATURE = "Transfer(address,address,uint256)";
const transfer = event("0x" + keccak256(SIGNATURE).toString("hex"), SIGNATURE, {
  from: indexed(types.address),
  to: indexed(types.address),
  value: types.uint256,
});

const processor = new EvmBatchProcessor()
  .setRpcEndpoint({ url: process.env.RPC, capacity: 10, maxBatchCallSize: 100 })
  .setFinalityConfirmation(64)
  .setFields({ log: { transactionHash: true, topics: true, data: true } })
  .setBlockRange({ from: 2, to: Number(process.env.LAST_BLOCK) })
  .addLog({ address: ["0x5fbdb2315678afecb367f032d93f642f64180aa3"], topic0: [transfer.topic] });

processor.run(new TypeormDatabase({ supportHotBlocks: false }), async (context) => {
  const rows = [];
  const moved = new Map();
  const move = (account, amount) => moved.set(account, (moved.get(account) || 0n) + amount);
  for (const block of context.blocks) {
    for (const log of block.logs) {
      const { from, to, value } = transfer.decode(log);
      rows.push(
        new Ev({
          id: `${block.header.height}-${log.logIndex}`,
          block: block.header.height,
          logIndex: log.logIndex,
          txHash: log.transactionHash,
          args: { from, to, value: value.toString() },
        }),
      );
      move(from, -value);
      move(to, value);
    }
  }
  await context.store.insert(rows);
  const ids = [...moved.keys()];
  const known = await context.store.findBy(Account, { id: In(ids) });
  const before = new Map(known.map((account) => [account.id, account.balance]));
  await context.store.upsert(ids.map((id) => new Account({ id, balance: (before.get(id) || 0n) + moved.get(id) })));
});
