"use strict";
// Networks in the browser: a list of layers and their weights -> a function from numbers to numbers.
//
// All multiplying and adding is done by one function, `mac`. There are two of it: kernel.wat in
// WebAssembly, sixteen numbers at a time, and plainMac below, for browsers that may not run the other.
// It fills one row of numbers:
//
//     row[i] = bias + sum over t of weight[t] * memory[address[t] + i]        for 0 <= i < length
//
// A dense layer is one such row: its inputs are the weights, the rows of its matrix are the memory.
// A picture with a border of zeros is a row as well, one line after the other. Its convolution is the sum of
// shifted copies of it: only the addresses differ, nothing is copied. A convolution of stride 2 does the
// same with the even and the odd lines and columns of its input, a transposed one with those of its output.
//
// Shapes are [channels, height, width]. Addresses count numbers of 4 bytes.

// Layers: {kind: "dense", inputs, outputs}: the matrix, a row for each input, and a last row of biases
//         {kind: "conv" | "up", inputs, outputs, size, stride, padding, extra}: the kernels
//             [outputs][inputs][size][size], then the biases; "up" is transposed, `extra` its output padding
//         {kind: "norm", channels}: a scale for each channel, then a shift for each
//         {kind: "leaky", slope} | {kind: "sigmoid"} | {kind: "shape", shape}
//         {kind: "shuffle" | "unshuffle", factor}: channels become squares of pixels, or the reverse
// Those with weights have `bits`, of each number in `bytes`: 16 or 32. In 8 bits, a dense layer has whole numbers for
// its matrix; after it come, in 32 bits, a scale and then a bias for each output.
function makeNetwork(layers, bytes, shape, wasm) {
    const build = {size: 0, prepare: [], steps: [], heap: null, words: null, mac: null};
    const inputs = count(shape), start = room(build, inputs);
    let from = start, position = 0;
    for (const layer of layers) {
        const [weights, next] = readWeights(layer, bytes, position);
        position = next;
        [from, shape] = KINDS[layer.kind](build, layer, from, shape, weights);
    }
    allocate(build, wasm);
    const result = build.heap.subarray(from, from + count(shape));
    const run = numbers => {
        build.heap.set(numbers, start);
        for (const step of build.steps) step();
        return result;                                      // overwritten by the next call
    };
    return Object.assign(run, {shape, inputs});
}

function count(shape) {
    return shape.reduce((product, side) => product * side, 1);
}

// Reserve `count` numbers, and a few more, since `mac` works on sixteen at a time
function room(build, count) {
    const address = build.size;
    build.size += 4 * Math.ceil(count / 4) + 32;
    return address;
}

function allocate(build, wasm) {
    if (wasm) {
        const memory = new WebAssembly.Memory({initial: Math.ceil(build.size / 16384)});
        const {mac} = new WebAssembly.Instance(wasm, {page: {memory}}).exports;
        build.heap = new Float32Array(memory.buffer);
        build.words = new Int32Array(memory.buffer);
        build.mac = (row, length, addresses, weights, terms, bias) =>
            mac(4 * row, 4 * length, 4 * addresses, 4 * weights, 4 * terms, bias);
    } else {
        build.heap = new Float32Array(build.size);
        build.words = new Int32Array(build.heap.buffer);
        build.mac = plainMac(build.heap, build.words);
    }
    for (const prepare of build.prepare) prepare();
}

// Addresses in the table are of bytes, as WebAssembly wants them
function plainMac(heap, words) {
    return (row, length, addresses, weights, terms, bias) => {
        for (let i = 0; i < length; i += 4) {
            let a = bias, b = bias, c = bias, d = bias;
            for (let t = 0; t < terms; t++) {
                const weight = heap[weights + t], p = (words[addresses + t] >> 2) + i;
                a += weight * heap[p];
                b += weight * heap[p + 1];
                c += weight * heap[p + 2];
                d += weight * heap[p + 3];
            }
            heap[row + i] = a;
            heap[row + i + 1] = b;
            heap[row + i + 2] = c;
            heap[row + i + 3] = d;
        }
    };
}

// Weights

function weightCount(layer) {
    const {kind, inputs, outputs, size, channels} = layer;
    if (kind === "dense") return (inputs + 1) * outputs;
    if (kind === "conv" || kind === "up") return (inputs * size * size + 1) * outputs;
    return kind === "norm" ? 2 * channels : 0;
}

function readWeights(layer, bytes, position) {
    const total = weightCount(layer);
    if (layer.bits === 8) return readMatrix(bytes, position, total, layer.outputs);
    const end = position + total * layer.bits / 8;
    const part = bytes.slice(position, end).buffer;         // a copy starts where numbers may start
    const weights = layer.bits === 16 ? Float32Array.from(new Uint16Array(part), fromHalf) : new Float32Array(part);
    return [weights, end];
}

function readMatrix(bytes, position, total, outputs) {
    const middle = position + total - outputs, end = middle + 8 * outputs;
    const scales = new Float32Array(bytes.slice(middle, end).buffer), weights = new Float32Array(total);
    new Int8Array(bytes.slice(position, middle).buffer).forEach((whole, i) => weights[i] = whole * scales[i % outputs]);
    weights.set(scales.subarray(outputs), total - outputs);
    return [weights, end];
}

// IEEE 754 half precision: a sign, 5 bits of exponent, 10 bits of fraction
function fromHalf(bits) {
    const sign = bits & 0x8000 ? -1 : 1, exponent = bits >> 10 & 31, fraction = bits & 1023;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

// Layers: each reserves its memory, adds its step, and returns [the address of its output, its shape]

const KINDS = {
    dense(build, {inputs, outputs}, from, shape, weights) {
        const matrix = room(build, weights.length), addresses = room(build, inputs + 1), to = room(build, outputs);
        build.prepare.push(() => {
            build.heap.set(weights, matrix);
            for (let k = 0; k <= inputs; k++) build.words[addresses + k] = 4 * (matrix + k * outputs);
        });
        build.steps.push(() => {
            build.heap[from + inputs] = 1;                  // what the row of biases is multiplied by
            build.mac(to, outputs, addresses, from, inputs + 1, 0);
        });
        return [to, [outputs]];
    },

    conv(build, layer, from, [, height, width], weights) {
        const {size, stride, padding} = layer;
        const taps = [Array.from({length: size}, (_, k) => ({k, part: k % stride, shift: Math.floor(k / stride)}))];
        const side = length => Math.floor((length + 2 * padding - size) / stride) + 1;
        return convolve(build, layer, from, weights, {taps, before: padding, split: stride},
                        [height, width], [side(height), side(width)]);
    },

    up(build, layer, from, [, height, width], weights) {
        const {size, stride, padding, extra} = layer;       // output y = stride * input y - padding + k
        const before = Math.ceil(Math.max(0, size - 1 - padding) / stride);
        const taps = Array.from({length: stride}, (_, part) => Array.from({length: size}, (_, k) => k)
            .filter(k => (part + padding - k) % stride === 0)
            .map(k => ({k, part: 0, shift: before + (part + padding - k) / stride})));
        const side = length => (length - 1) * stride - 2 * padding + size + extra;
        return convolve(build, layer, from, weights, {taps, before, split: 1},
                        [height, width], [side(height), side(width)]);
    },

    norm(build, {channels}, address, shape, weights) {
        const plane = count(shape) / channels;
        build.steps.push(() => {
            const {heap} = build;
            for (let c = 0, i = address; c < channels; c++) {
                const scale = weights[c], shift = weights[channels + c];
                for (const end = i + plane; i < end; i++) heap[i] = scale * heap[i] + shift;
            }
        });
        return [address, shape];
    },

    leaky(build, {slope}, address, shape) {
        const end = address + count(shape);
        build.steps.push(() => {
            const {heap} = build;
            for (let i = address; i < end; i++) if (heap[i] < 0) heap[i] *= slope;
        });
        return [address, shape];
    },

    sigmoid(build, layer, address, shape) {
        const end = address + count(shape);
        build.steps.push(() => {
            const {heap} = build;
            for (let i = address; i < end; i++) heap[i] = 1 / (1 + Math.exp(-heap[i]));
        });
        return [address, shape];
    },

    shape(build, {shape}, address) {
        return [address, shape];
    },

    shuffle(build, {factor}, from, [channels, height, width]) {
        const shape = [channels / factor ** 2, height * factor, width * factor], to = room(build, count(shape));
        eachPixel(build, shape, factor, (big, small) => { build.heap[to + big] = build.heap[from + small]; });
        return [to, shape];
    },

    unshuffle(build, {factor}, from, shape) {
        const to = room(build, count(shape)), [channels, height, width] = shape;
        eachPixel(build, shape, factor, (big, small) => { build.heap[to + small] = build.heap[from + big]; });
        return [to, [channels * factor ** 2, height / factor, width / factor]];
    },
};

// Every pixel of a picture: its place there, and its place where squares of pixels are channels
function eachPixel(build, [channels, height, width], factor, move) {
    build.steps.push(() => {
        for (let c = 0, big = 0; c < channels; c++)
            for (let y = 0; y < height; y++)
                for (let x = 0; x < width; x++, big++) {
                    const plane = (c * factor + y % factor) * factor + x % factor;
                    const line = plane * (height / factor) + Math.floor(y / factor);
                    move(big, line * (width / factor) + Math.floor(x / factor));
                }
    });
}

// Both convolutions. The input is copied behind `before` lines and columns of zeros, split into `split` parts each
// way. `taps` has, for each part of the output, which entries k of a kernel's line meet which part of the input,
// how far shifted; the same for lines and columns. Rows are so long that no shift leaves them.
function convolve(build, {inputs, outputs, size}, from, weights, {taps, before, split},
                  [height, width], [outHeight, outWidth]) {
    const parts = taps.length, reach = Math.max(...taps.flat().map(tap => tap.shift));
    const lines = Math.ceil(outHeight / parts), pitch = Math.ceil(outWidth / parts) + reach;
    const plane = (lines + reach) * pitch, padded = room(build, inputs * split * split * plane + reach * pitch);
    const row = room(build, lines * pitch), to = room(build, outputs * outHeight * outWidth);
    const biases = weights.subarray(weights.length - outputs);
    build.steps.push(() => pad(build.heap, from, padded, [inputs, height, width], {before, split, plane, pitch}));
    for (let py = 0; py < parts; py++)
        for (let px = 0; px < parts; px++) {
            const terms = [];                               // [place in a kernel, place in the padded input]
            for (let c = 0; c < inputs; c++)
                for (const y of taps[py])
                    for (const x of taps[px])
                        terms.push([(c * size + y.k) * size + x.k,
                                    ((c * split + y.part) * split + x.part) * plane + y.shift * pitch + x.shift]);
            const addresses = room(build, terms.length), kernels = room(build, terms.length * outputs);
            build.prepare.push(() => terms.forEach(([k, place], t) => {
                build.words[addresses + t] = 4 * (padded + place);
                for (let o = 0; o < outputs; o++)
                    build.heap[kernels + o * terms.length + t] = weights[o * inputs * size * size + k];
            }));
            build.steps.push(() => {
                const {heap, mac} = build;
                for (let o = 0; o < outputs; o++) {
                    mac(row, lines * pitch, addresses, kernels + o * terms.length, terms.length, biases[o]);
                    const target = to + o * outHeight * outWidth;
                    for (let y = py, line = row; y < outHeight; y += parts, line += pitch)
                        for (let x = px, i = line; x < outWidth; x += parts, i++)
                            heap[target + y * outWidth + x] = heap[i];
                }
            });
        }
    return [to, [outputs, outHeight, outWidth]];
}

function pad(heap, from, to, [channels, height, width], {before, split, plane, pitch}) {
    const lines = plane / pitch;
    for (let c = 0; c < channels; c++)
        for (let y = 0; y < height; y++) {
            const line = Math.floor((y + before) / split), part = (c * split + (y + before) % split) * split;
            if (line >= lines) continue;                    // no kernel gets there
            for (let x = 0; x < width; x++) {
                const column = Math.floor((x + before) / split);
                if (column < pitch) heap[to + (part + (x + before) % split) * plane + line * pitch + column] =
                    heap[from + (c * height + y) * width + x];
            }
        }
}
