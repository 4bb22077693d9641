// Draws a page's images with the page's own files, and sends them to its server.
//
//   node web_process.mjs http://127.0.0.1:PORT/ SEED COUNT
//
// A browser runs it in a document of that server, which names the seed and the count in
// its address. `web_runtime.py` starts both. Of this package it uses nothing.

const inNode = globalThis.document === undefined;
const given = inNode ? process.argv.slice(2)
  : [document.baseURI, ...new URLSearchParams(location.search).values()];
const [address, seed, count] = given;
const at = (name) => new URL(name, address).href;
const textOf = async (name) => {
  const response = await fetch(at(name));
  if (!response.ok) throw new Error(`${name}: status ${response.status}`);
  return response.text();
};

// Runs the scripts of TensorFlow.js that the page names, as scripts: they define `tf`.
async function loadRuntime() {
  if (inNode) {
    // TensorFlow.js looks for Node's modules as CommonJS has them.
    const {createRequire} = await import("node:module");
    globalThis.require = createRequire(import.meta.url);
  }
  const scripts = (await textOf("index.html")).matchAll(/src="(tensorflowjs[^"]+)"/g);
  for (const [, name] of scripts) (0, eval)(await textOf(name));
  // The WebAssembly backend shall read its file as in a browser, by fetch().
  globalThis.process = undefined;
}

async function draw() {
  await loadRuntime();
  const source = encodeURIComponent(await textOf("student.js"));
  const {Student} = await import(`data:text/javascript,${source}`);
  const student = await Student.load(at("model.json"), at("tensorflowjs/"));
  const images = [];
  for (let number = 0; number < Number(count); number++) {
    const noise = student.noise(BigInt(seed), number);
    images.push(await student.draw(noise, student.label(BigInt(seed), number)));
  }
  return new Blob(images);
}

try {
  await fetch(at("images"), {method: "POST", body: await draw()});
} catch (error) {
  // A trace names the whole text of the module.
  const text = String(error?.stack ?? error).replace(/data:\S*/g, "student.js");
  await fetch(at("error"), {method: "POST", body: text});
}
