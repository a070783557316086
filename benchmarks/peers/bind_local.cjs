// Makes every server of a Node program listen on 127.0.0.1 alone: some have no setting for it.
"use strict";

const net = require("node:net");

const listen = net.Server.prototype.listen;

net.Server.prototype.listen = function (...given) {
  const [first, second] = given;
  if (typeof first === "object" && first !== null && first.port !== undefined) {
    given[0] = { ...first, host: "127.0.0.1" };
  } else if (typeof first === "number" || /^\d+$/.test(first)) {
    given.splice(1, typeof second === "string" ? 1 : 0, "127.0.0.1");
  } else if (given.length === 0 || typeof first === "function") {
    given.unshift({ port: 0, host: "127.0.0.1" });
  }
  return listen.apply(this, given);
};
