// A shell that has `readline` and `print` and nothing of node's, such as jsc, to test that side of shell.js with:
//
//     python3 fuzz/adapters/test_adapters.py target/peers/node/node_modules/.bin/node fuzz/adapters/test_readline.js
"use strict";

const fs = require("node:fs");
const script = fs.readFileSync(`${__dirname}/shell.js`, "utf8");
const { Buffer } = globalThis;
let ready = Buffer.alloc(0);

/** The next line; at the end of input the empty string. */
globalThis.readline = () => {
  const block = Buffer.alloc(1 << 16);
  while (!ready.includes(10)) {
    const length = fs.readSync(0, block);
    if (length === 0) return "";
    ready = Buffer.concat([ready, block.subarray(0, length)]);
  }
  const end = ready.indexOf(10);
  const line = ready.toString("utf8", 0, end);
  ready = ready.subarray(end + 1);
  return line;
};
globalThis.print = (line) => fs.writeSync(1, `${line}\n`);
for (const name of ["process", "Buffer", "TextDecoder", "TextEncoder", "atob", "btoa"]) delete globalThis[name];
(0, eval)(script);
