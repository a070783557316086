"use strict";

const { EntitySchema } = require("typeorm");

class Ev {
  constructor(fields) {
    Object.assign(this, fields);
  }
}

class Account {
  constructor(fields) {
    Object.assign(this, fields);
  }
}

const big = { to: (value) => value.toString(), from: (value) => BigInt(value) };

exports.Ev = Ev;
exports.Account = Account;
exports.EvSchema = new EntitySchema({
  name: "Ev",
  target: Ev,
  tableName: "ev",
  columns: {
    id: { type: "varchar", primary: true },
    block: { type: "int4" },
    logIndex: { type: "int4", name: "log_index" },
    txHash: { type: "text", name: "tx_hash" },
    args: { type: "jsonb" },
  },
});
exports.AccountSchema = new EntitySchema({
  name: "Account",
  target: Account,
  tableName: "account",
  columns: {
    id: { type: "varchar", primary: true },
    balance: { type: "numeric", transformer: big },
  },
});
