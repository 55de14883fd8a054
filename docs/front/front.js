// The last two parts of the front page. Before them come sweep.js and the explorer's page.js, whose helpers serve here.

const front = data.front, decoder = panels[0].decode;
const encode = makeNetwork(front.encoder.layers, bytesOf(front.encoder.weights), data.shape, wasm);
const labels = panels[0].model.sliders.filter(slider => !slider.collapsed);

// A slider with its name and its value; `show` is called once a frame, however many events there were
function makeSlider(id, name, attributes, say, show) {
    let asked = false;
    const value = make("output", {for: id}), input = make("input", {type: "range", id, ...attributes});
    const write = () => {
        value.textContent = say(Number(input.value));
        input.setAttribute("aria-valuetext", value.textContent);
    };
    input.addEventListener("input", () => {
        write();
        if (!asked) requestAnimationFrame(() => {
            asked = false;
            show();
        });
        asked = true;
    });
    write();
    return {input, write, element: make("div", {class: "latent"}, make("label", {for: id}, name), value, input)};
}

function makeFigure(canvas, caption) {
    return make("figure", {}, canvas, make("figcaption", {}, caption));
}

// The true causes, the sprite drawn from them, and what the encoder makes of it

const truth = {start: null, touched: null};

function buildTruth() {
    const ofThirtyOne = k => `${k} of 31`;
    const words = [k => front.shapes[k], k => `${50 + 10 * k} %`, k => `${Math.round(k * 360 / 39)}°`, ofThirtyOne, ofThirtyOne];
    truth.sliders = front.names.map((name, k) => makeSlider(`truth-${k}`, name,
        {min: 0, max: front.sizes[k] - 1, step: 1, value: front.begin[k]}, words[k], () => showTruth(k)));
    truth.pictures = ["the sprite, drawn from the causes", "what the decoder makes of its latents"].map(makePicture);
    truth.rows = labels.map(({latent, label}) => {
        const dot = make("span", {class: "dot"}), value = make("output", {"aria-label": label});
        return {latent, dot, value, element: make("div", {class: "line"}, make("span", {}, label),
                                                  make("span", {class: "scale"}, dot), value)};
    });
    document.getElementById("truth").append(
        make("div", {}, make("div", {class: "pair"}, makeFigure(truth.pictures[0], "original, drawn from the causes"),
                             makeFigure(truth.pictures[1], "drawn again")),
             make("div", {class: "lines"}, ...truth.rows.map(row => row.element))),
        make("div", {}, ...truth.sliders.map(slider => slider.element)));
    showTruth(null);
}

// Latents that moved by more than 0.4 since another cause was touched are marked
function showTruth(touched) {
    const picture = drawSprite(front.tables, truth.sliders.map(slider => Number(slider.input.value)));
    const code = Float32Array.from(encode(picture));
    if (touched !== truth.touched) Object.assign(truth, {touched, start: truth.code});
    truth.code = code;
    for (const {latent, dot, value, element} of truth.rows) {
        dot.style.left = `${100 * Math.min(1, Math.max(0, (code[latent] + PRIOR) / (2 * PRIOR)))}%`;
        value.textContent = number(code[latent]);
        element.classList.toggle("moved", truth.start ? Math.abs(code[latent] - truth.start[latent]) > 0.4 : false);
    }
    paint(truth.pictures[0], picture);
    paint(truth.pictures[1], decoder(code));
}

// Two latents mixed by an angle

const turned = {film: []};

function buildTurn() {
    const [one, two] = front.pair;
    turned.angle = makeSlider("angle", `mix z${one} and z${two} by`, {min: 0, max: 90, step: 1, value: 0},
                              angle => `${angle}°`, showTurn);
    turned.slider = makeSlider("turned", "the first mixture", {min: -2, max: 2, step: 0.02, value: 0}, number,
                               showTurn);
    turned.picture = makePicture("the picture drawn from the mixtures");
    turned.film = Array.from({length: STEPS}, () => makePicture(""));
    turned.score = make("output", {class: "score"});
    turned.cells = [0, 1].map(() => front.names.map(() => make("td")));
    turned.factors = front.names.map((_, k) => front.factors.map(row => row[k]));
    turned.shares = shares(front.codes[0].map((_, d) => discretize(front.codes.map(row => row[d]))), turned.factors);
    const head = make("tr", {}, make("td"), ...front.names.map(name => make("th", {scope: "col"}, name)));
    const rows = turned.cells.map((cells, k) =>
        make("tr", {}, make("th", {scope: "row"}, k === 0 ? "first mixture" : "second mixture"), ...cells));
    document.getElementById("turn").append(
        make("div", {}, make("div", {class: "pair"}, makeFigure(turned.picture, "drawn with your sliders")),
             make("div", {class: "film"}, ...turned.film), make("figcaption", {}, "as the first mixture goes from −2 to 2")),
        make("div", {}, turned.angle.element, turned.slider.element, make("p", {}, "MIG ", turned.score),
             make("table", {}, make("caption", {}, "How much of the information about each cause a mixture carries, from 0 to 1"), head, ...rows)));
    showTurn();
}

// Turned latents -> the decoder's own: the turn back
function turnBack(first, second, angle) {
    const [one, two] = front.pair, code = Float32Array.from(front.middle);
    code[one] = Math.cos(angle) * first - Math.sin(angle) * second;
    code[two] = Math.sin(angle) * first + Math.cos(angle) * second;
    return code;
}

function turnedShares(angle) {
    const [one, two] = front.pair, cos = Math.cos(angle), sin = Math.sin(angle), table = turned.shares.slice();
    const first = discretize(front.codes.map(row => cos * row[one] + sin * row[two]));
    const second = discretize(front.codes.map(row => cos * row[two] - sin * row[one]));
    [table[one], table[two]] = shares([first, second], turned.factors);
    return table;
}

function showTurn() {
    const angle = Number(turned.angle.input.value) * Math.PI / 180, table = turnedShares(angle);
    turned.score.textContent = number(mig(table));
    front.pair.forEach((latent, k) => turned.cells[k].forEach((cell, f) => {
        cell.textContent = number(table[latent][f]);
    }));
    paint(turned.picture, decoder(turnBack(Number(turned.slider.input.value), 0, angle)));
    turned.film.forEach((canvas, k) => paint(canvas, decoder(turnBack(-2 + 4 * k / (STEPS - 1), 0, angle))));
}

if (front.sweep.length) buildSweep();
buildTruth();
buildTurn();
