import { createConfig } from "ponder";
import { TransfersAbi } from "./abis/TransfersAbi";

// Without LAST_BLOCK it follows the head, and is told of new blocks over WebSocket.
const endBlock = process.env.LAST_BLOCK ? { endBlock: Number(process.env.LAST_BLOCK) } : {};
const heads = process.env.WS ? { ws: process.env.WS } : {};

export default createConfig({
  chains: { base: { id: 8453, rpc: process.env.RPC, ...heads } },
  contracts: {
    Transfers: {
      chain: "base",
      abi: TransfersAbi,
      address: "0x5fbdb2315678afecb367f032d93f642f64180aa3",
      startBlock: 2,
      ...endBlock,
    },
  },
});
