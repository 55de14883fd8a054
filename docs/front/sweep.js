// The first part of the front page: the latent of the same cause in networks that were trained with different beta.

const sweep = {start: 0, networks: [], film: []};

function buildSweep() {
    const models = front.sweep, last = models.length - 1;
    document.getElementById("sweep-part").hidden = false;
    sweep.beta = makeSlider("beta", "β", {min: 0, max: last, step: 1, value: 0}, k => models[k].beta, showSweep);
    sweep.factor = make("select", {id: "cause", onchange: startSweep},
                        ...front.names.map((name, k) => make("option", {value: k}, name)));
    sweep.factor.value = front.names.indexOf("left to right");
    sweep.finger = makeSlider("finger", "", {min: 0, max: 1, step: 0.005, value: 0.5},
                              share => number(fingerAt(share)), showSweep);
    sweep.label = sweep.finger.element.querySelector("label");
    sweep.thumbs = originals.map((pixels, k) => makeThumb(pixels, k));
    sweep.pictures = ["the original sprite", "the sprite, drawn again by this network", "drawn with your slider"].map(makePicture);
    sweep.film = Array.from({length: STEPS}, () => makePicture(""));
    sweep.bars = models[0].latents.map(() => {
        const label = make("span"), bar = make("span", {class: "bar-of"});
        return {label, bar, element: make("div", {class: "nats"}, label, bar)};
    });
    const stops = make("div", {class: "stops", "aria-hidden": "true"}, ...models.map(({beta}) => make("span", {}, String(beta))));
    sweep.beta.element.classList.add("big");
    document.getElementById("sweep").append(
        make("div", {}, sweep.beta.element, stops,
             make("div", {class: "bar"}, make("div", {class: "thumbs", role: "group", "aria-label": "sprites to start from"},
                                              ...sweep.thumbs)),
             make("div", {class: "triple"}, ...["original", "drawn again", "with your slider"].map(
                 (caption, k) => makeFigure(sweep.pictures[k], caption))),
             make("div", {class: "choose"}, make("label", {for: "cause"}, "move the latent that carries most of"),
                  sweep.factor),
             sweep.finger.element, make("div", {class: "film"}, ...sweep.film),
             make("figcaption", {}, "as this latent goes from its lowest to its highest value")),
        make("div", {}, makeSweepTable(models), make("p", {class: "caption"}, "What each latent carries, in nats; beside it the "
             + "cause, if the latent carries 30 % or more of one (0.30 to 1):"), ...sweep.bars.map(({element}) => element)));
    startSweep();
}

function makeThumb(pixels, k) {
    const canvas = makePicture(""), onclick = () => startSweep(k);
    paint(canvas, pixels);
    return make("button", {type: "button", class: "thumb", onclick, "aria-label": `start from sprite ${k + 1}`}, canvas);
}

function makeSweepTable(models) {
    sweep.rows = models.map(({beta, rate, distortion, active, mig}) => make("tr", {}, make("th", {scope: "row"}, `${beta}`),
        ...[number(rate, 1), number(distortion, 0), `${active}`, number(mig)].map(text => make("td", {}, text))));
    const titles = ["β", "rate, nats", "distortion, nats", "active latents", "MIG"];
    return make("table", {}, make("caption", {}, "Means over many sprites. Distortion: lower is better. MIG, of the active "
                + "latents: 0, every cause is spread over several latents; 1, one latent carries all of a cause, and no other any of it."),
                make("tr", {}, ...titles.map(title => make("th", {scope: "col"}, title))), ...sweep.rows);
}

// A decoder is built when it is first looked at
function sweepNetwork(k) {
    const {decoder, codes} = front.sweep[k];
    sweep.networks[k] ??= makeNetwork(decoder.layers, bytesOf(decoder.weights), [codes[0].length], wasm);
    return sweep.networks[k];
}

// From sprite number `k`, or from the same one: the finger lies where this network's code of it is
function startSweep(k) {
    if (typeof k === "number") sweep.start = k;
    const model = front.sweep[Number(sweep.beta.input.value)], finger = model.fingers[Number(sweep.factor.value)];
    const [first, last] = finger.ends, share = (model.codes[sweep.start][finger.latent] - first) / (last - first);
    sweep.finger.input.value = Math.min(1, Math.max(0, share));
    sweep.finger.write();
    sweep.thumbs.forEach((button, n) => button.setAttribute("aria-pressed", String(n === sweep.start)));
    showSweep();
}

// The value of the moved latent at a share, 0 to 1, of its way
function fingerAt(share) {
    const model = front.sweep[Number(sweep.beta.input.value)];
    const [first, last] = model.fingers[Number(sweep.factor.value)].ends;
    return first + share * (last - first);
}

function showSweep() {
    const chosen = Number(sweep.beta.input.value), model = front.sweep[chosen], decode = sweepNetwork(chosen);
    const factor = Number(sweep.factor.value), {latent, share} = model.fingers[factor];
    const code = Float32Array.from(model.codes[sweep.start]), at = t => code.with(latent, fingerAt(t));
    sweep.finger.write();
    sweep.label.textContent = `z${latent} carries ${Math.round(100 * share)} % of the information about ` +
        `${front.names[factor]}, more than any other latent`;
    paint(sweep.pictures[0], originals[sweep.start]);
    paint(sweep.pictures[1], decode(code));
    paint(sweep.pictures[2], decode(at(Number(sweep.finger.input.value))));
    sweep.film.forEach((canvas, k) => paint(canvas, decode(at(k / (STEPS - 1)))));
    sweep.rows.forEach((row, k) => row.classList.toggle("now", k === chosen));
    const most = Math.max(...front.sweep.flatMap(({latents}) => latents.map(({nats}) => nats)));
    model.latents.forEach(({label, nats}, k) => {
        const {label: text, bar, element} = sweep.bars[k];
        text.textContent = label;
        bar.style.width = `${100 * nats / most}%`;
        element.classList.toggle("moved", label.startsWith(`z${latent} `));
    });
}
