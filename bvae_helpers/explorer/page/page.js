// The page: sliders, pictures, and what happens between them. Every text is set as text, never as HTML.

const PRIOR = 3;            // the wide range of a slider: three standard deviations of the prior
const STOPS = 200;          // of a slider, from end to end
const STEPS = 9;            // pictures of the filmstrip
const PERIOD = 2900;        // milliseconds of one sweep to and fro
const BUDGET = 6;           // milliseconds of a frame that may go into the filmstrip
const FIRST = 16;           // sliders that are seen at once; the others are folded

const data = JSON.parse(document.getElementById("data").textContent);
const wasm = compile(bytesOf(data.kernel));
const panels = [];
const chosen = {image: 0, toward: 0, wide: false, difference: false, between: false, panel: null, since: null};
let waiting = false;        // whether a frame is asked for

function bytesOf(base64) {
    return Uint8Array.from(atob(base64), letter => letter.charCodeAt(0));
}

// The kernel, or null where the browser may not or cannot run it: plain JavaScript does the same
function compile(bytes) {
    try {
        return new WebAssembly.Module(bytes);
    } catch {
        return null;
    }
}

// An element: attributes, "on..." listeners, and children, strings among them becoming text
function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
        else if (value !== null) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
}

function number(value, digits = 2) {
    return value.toFixed(digits).replace(/^-(0(\.0+)?)$/, "$1").replace("-", "−");
}

// Pictures: planes of numbers from 0 to 1, one or three of them

function makePicture(label) {
    const [, height, width] = data.shape;
    return make("canvas", {width, height, ...(label ? {role: "img", "aria-label": label} : {"aria-hidden": "true"})});
}

function paint(canvas, pixels) {
    const context = canvas.getContext("2d"), {width, height} = canvas, plane = width * height;
    const picture = context.createImageData(width, height), green = pixels.length > plane ? plane : 0;
    for (let i = 0; i < plane; i++) {
        picture.data[4 * i] = 255 * pixels[i];              // rounds and clamps
        picture.data[4 * i + 1] = 255 * pixels[i + green];
        picture.data[4 * i + 2] = 255 * pixels[i + 2 * green];
        picture.data[4 * i + 3] = 255;
    }
    context.putImageData(picture, 0, 0);
}

const originals = function () {
    const bytes = bytesOf(data.images), size = count(data.shape);
    const picture = k => Float32Array.from(bytes.subarray(k * size, (k + 1) * size), value => value / 255);
    return Array.from({length: bytes.length / size}, (_, k) => picture(k));
}();

// One model: its sliders, its pictures, and the filmstrip of the latent last moved

class Panel {
    constructor(model) {
        Object.assign(this, {model, latents: model.sliders.length, stale: true, film: "", filmed: STEPS});
        this.decode = makeNetwork(model.decoder.layers, bytesOf(model.decoder.weights), [this.latents], wasm);
        this.z = this.home = Float32Array.from(model.codes[0]);
        this.active = model.sliders[0].latent;
        this.rows = [];                                     // by latent
        this.element = make("section", {class: "panel", "aria-label": model.name || "the model"},
            ...(model.name ? [make("h2", {}, `${model.name} · ${number(model.nats, 1)} nats`)] : []),
            this.makePictures(), this.makeSliders());
    }

    makePictures() {
        this.canvases = ["the original picture", "its reconstruction", "the picture now"].map(makePicture);
        const [original, middle, now] = this.canvases;
        this.original = make("figure", {}, original, make("figcaption", {}, "original"));
        this.middleCaption = make("figcaption");
        this.tiles = Array.from({length: STEPS}, (_, k) => {
            const canvas = makePicture(""), text = make("span"), onclick = () => this.move(this.active, this.values[k]);
            return {canvas, text, button: make("button", {type: "button", onclick}, canvas, text)};
        });
        this.filmCaption = make("figcaption");
        return make("div", {class: "pictures"},
            make("div", {class: "three"}, this.original, make("figure", {}, middle, this.middleCaption),
                 make("figure", {}, now, make("figcaption", {}, "now"))),
            make("div", {class: "film", role: "group", "aria-label": "steps along the latent moved last"},
                 ...this.tiles.map(tile => tile.button)),
            this.filmCaption);
    }

    makeSliders() {
        const active = this.model.sliders.filter(slider => !slider.collapsed);
        const collapsed = this.model.sliders.filter(slider => slider.collapsed);
        const fold = (sliders, text) => {
            const rows = sliders.map(slider => this.makeRow(slider)), open = active.length === 0 ? "" : null;
            return rows.length ? [make("details", {open}, make("summary", {}, text), ...rows)] : [];
        };
        this.numbers = make("code");
        this.open = make("details", {ontoggle: () => this.writeNumbers()},
                         make("summary", {}, "the code as numbers"), this.numbers);
        const rest = active.slice(FIRST);
        return make("div", {class: "sliders"}, ...active.slice(0, FIRST).map(slider => this.makeRow(slider)),
            ...fold(rest, `${rest.length} more active latents, each with less KL`),
            ...fold(collapsed, `${collapsed.length} collapsed ${collapsed.length === 1 ? "latent" : "latents"}`),
            this.open);
    }

    makeRow({latent, label, low, high}) {
        const id = `p${panels.length}z${latent}`, value = make("output", {for: id});
        const input = make("input", {type: "range", id, oninput: () => this.move(latent, Number(input.value))});
        const reset = make("button", {type: "button", onclick: () => this.reset(latent), "aria-label": `reset z${latent}`,
                                      title: "back to the start; again: to zero"}, "↺");
        const element = make("div", {class: "latent"}, make("label", {for: id}, label), value, input, reset);
        this.rows[latent] = {label, low, high, input, value, element};
        return element;
    }

    span(latent) {
        const {low, high} = this.rows[latent];
        return chosen.wide ? [Math.min(low, -PRIOR), Math.max(high, PRIOR)] : [low, high];
    }

    // What a finger does: one latent goes to `value`
    move(latent, value) {
        this.touch(latent);
        this.go(this.z.with(latent, value));
    }

    // One latent back home; from home, to zero, the prior's mean
    reset(latent) {
        this.move(latent, this.z[latent] === this.home[latent] ? 0 : this.home[latent]);
    }

    touch(latent) {
        this.rows[this.active].element.classList.remove("last");
        this.active = latent;
        this.rows[latent].element.classList.add("last");
        Object.assign(chosen, {panel: this, between: false});
    }

    // All latents to z; sliders grow to reach it
    go(z) {
        this.z = Float32Array.from(z);
        this.show();
    }

    show() {
        this.z.forEach((value, latent) => {
            const row = this.rows[latent];
            row.low = Math.min(row.low, value);
            row.high = Math.max(row.high, value);
            const [low, high] = this.span(latent), state = [low, high, value].join();
            if (state === row.state) return;                // most sliders stay where they are
            row.state = state;
            Object.assign(row.input, {min: low, max: high, step: (high - low) / STOPS, value});
            row.value.textContent = number(value);
            row.input.setAttribute("aria-valuetext", number(value));
        });
        this.stale = true;
        schedule();
    }

    draw() {
        const [original, middle, last] = this.canvases;
        if (this.startOf !== this.home)
            Object.assign(this, {startOf: this.home, start: this.decode(this.home).slice()});
        const {start} = this, now = this.decode(this.z);
        paint(last, now);
        paint(middle, chosen.difference ? now.map((value, i) => 0.5 + (value - start[i]) / 2) : start);
        if (chosen.image !== null) paint(original, originals[chosen.image]);
        this.original.classList.toggle("none", chosen.image === null);
        const from = chosen.image === null ? "start" : "reconstruction";
        this.middleCaption.textContent = chosen.difference ? "difference" : from;
        this.middleCaption.title = chosen.difference ? `the picture now less the ${from}; grey where they are the same` : "";
        middle.setAttribute("aria-label", this.middleCaption.title || from);
        this.writeNumbers();
        this.stale = false;
        this.restartFilm();
    }

    // The filmstrip depends on which latent is moved and on the others' values, not on its own
    restartFilm() {
        const [low, high] = this.span(this.active);
        const film = [this.active, low, high, ...this.z.with(this.active, 0)].join();
        if (film === this.film) return;
        const values = Array.from({length: STEPS}, (_, k) => low + k * (high - low) / (STEPS - 1));
        Object.assign(this, {film, values, filmed: 0});
        this.filmCaption.textContent = `${this.rows[this.active].label}: choose a step`;
        this.tiles.forEach(({text, button}, k) => {
            text.textContent = number(this.values[k], 1);
            button.setAttribute("aria-label", `z${this.active} to ${number(this.values[k])}`);
        });
    }

    drawFilm() {
        paint(this.tiles[this.filmed].canvas, this.decode(this.z.with(this.active, this.values[this.filmed])));
        this.filmed++;
    }

    writeNumbers() {
        if (!this.open.open) return;
        this.numbers.textContent = `z = [${Array.from(this.z, value => value.toFixed(3)).join(", ")}]`;
    }
}

// Frames: pictures first, then as much of the filmstrips as fits; events between two frames are one

function schedule() {
    if (!waiting) requestAnimationFrame(frame);
    waiting = true;
}

function frame(now) {
    waiting = false;
    if (chosen.since !== null) play(now);
    for (const panel of panels) if (panel.stale) panel.draw();
    const end = performance.now() + BUDGET;
    for (const panel of panels) while (panel.filmed < STEPS && performance.now() < end) panel.drawFilm();
    if (chosen.since !== null || panels.some(panel => panel.filmed < STEPS)) schedule();
}

// What all panels do together

// Start from a picture or, with null, from a code of no picture: `draw()` for each latent
function start(image, draw) {
    chosen.image = image;
    controls.thumbs.forEach((button, k) => button.setAttribute("aria-pressed", String(k === image)));
    for (const panel of panels) {
        const code = image === null ? Array.from({length: panel.latents}, draw) : panel.model.codes[image];
        panel.home = Float32Array.from(code);
        panel.go(panel.home);
    }
    controls.way.value = 0;
}

// A draw from N(0, 1), by Box and Muller
function normal() {
    return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

// Everything back to the start; from there, to zero
function resetAll() {
    const home = panels.every(panel => panel.z.every((value, d) => value === panel.home[d]));
    for (const panel of panels) panel.go(home ? panel.home.map(() => 0) : panel.home);
    controls.way.value = 0;
}

function interpolate() {
    const t = Number(controls.way.value);
    chosen.between = true;
    for (const panel of panels) {
        const end = panel.model.codes[chosen.toward];
        panel.go(panel.home.map((value, d) => (1 - t) * value + t * end[d]));
    }
}

// What was touched last, a latent or the interpolation, sweeps to and fro
function play(now) {
    const share = Math.abs((((now - chosen.since) / PERIOD * 2 + 1) % 2) - 1), panel = chosen.panel;
    if (chosen.between) {
        controls.way.value = share;
        interpolate();
    } else {
        const [low, high] = panel.span(panel.active);
        panel.move(panel.active, low + share * (high - low));
    }
}

function togglePlay() {
    chosen.since = chosen.since === null ? performance.now() : null;
    controls.play.textContent = chosen.since === null ? "play" : "pause";
    schedule();
}

function toggle(name, on) {
    chosen[name] = on;
    for (const panel of panels) panel.show();
}

// What is seen, as a PNG
function save() {
    const [, height, width] = data.shape, zoom = Math.max(1, Math.floor(192 / width)), gap = 8;
    const [across, down] = [zoom * width, zoom * height];
    const sheet = make("canvas", {width: 3 * (across + gap) - gap, height: panels.length * (down + gap) - gap});
    const context = sheet.getContext("2d");
    context.fillStyle = "white";
    context.fillRect(0, 0, sheet.width, sheet.height);
    context.imageSmoothingEnabled = false;
    panels.forEach((panel, row) => panel.canvases.forEach((canvas, column) => {
        if (column > 0 || chosen.image !== null)
            context.drawImage(canvas, column * (across + gap), row * (down + gap), across, down);
    }));
    make("a", {href: sheet.toDataURL("image/png"), download: "latents.png"}).click();
}

function makeControls() {
    const button = (text, onclick) => make("button", {type: "button", onclick}, text);
    const box = (text, name) => {
        const input = make("input", {type: "checkbox", onchange: () => toggle(name, input.checked)});
        return make("label", {}, input, text);
    };
    const made = {play: button("play", togglePlay)};
    made.thumbs = originals.map((pixels, k) => {
        const canvas = makePicture("");
        paint(canvas, pixels);
        return make("button", {type: "button", class: "thumb", onclick: () => start(k),
                               "aria-label": `start from picture ${k + 1}`}, canvas);
    });
    chosen.toward = Math.min(1, originals.length - 1);
    const toward = make("select", {"aria-label": "the picture to interpolate to", onchange: event => {
        chosen.toward = Number(event.target.value);
        interpolate();
    }}, ...originals.map((_, k) => make("option", {value: k}, `picture ${k + 1}`)));
    toward.value = chosen.toward;
    made.way = make("input", {type: "range", min: 0, max: 1, step: 0.01, value: 0, oninput: interpolate,
                              "aria-label": "how far to interpolate"});
    const group = (name, label, ...children) =>
        make("div", {class: name, role: "group", "aria-label": label}, ...children);
    made.bar = make("div", {class: "bar"}, group("thumbs", "pictures to start from", ...made.thumbs),
        group("buttons", "start, play, save", button("zero", () => start(null, () => 0)),
              button("random", () => start(null, normal)), button("reset", resetAll), made.play, button("save", save)),
        group("way", "interpolation", "interpolate to", toward, made.way),
        group("boxes", "what is shown", box("difference", "difference"), box("±3", "wide")));
    return made;
}

const controls = makeControls();
for (const model of data.models) panels.push(new Panel(model));
if (data.title) document.title = data.title;                // a page of more than this part has its own
document.getElementById("main").replaceChildren(
    ...(data.title ? [make("h1", {}, data.title)] : []),
    make("p", {}, "Drag a slider: it changes one latent, one of the numbers from which the network draws the picture."),
    make("details", {class: "note"}, make("summary", {}, "how to read the labels"), make("p", {}, data.note)),
    controls.bar,
    make("div", {id: "panels", class: panels.length === 1 ? "one" : "several"}, ...panels.map(panel => panel.element)));
for (const panel of panels.toReversed()) panel.touch(panel.active);
start(0);
