// The page: forms that ask a student for images, and canvases that show them.

import {Student, slerp} from "./student.js";

const LARGEST_SEED = 2n ** 63n - 1n;
const status = document.getElementById("status");

// Reads a seed as a BigInt: numbers of JavaScript are exact only up to 2^53.
function seedOf(input) {
  const fits = /^[0-9]{1,19}$/.test(input.value) && BigInt(input.value) <= LARGEST_SEED;
  input.setCustomValidity(fits ? "" : `Enter a seed from 0 to ${LARGEST_SEED}.`);
  return input.reportValidity() ? BigInt(input.value) : null;
}

// A form and its images. While it draws, a newer request waits and older ones are dropped.
class Panel {
  constructor(id, student) {
    this.student = student;
    this.form = document.getElementById(id);
    this.fields = this.form.elements;
    this.images = this.form.querySelector(".images");
    this.time = this.form.querySelector(".time");
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("submit", () => this.request());
    if (student.classes) this.addClasses(student.classes);
  }

  addClasses(count) {
    const numbers = [...Array(count).keys()];
    this.fields.label.replaceChildren(
      new Option("of the seed", ""), ...numbers.map((number) => new Option(number)));
    this.fields.label.parentElement.hidden = false;
    this.fields.label.addEventListener("change", () => this.request());
  }

  // The chosen class, or the one that belongs to an image of the seed.
  classOf(seed, number) {
    const chosen = this.fields.label.value;
    return chosen ? Number(chosen) : this.student.label(seed, number);
  }

  async request() {
    this.waiting = true;
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.waiting) {
        this.waiting = false;
        await this.draw();
      }
    } catch (error) {
      fail(error);
    } finally {
      this.busy = false;
    }
  }

  // Draws and shows images one by one; in between, the browser paints.
  async show(noises, labels) {
    this.resize(noises.length);
    let milliseconds = 0;
    for (let i = 0; i < noises.length && !this.waiting; i++) {
      const begun = performance.now();
      this.paint(i, await this.student.draw(noises[i], labels[i]));
      milliseconds += performance.now() - begun;
      this.time.textContent = `${(milliseconds / (i + 1)).toFixed(1)} ms per image`;
      document.body.dataset.first ??= performance.now();
      await new Promise((resume) => setTimeout(resume));
    }
  }

  resize(count) {
    const [height, width] = this.student.shape;
    const canvases = [...this.images.children].slice(0, count);
    while (canvases.length < count) {
      const canvas = document.createElement("canvas");
      Object.assign(canvas, {width, height});
      canvases.push(canvas);
    }
    this.images.replaceChildren(...canvases);
  }

  paint(number, pixels) {
    const image = new ImageData(pixels, this.student.shape[1]);
    this.images.children[number].getContext("2d").putImageData(image, 0, 0);
  }
}

class Samples extends Panel {
  constructor(student) {
    super("samples", student);
    this.fields.count.addEventListener("change", () => this.request());
    this.form.querySelector(".random").addEventListener("click", () => {
      // 32 bits are short enough to read aloud.
      this.fields.seed.value = crypto.getRandomValues(new Uint32Array(1))[0];
      this.request();
    });
  }

  async draw() {
    const seed = seedOf(this.fields.seed);
    if (seed === null) return;
    const numbers = [...Array(Number(this.fields.count.value)).keys()];
    const noises = numbers.map((number) => this.student.noise(seed, number));
    await this.show(noises, numbers.map((number) => this.classOf(seed, number)));
  }
}

class Interpolation extends Panel {
  constructor(student) {
    super("interpolation", student);
    this.fields.position.addEventListener("input", () => this.request());
    for (const name of ["from", "to"]) {
      this.fields[name].addEventListener("change", () => this.request());
    }
  }

  async draw() {
    const [from, to] = [seedOf(this.fields.from), seedOf(this.fields.to)];
    if (from === null || to === null) return;
    const position = Number(this.fields.position.value);
    this.form.querySelector("output").textContent = position.toFixed(2);
    const [start, end] = [from, to].map((seed) => this.student.noise(seed, 0));
    const noise = slerp(start, end, Math.fround(position));
    await this.show([noise], [this.classOf(from, 0)]);
  }
}

function fail(error) {
  status.textContent = `The student cannot draw: ${error.message}`;
  status.hidden = false;
}

async function open() {
  const student = await Student.load("model.json");
  document.title = document.querySelector("h1").textContent = student.name;
  document.body.classList.toggle("small", student.shape[0] < 128);
  status.hidden = true;
  document.querySelector("main").hidden = false;
  await new Samples(student).request();
  await new Interpolation(student).request();
}

open().catch(fail);
