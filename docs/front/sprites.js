// The renderer of bvae_helpers/data/sprites.py, in JavaScript: the same pictures, to the pixel.
//
// A sprite is a polygon. Its corners are scaled, turned and moved in 32-bit arithmetic (Math.fround after every
// operation), rounded to a grid of 1/256 pixel, and filled: a pixel is lit if its centre lies inside.
// `tables` come from Python: cos, sin, scale and position of every class, and the outlines' corners.

const SIDE = 64, SNAP = 256;

// The five classes: shape, scale, orientation, posX, posY -> 64 x 64 numbers, 0 or 1
function drawSprite(tables, [shape, scale, orientation, posX, posY]) {
    const {x, y, move} = tables.outlines[shape], f = Math.fround, size = tables.scale[scale];
    const cos = f(tables.cos[orientation] * size), sin = f(tables.sin[orientation] * size);
    const turn = (a, b, p, q) => f(f(a * p) + f(b * q));
    const middleX = f(f(turn(cos, sin, ...move) + tables.position[posX]) - SIDE / 2);
    const middleY = f(f(turn(-sin, cos, ...move) + tables.position[posY]) - SIDE / 2);
    const right = x.map((_, k) => snap(f(turn(cos, sin, x[k], y[k]) + middleX)));
    const down = x.map((_, k) => SIDE * SNAP - snap(-f(turn(-sin, cos, x[k], y[k]) + middleY)));
    return fillPolygon(right, down);
}

// Pixels from the middle -> sub-pixels from the edge, halves to the even number
function snap(value) {
    const exact = Math.fround(Math.fround(SIDE / 2 + value) * SNAP), rounded = Math.round(exact);
    return rounded - exact === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

// Every edge toggles the pixels right of it, in each line of centres that it crosses
function fillPolygon(x, y) {
    const pixels = new Float32Array(SIDE * SIDE), half = SNAP / 2;
    const firstRow = y.map(value => Math.floor((value + half) / SNAP));
    x.forEach((x0, k) => {
        const next = (k + 1) % x.length, dx = x[next] - x0, dy = y[next] - y[k];
        const [from, to] = [firstRow[k], firstRow[next]].sort((a, b) => a - b);
        for (let row = from; row < to; row++) {
            const cut = (x0 - half) * dy + (row * SNAP + half - y[k]) * dx;
            for (let column = Math.max(0, Math.ceil(cut / (dy * SNAP))); column < SIDE; column++)
                pixels[row * SIDE + column] = 1 - pixels[row * SIDE + column];
        }
    });
    return pixels;
}
