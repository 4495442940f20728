// node run.mjs MODULE ARGUMENT: calls the export `run`, as `assay run` and `wasmtime run` do.
import { readFileSync } from "node:fs";

const [file, argument] = process.argv.slice(2);
const { instance } = await WebAssembly.instantiate(readFileSync(file));
console.log(instance.exports.run(Number(argument)));
