// Requests samples and interpolations from the page's own server, and shows them.
"use strict";

const LARGEST_SEED = 2n ** 63n - 1n;
const NAMES = ["student", "matched", "teacher"];

async function ask(path, parameters = {}, signal = undefined) {
  const answer = await fetch(`${path}?${new URLSearchParams(parameters)}`, {signal});
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error);
  return body;
}

function randomSeed() {
  // 32 bits are short enough to read aloud.
  return String(crypto.getRandomValues(new Uint32Array(1))[0]);
}

function formatTime(milliseconds) {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(2)} s`;
  return `${milliseconds.toFixed(milliseconds < 10 ? 2 : 1)} ms`;
}

function save(url, name) {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
}

// The images and the time of a model in a section.
class Card {
  constructor(name, shape, classes, parent) {
    this.name = name;
    this.classes = classes;
    const [height, width] = shape;
    this.root = document.getElementById("model").content.cloneNode(true).firstElementChild;
    this.root.dataset.model = name;
    this.root.querySelector("h3").textContent = name;
    this.root.classList.toggle("small", height < 128);
    this.root.style.setProperty("--aspect", `${width} / ${height}`);
    this.root.style.setProperty("--columns", width <= 64 ? 8 : 4);
    this.time = this.root.querySelector(".time");
    this.images = this.root.querySelector(".images");
    this.all = this.root.querySelector(".all");
    this.all.addEventListener("click", () => this.downloadAll());
    this.links = [];
    this.milliseconds = null;
    parent.append(this.root);
  }

  wait(text) {
    this.milliseconds = null;
    this.root.classList.add("stale");
    this.time.textContent = text;
    this.all.disabled = true;
  }

  show(drawn, title) {
    this.title = `${this.name}-${title}`;
    this.links = drawn.pngs.map((png, number) => {
      const link = document.createElement("a");
      link.href = `data:image/png;base64,${png}`;
      link.download = `${this.title}-${String(number).padStart(2, "0")}.png`;
      const image = document.createElement("img");
      image.src = link.href;
      image.alt = `${this.title}, number ${number}`;
      link.append(image);
      return link;
    });
    this.images.replaceChildren(...this.links);
    this.root.classList.remove("stale");
    this.all.disabled = false;
    this.milliseconds = drawn.milliseconds / drawn.pngs.length;
    const total = formatTime(drawn.milliseconds);
    this.time.textContent = `${formatTime(this.milliseconds)} per image, ${total} in total`;
  }

  // Adds the ratio of the teacher's time to this model's.
  compare(other) {
    if (!this.milliseconds || !other?.milliseconds) return;
    const times = document.createElement("strong");
    times.className = "times";
    const ratio = other.milliseconds / this.milliseconds;
    times.textContent = `${ratio.toFixed(ratio < 10 ? 1 : 0)} times as fast`;
    this.time.append(", ", times);
  }

  downloadAll() {
    const images = this.links.map((link) => link.firstElementChild);
    const {naturalWidth: width, naturalHeight: height} = images[0];
    const columns = Math.ceil(Math.sqrt(images.length));
    const canvas = document.createElement("canvas");
    canvas.width = columns * width;
    canvas.height = Math.ceil(images.length / columns) * height;
    const context = canvas.getContext("2d");
    images.forEach((image, i) => {
      context.drawImage(image, (i % columns) * width, Math.floor(i / columns) * height);
    });
    save(canvas.toDataURL("image/png"), `${this.title}.png`);
  }
}

// A form, and a card for the images of each model.
class Section {
  constructor(root, path, models, classes) {
    this.path = path;
    this.form = root.querySelector("form");
    this.error = root.querySelector(".error");
    this.cards = NAMES.filter((name) => name in models).map((name) => new Card(
      name, models[name], classes[name], root.querySelector(".models")));
    this.addClasses(Math.max(...Object.values(classes)));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.draw();
    });
    root.querySelector(".random").addEventListener("click", () => {
      this.seeds().forEach((input) => { input.value = randomSeed(); });
      this.draw();
    });
  }

  // Shows the picker of a class if a model has classes.
  addClasses(count) {
    const select = this.form.elements.label;
    if (!count) return;
    const numbers = [...Array(count).keys()];
    select.replaceChildren(
      new Option("any", ""), ...numbers.map((number) => new Option(number, number)));
    select.disabled = false;
    select.parentElement.hidden = false;
    select.addEventListener("change", () => this.draw());
  }

  seeds() {
    return [...this.form.querySelectorAll("input")];
  }

  // Checks the seeds as BigInt: numbers of JavaScript are exact only up to 2^53.
  valid() {
    for (const input of this.seeds()) {
      const fits = /^[0-9]{1,19}$/.test(input.value) && BigInt(input.value) <= LARGEST_SEED;
      input.setCustomValidity(fits ? "" : `Enter a seed from 0 to ${LARGEST_SEED}.`);
    }
    return this.form.reportValidity();
  }

  // The models take turns, so that neither affects the other's time.
  async draw() {
    if (!this.valid()) return;
    this.running?.abort();
    const {signal} = this.running = new AbortController();
    const {label, ...parameters} = Object.fromEntries(new FormData(this.form));
    let title = this.seeds().map((input) => `seed${input.value}`).join("-");
    if (label) title += `-class${label}`;
    this.error.hidden = true;
    for (const card of this.cards) card.wait("drawing …");
    try {
      for (const card of this.cards) {
        const chosen = label && card.classes ? {label} : {};
        const drawn = await ask(
          this.path, {model: card.name, ...parameters, ...chosen}, signal);
        card.show(drawn, title);
        this.shown();
      }
      const teacher = this.cards.find((card) => card.name === "teacher");
      for (const card of this.cards) if (card !== teacher) card.compare(teacher);
    } catch (error) {
      if (signal.aborted) return;
      for (const card of this.cards) if (card.milliseconds === null) card.time.textContent = "";
      this.error.textContent = error.message;
      this.error.hidden = false;
    }
  }

  shown() {}
}

// One request draws all images; the slider only selects one of them.
class Interpolation extends Section {
  constructor(root, path, models, classes) {
    super(root, path, models, classes);
    this.slider = root.querySelector("input[type=range]");
    this.position = root.querySelector("output");
    this.slider.addEventListener("input", () => this.select());
    root.querySelector(".models").addEventListener("click", (event) => {
      const link = event.target.closest(".images a");
      if (!link) return;
      // A click selects a small image; only the large image is a download.
      event.preventDefault();
      this.slider.value = [...link.parentElement.children].indexOf(link);
      this.select();
    });
  }

  shown() {
    const last = this.cards[0].links.length - 1;
    if (this.slider.disabled) this.slider.value = 0;
    this.slider.max = last;
    this.slider.disabled = false;
    this.select();
  }

  select() {
    const number = Number(this.slider.value);
    this.position.textContent = (number / Number(this.slider.max)).toFixed(2);
    for (const card of this.cards) {
      const frame = card.root.querySelector(".frame");
      const link = card.links[number];
      card.links.forEach((other) => other.classList.toggle("now", other === link));
      frame.hidden = !link;
      if (!link) continue;
      frame.href = link.href;
      frame.download = link.download;
      frame.firstElementChild.src = link.href;
      frame.firstElementChild.alt = link.firstElementChild.alt;
    }
  }
}

function fill(select, sizes, most, preferred) {
  const allowed = [...new Set([...sizes.filter((size) => size < most), most])];
  const nearest = allowed.filter((size) => size <= preferred).pop() ?? allowed[0];
  select.replaceChildren(...allowed.map(
    (size) => new Option(size, size, size === nearest, size === nearest)));
}

async function open() {
  const {models, max_images: most, classes} = await ask("models");
  const draw = new Section(document.getElementById("draw"), "sample", models, classes);
  const interpolation = new Interpolation(
    document.getElementById("interpolate"), "interpolate", models, classes);
  fill(draw.form.elements.count, [1, 4, 8, 16, 24], most, 16);
  fill(interpolation.form.elements.steps, [2, 4, 8, 16, 24], most, 8);
  await draw.draw();
  await interpolation.draw();
}

open().catch((error) => {
  const line = document.querySelector(".error");
  line.textContent = `The gallery does not answer: ${error.message}`;
  line.hidden = false;
});
