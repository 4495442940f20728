// Adapter (fuzz/adapters/protocol.md) for JavaScript engines: node, deno and bun, and the shells d8, jsc and SpiderMonkey's js.
//
// One script for all, without modules, that reads requests synchronously: in blocks, or by the shell's `readline`.
// How an engine compiles is for its flags to say (`--liftoff-only`, `--no-liftoff`, …).
//
// JavaScript has one NaN, whose bits may change whenever a number is handed over. So where a NaN is an argument or a
// float a result, the call goes through a module that has integers instead (`asIntegers`), if it links: a function
// whose type is no plain one takes and returns what JavaScript makes of NaNs, and so do globals. And i32, f32 and f64
// are all numbers there: an argument or result of the wrong one among them is not noticed.
"use strict";

const PROTOCOL = 1;

// What each feature must run before it is claimed: modules whose export `f` returns the i32 1, in hexadecimal. They are
// those of wasmtime_wheel.py, which says what is in them.
const PROBES = {
  gc: "0061736d010000000109026000017f5f017f0103020100070501016600000a0d010b004101fb0001fb0201000b",
  simd: "0061736d010000000109026000017f5f017b0103020100070501016600000a120110004101fd11fb0001fb020100fd1b000b",
  exceptions:
    "0061736d01000000010e036000017f60017f006000027f69030201000d03010001070501016600000a1401120002021f4001010000410108" +
    "000b000b1a0b",
  "tail-calls": "0061736d010000000105016000017f0303020000070501016600000a0b02040012010b040041010b",
  memory64: "0061736d010000000105016000017f030201000503010401070501016600000a10010e004200410136020042002802000b",
  "multi-memory":
    "0061736d010000000105016000017f0302010005050200010001070501016600000a1201100041004101364201004100284201000b",
};

// Parts of the messages of traps, in lower case, and the kinds that each may mean; the first that occurs counts. From
// V8's src/common/message-template.h, JavaScriptCore's Source/JavaScriptCore/wasm/WasmExceptionType.h and
// SpiderMonkey's js/public/friend/ErrorNumbers.msg.
const TRAPS = [
  // V8
  ["memory access out of bounds", ["memory-out-of-bounds"]],
  ["divide by zero", ["integer-divide-by-zero"]],
  ["remainder by zero", ["integer-divide-by-zero"]],
  ["divide result unrepresentable", ["integer-overflow"]],
  ["float unrepresentable in integer range", ["integer-overflow", "invalid-conversion-to-integer"]],
  ["table index is out of bounds", ["table-out-of-bounds"]],
  ["null function or function signature mismatch", ["uninitialized-element", "indirect-call-type-mismatch"]],
  ["function signature mismatch", ["indirect-call-type-mismatch", "uninitialized-element"]],
  ["null function", ["uninitialized-element"]],
  ["data segment out of bounds", ["memory-out-of-bounds"]],
  ["element segment out of bounds", ["table-out-of-bounds"]],
  ["rethrowing null value", ["null-reference"]],
  ["dereferencing a null pointer", ["null-reference"]],
  ["illegal cast", ["cast-failure"]],
  ["array element access out of bounds", ["array-out-of-bounds"]],
  ["requested new array is too large", ["allocation-too-large"]],
  // V8, active segments
  [/data segment \d+ is out of bounds/, ["memory-out-of-bounds"]],
  [/table initializer \d+/, ["table-out-of-bounds"]],
  // JavaScriptCore
  ["out of bounds memory access", ["memory-out-of-bounds"]],
  ["out of bounds table access", ["table-out-of-bounds"]],
  ["out of bounds call_indirect", ["table-out-of-bounds"]],
  ["call_indirect to a null table entry", ["uninitialized-element"]],
  ["call_indirect to a signature that does not match", ["indirect-call-type-mismatch", "uninitialized-element"]],
  ["out of bounds trunc operation", ["integer-overflow", "invalid-conversion-to-integer"]],
  ["division by zero", ["integer-divide-by-zero"]],
  ["integer overflow", ["integer-overflow"]],
  ["out of bounds array.init_elem", ["array-out-of-bounds", "table-out-of-bounds"]],
  ["out of bounds array.init_data", ["array-out-of-bounds", "memory-out-of-bounds"]],
  [/out of bounds array\.(get|set|fill|copy)/, ["array-out-of-bounds"]],
  ["out of bounds or failed to allocate in array.new_elem", ["table-out-of-bounds", "allocation-too-large"]],
  ["out of bounds or failed to allocate in array.new_data", ["memory-out-of-bounds", "allocation-too-large"]],
  ["exceed the size of a data segment", ["memory-out-of-bounds"]],
  ["exceed the length of an element segment", ["table-out-of-bounds"]],
  ["ref.cast failed to cast", ["cast-failure"]],
  ["failed to allocate new array", ["allocation-too-large"]],
  ["access to a null reference", ["null-reference", "cast-failure"]], // also of a cast to a type without null
  [/(to|on) a null reference/, ["null-reference"]],
  // JavaScriptCore, active segments
  [/invalid data segment|data segment initialization/, ["memory-out-of-bounds"]],
  [/element is trying to set an out of bounds table index|invalid element segment/, ["table-out-of-bounds"]],
  // SpiderMonkey, whose bounds of memories, tables, segments and arrays share one message
  ["index out of bounds", ["memory-out-of-bounds", "table-out-of-bounds", "array-out-of-bounds"]],
  ["invalid conversion to integer", ["invalid-conversion-to-integer"]],
  ["indirect call to null", ["uninitialized-element"]],
  ["indirect call signature mismatch", ["indirect-call-type-mismatch"]],
  ["bad cast", ["cast-failure"]],
  ["too many array elements", ["allocation-too-large"]],
  // all three
  ["unreachable", ["unreachable"]],
];

/** A request that names something which is not there; becomes a `missing` reply. */
class Missing extends Error {}

/** A message without what JavaScriptCore quotes of the calling script at its end. */
function textOf(error) {
  return String((error && error.message) || error).replace(/ \(evaluating [^]*$/, "");
}

/** The reply to a call or start function that ended with `error`; `resource` is what "out of memory" means there. */
function endOf(error, resource) {
  if (typeof WebAssembly.Exception === "function" && error instanceof WebAssembly.Exception) return { thrown: true };
  const text = textOf(error); // SpiderMonkey throws its want of memory as a string
  const low = text.toLowerCase();
  if (/call stack|too much recursion/.test(low)) return { exhausted: "call-stack", text };
  if (/out of memory|could not allocate|cannot allocate|failed to allocate new struct/.test(low)) {
    return { exhausted: /table/.test(low) ? "table" : resource, text };
  }
  if (error instanceof WebAssembly.RuntimeError) {
    for (const [part, kinds] of TRAPS) {
      if (typeof part === "string" ? low.includes(part) : part.test(low)) return { trap: kinds, text };
    }
  }
  throw error;
}

/** Reads the bits of a float, or makes one of them. */
const scratch = new DataView(new ArrayBuffer(8));

/** An argument or value, as JavaScript passes it. */
function decode([type, text]) {
  switch (type) {
    case "i32":
      return Number(text) | 0;
    case "i64":
      return BigInt.asIntN(64, BigInt(text));
    case "f32":
      scratch.setUint32(0, Number(text));
      return scratch.getFloat32(0);
    case "f64":
      scratch.setBigUint64(0, BigInt(text));
      return scratch.getFloat64(0);
    default:
      throw new Error(`no type for a number: ${type}`);
  }
}

/** A value, as replies have it. */
function encode(type, value) {
  const kind = type === "i64" ? "bigint" : "number";
  if (typeof value !== kind) throw new Missing(`${type} asked for, not ${typeof value}`);
  switch (type) {
    case "i32":
    case "i64":
      return [type, String(value)];
    case "f32":
      scratch.setFloat32(0, value);
      return [type, String(scratch.getUint32(0))];
    case "f64":
      scratch.setFloat64(0, value);
      return [type, String(scratch.getBigUint64(0))];
    default:
      throw new Error(`no type for a number: ${type}`);
  }
}

/** Of each type: its code, the type that carries its bits, and the instructions there and back. */
const NUMBERS = {
  i32: { code: 0x7f, carrier: "i32", into: [], from: [] },
  i64: { code: 0x7e, carrier: "i64", into: [], from: [] },
  f32: { code: 0x7d, carrier: "i32", into: [0xbe], from: [0xbc] },
  f64: { code: 0x7c, carrier: "i64", into: [0xbf], from: [0xbd] },
};

/** Unsigned LEB128. */
const leb = (number) => (number < 0x80 ? [number] : [(number & 0x7f) | 0x80, ...leb(number >>> 7)]);
const counted = (items) => [...leb(items.length), ...items.flat()];
const section = (id, content) => [id, ...leb(content.length), ...content];

/** A module with the export `f`, which calls its import `m.f`, a function of these types, and has integers instead of
 * floats among its own parameters and results. */
function carrierModule(params, results) {
  const codes = (types) => counted(types.map((type) => [NUMBERS[type].code]));
  const carried = (types) => types.map((type) => NUMBERS[type].carrier);
  const local = (index) => leb(params.length + index);
  const body = [
    ...counted(results.map((type) => [1, NUMBERS[type].code])),
    ...params.flatMap((type, index) => [0x20, ...leb(index), ...NUMBERS[type].into]), // local.get
    ...[0x10, 0], // call
    ...results.flatMap((_, index) => [0x21, ...local(results.length - 1 - index)]), // local.set
    ...results.flatMap((type, index) => [0x20, ...local(index), ...NUMBERS[type].from]),
    0x0b, // end
  ];
  const types = [
    [0x60, ...codes(params), ...codes(results)],
    [0x60, ...codes(carried(params)), ...codes(carried(results))],
  ];
  return new WebAssembly.Module(
    Uint8Array.from([
      ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, counted(types)),
      ...section(2, [1, 1, 0x6d, 1, 0x66, 0, 0]),
      ...section(3, [1, 1]),
      ...section(7, [1, 1, 0x66, 0, 1]),
      ...section(10, counted([[...leb(body.length), ...body]])),
    ]),
  );
}

/** The digits of a carrier as those of the type: of floats, unsigned. */
function bitsAs(type, text) {
  if (type === "f32") return String(Number(text) >>> 0);
  return type === "f64" ? String(BigInt.asUintN(64, BigInt(text))) : text;
}

/** Modules by signature, not too many of them. */
const carriers = new Map();

/** `called`, with integers for floats, or undefined where it cannot be imported at these types. */
function asIntegers(called, params, results) {
  const key = `${params} ${results}`;
  if (carriers.size > 500) carriers.clear();
  if (!carriers.has(key)) carriers.set(key, carrierModule(params, results));
  try {
    return new WebAssembly.Instance(carriers.get(key), { m: { f: called } }).exports.f;
  } catch (error) {
    if (error instanceof WebAssembly.LinkError) return undefined;
    throw error;
  }
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const DIGITS = new Map([...ALPHABET].map((digit, value) => [digit, value]));

/** Base 64 to bytes; shells have no `atob`. */
function bytesOfBase64(text) {
  const digits = text.replace(/=+$/, "");
  const bytes = new Uint8Array(Math.floor((digits.length * 3) / 4));
  let word = 0;
  let bits = 0;
  let at = 0;
  for (const digit of digits) {
    const value = DIGITS.get(digit);
    if (value === undefined) throw new Error(`no base 64: ${digit}`);
    word = ((word << 6) | value) & 0xffffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = word >> bits;
    }
  }
  return bytes;
}

/** The modules and instances of one case, and what is done with them. */
class Case {
  modules = new Map();
  instances = new Map();

  compile({ module, bytes }) {
    const code = bytesOfBase64(bytes);
    try {
      this.modules.set(module, new WebAssembly.Module(code));
    } catch (error) {
      // Malformed and invalid are one to the API.
      if (error instanceof WebAssembly.CompileError) return { refused: "invalid", text: textOf(error) };
      return endOf(error, "memory");
    }
    return { ok: true };
  }

  instantiate({ module, instance, imports }) {
    const code = this.modules.get(module);
    if (code === undefined) throw new Missing(`no module ${module}`);
    const given = {};
    for (const [name, source] of imports) given[name] = this.instance(source).exports;
    try {
      this.instances.set(instance, new WebAssembly.Instance(code, given));
    } catch (error) {
      // A module of imports that is missing altogether is a TypeError.
      if (error instanceof WebAssembly.LinkError || error instanceof TypeError) {
        return { refused: "unlinkable", text: textOf(error) };
      }
      return endOf(error, "memory");
    }
    return { ok: true };
  }

  invoke({ instance, field, args, results }) {
    const called = this.export(instance, field);
    if (typeof called !== "function") throw new Missing(`the export ${field} is no function`);
    if (called.length !== args.length) throw new Missing(`${field} takes ${called.length} arguments`);
    const values = args.map(decode);
    if (values.some(Number.isNaN) || results.some((type) => type[0] === "f")) {
      const whole = asIntegers(called, args.map(([type]) => type), results);
      if (whole !== undefined) {
        const carried = args.map(([type, bits]) => decode([NUMBERS[type].carrier, bits]));
        const reply = this.call(field, whole, carried, results.map((type) => NUMBERS[type].carrier));
        if (reply.values) reply.values = reply.values.map(([, bits], at) => [results[at], bitsAs(results[at], bits)]);
        return reply;
      }
    }
    return this.call(field, called, values, results);
  }

  /** Calls a function with what JavaScript passes; results of these types. */
  call(field, called, values, results) {
    let returned;
    try {
      returned = called(...values);
    } catch (error) {
      if (error instanceof TypeError) throw new Missing(textOf(error)); // an argument of another type
      return endOf(error, "gc-heap");
    }
    const list = results.length > 1 && Array.isArray(returned) ? returned : returned === undefined ? [] : [returned];
    if (list.length !== results.length) throw new Missing(`${field} returns ${list.length} values`);
    return { values: results.map((type, at) => encode(type, list[at])) };
  }

  state({ instance, globals }) {
    const values = globals.map(([name, type]) => {
      const found = this.export(instance, name);
      if (!(found instanceof WebAssembly.Global)) throw new Missing(`the export ${name} is no global`);
      return encode(type, found.value);
    });
    return { globals: values };
  }

  instance(number) {
    const found = this.instances.get(number);
    if (found === undefined) throw new Missing(`no instance ${number}`);
    return found;
  }

  export(number, name) {
    const { exports } = this.instance(number);
    if (!(name in exports)) throw new Missing(`no export ${name}`);
    return exports[name];
  }
}

/** The features whose probe gives 1. */
function features() {
  return Object.keys(PROBES).filter((feature) => {
    const bytes = Uint8Array.from(PROBES[feature].match(/../g), (pair) => parseInt(pair, 16));
    try {
      return new WebAssembly.Instance(new WebAssembly.Module(bytes), {}).exports.f() === 1;
    } catch (error) {
      if (error instanceof WebAssembly.CompileError) return false;
      throw error;
    }
  });
}

/** The engine: its name, how lines come and go, and what collects. */
function host() {
  if (typeof Deno !== "undefined") {
    return {
      name: `deno ${Deno.version.deno}, V8 ${Deno.version.v8}`,
      ...lines((block) => Deno.stdin.readSync(block) ?? 0, (bytes) => Deno.stdout.writeSync(bytes)),
      collect: globalThis.gc,
    };
  }
  if (typeof process !== "undefined" && process.versions) {
    const fs = process.getBuiltinModule("node:fs");
    const bun = typeof Bun !== "undefined";
    return {
      name: bun ? `bun ${Bun.version}, JavaScriptCore` : `node ${process.versions.node}, V8 ${process.versions.v8}`,
      ...lines((block) => fs.readSync(0, block), (bytes) => fs.writeSync(1, bytes)),
      collect: bun ? () => Bun.gc(true) : globalThis.gc,
    };
  }
  return {
    name: shell(),
    // At the end of input some give null or undefined, jsc the empty string.
    read: () => readline() || null,
    write: (line) => print(line),
    collect: typeof fullGC === "function" ? fullGC : globalThis.gc,
  };
}

/** The name of a shell. */
function shell() {
  if (typeof d8 !== "undefined") return `d8 ${version()}`;
  if (typeof getBuildConfiguration === "function") return `SpiderMonkey ${version()}`;
  return typeof fullGC === "function" ? "jsc, JavaScriptCore" : "shell";
}

/** `read` and `write` of whole lines, by functions that read into a block and write some of the bytes. */
function lines(readSome, writeSome) {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  const block = new Uint8Array(1 << 16);
  let ready = []; // lines, the next one last
  let rest = "";
  return {
    read() {
      while (ready.length === 0) {
        const length = readSome(block);
        if (length === 0) return null;
        const parts = decoder.decode(block.subarray(0, length), { stream: true }).split("\n");
        parts[0] = rest + parts[0];
        rest = parts.pop();
        ready = parts.reverse();
      }
      return ready.pop();
    },
    write(line) {
      const bytes = encoder.encode(line + "\n");
      for (let at = 0; at < bytes.length; ) at += writeSome(bytes.subarray(at));
    },
  };
}

/** Replies until the input ends. */
function main() {
  const engine = host();
  let current = new Case();
  const operations = {
    hello({ version }) {
      if (version !== PROTOCOL) throw new Error(`this adapter speaks version ${PROTOCOL}`);
      return { version: PROTOCOL, engine: engine.name, features: features() };
    },
    case() {
      current = new Case();
      return { ok: true };
    },
    compile: (request) => current.compile(request),
    instantiate: (request) => current.instantiate(request),
    invoke: (request) => current.invoke(request),
    state: (request) => current.state(request),
    gc() {
      if (engine.collect) engine.collect();
      return { ok: true };
    },
  };
  const reply = (request) => {
    try {
      if (!Object.hasOwn(operations, request.op)) throw new Error(`unknown request: ${request.op}`);
      return operations[request.op](request);
    } catch (error) {
      if (error instanceof Missing) return { missing: error.message };
      return { error: String(error) };
    }
  };
  const numbered = (line) => {
    let request;
    try {
      request = JSON.parse(line);
    } catch (error) {
      return { error: String(error) };
    }
    return { id: request?.id, ...reply(request) };
  };
  for (let line = engine.read(); line !== null; line = engine.read()) engine.write(JSON.stringify(numbered(line)));
}

main();
