// Draws a student's images: the noise of `tf-student sample`, and the network.
//
// The page uses this module, and other pages may:
//
//   import {Student} from "./student.js";
//   const student = await Student.load("model.json");
//   const pixels = await student.draw(student.noise(7n, 0));   // RGBA bytes

// tf_student.diffusion.noise.EVALUATION: the first index of the noise for samples.
const FIRST_INDEX = 2n ** 41n;
// tf_student.diffusion.inputs: a class and its noise do not share their bits.
const FIRST_LABEL = 2n ** 50n;

// The high and the low 32 bits of a product of 32-bit integers.
function multiply(a, b) {
  const [aLow, aHigh, bLow, bHigh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle & 0xffff);
  const high = aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(carry / 65536);
  return [high >>> 0, Math.imul(a, b) >>> 0];
}

// Philox-4x32-10 (Salmon et al. 2011, table 2): four random words of a counter and a key.
export function philox(counter, key) {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [high0, low0] = multiply(0xd2511f53, c0);
    const [high1, low1] = multiply(0xcd9e8d57, c2);
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [c0, c1, c2, c3];
}

function words(value) {
  return [Number(value & 0xffffffffn), Number((value >> 32n) & 0xffffffffn)];
}

// The random words of TensorFlow's stateless functions with alg="philox" and the seed
// (seed, index), which are BigInts.
export function randomWords(seed, index, count) {
  const mixed = philox([...words(seed), ...words(index)], [0x3ec8f720, 0x02461e29]);
  const key = mixed.slice(0, 2);
  const values = new Uint32Array(4 * Math.ceil(count / 4));
  for (let block = 0; 4 * block < count; block++) {
    values.set(philox([block, 0, mixed[2], mixed[3]], key), 4 * block);
  }
  return values.subarray(0, count);
}

// Standard normal numbers by the transform of Box and Muller, rounded to float32 where
// TensorFlow rounds. Its logarithm, sine and cosine may differ in their last bit.
export function normals(seed, index, count) {
  const {fround, log, sqrt, sin, cos, PI} = Math;
  const random = randomWords(seed, index, count + (count % 2));
  const uniform = (word) => (word & 0x7fffff) / 2 ** 23;
  const values = new Float32Array(random.length);
  for (let i = 0; i < random.length; i += 2) {
    const u = Math.max(uniform(random[i]), fround(1e-7));
    const angle = fround(2 * PI * uniform(random[i + 1]));
    const radius = fround(sqrt(fround(-2 * fround(log(u)))));
    values[i] = fround(sin(angle)) * radius;
    values[i + 1] = fround(cos(angle)) * radius;
  }
  return values.subarray(0, count);
}

// The class that belongs to the noise of (seed, index).
export function label(seed, index, classes) {
  return randomWords(seed, index + FIRST_LABEL, 1)[0] % classes;
}

// The noise at a place between two noises, as tf_student.diffusion.interpolation.slerp.
export function slerp(from, to, weight) {
  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const cosine = dot(from, to) / Math.sqrt(dot(from, from) * dot(to, to));
  const angle = Math.acos(Math.min(Math.max(cosine, -1 + 1e-6), 1 - 1e-6));
  const ofFrom = Math.sin((1 - weight) * angle) / Math.sin(angle);
  const ofTo = Math.sin(weight * angle) / Math.sin(angle);
  return from.map((value, i) => ofFrom * value + ofTo * to[i]);
}

// The byte of a value in [-1, 1], rounded as tf_student.data.images.to_uint8 does: halves
// to the even neighbour.
export function toByte(value) {
  const scaled = Math.fround(Math.fround(value + 1) * 127.5);
  const clipped = Math.min(Math.max(scaled, 0), 255);
  const floor = Math.floor(clipped);
  const up = clipped - floor > 0.5 || (clipped - floor === 0.5 && floor % 2 === 1);
  return floor + (up ? 1 : 0);
}

// RGBA bytes, for `new ImageData`, of an image with one channel (grey) or three.
function toPixels(values, channels) {
  const pixels = new Uint8ClampedArray((4 * values.length) / channels).fill(255);
  for (let i = 0; i < pixels.length / 4; i++) {
    for (let c = 0; c < 3; c++) {
      pixels[4 * i + c] = toByte(values[channels * i + (channels === 1 ? 0 : c)]);
    }
  }
  return pixels;
}

// A file that a server refuses would otherwise be taken for weights.
async function fetchWhole(...request) {
  const response = await fetch(...request);
  if (!response.ok) throw new Error(`${response.url}: status ${response.status}`);
  return response;
}

export class Student {
  // Loads the model. The scripts of TensorFlow.js must have run: they define `tf`.
  static async load(url, runtime = new URL("tensorflowjs/", import.meta.url).href) {
    const {tf} = globalThis;
    // Threads need headers that a static server does not send, and another file.
    tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
    tf.wasm.setWasmPaths(runtime);
    await tf.setBackend("wasm");
    // For a relative address, TensorFlow.js looks for the weights at the server's root.
    const whole = new URL(url, globalThis.document?.baseURI).href;
    return new Student(tf, await tf.loadGraphModel(whole, {fetchFunc: fetchWhole}));
  }

  constructor(tf, model) {
    this.tf = tf;
    this.model = model;
    const {name, image_shape: shape, classes} = model.metadata;
    Object.assign(this, {name, shape, classes});
  }

  // The noise of an image of `tf-student sample`: the seed is a BigInt.
  noise(seed, number) {
    const size = this.shape.reduce((product, length) => product * length);
    return normals(seed, FIRST_INDEX + BigInt(number), size);
  }

  // The class that `tf-student sample` gives an image, if it is not told another.
  label(seed, number) {
    return this.classes ? label(seed, FIRST_INDEX + BigInt(number), this.classes) : 0;
  }

  // Draws the image of a noise and, if the model has classes, of a class.
  async draw(noise, label = 0) {
    const {tf, model} = this;
    const inputs = {noise: tf.tensor(noise, [1, ...this.shape])};
    if (this.classes) inputs.labels = tf.tensor([label], [1], "int32");
    const output = model.execute(inputs);
    const values = await output.data();
    tf.dispose([output, ...Object.values(inputs)]);
    return toPixels(values, this.shape[2]);
  }
}
