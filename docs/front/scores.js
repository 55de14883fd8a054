// How much a latent knows of a factor: bvae_helpers/metrics/_histograms.py in JavaScript.

const BINS = 20;

// Numbers -> bins 0 to 19 of equal width
function discretize(values) {
    let low = Math.min(...values), high = Math.max(...values);
    if (low === high) [low, high] = [low - 0.5, high + 0.5];
    const edges = Array.from({length: BINS}, (_, k) => low + k * ((high - low) / BINS));
    return values.map(value => edges.findLastIndex(edge => edge <= value));
}

// Of a table of counts, in nats
function entropy(counts) {
    const total = counts.reduce((sum, n) => sum + n, 0);
    return counts.reduce((sum, n) => n > 0 ? sum - n / total * Math.log(n / total) : sum, 0);
}

// I(z; v) / H(v) of each binned latent and each factor: a row for each latent
function shares(binned, factors) {
    return binned.map(z => factors.map(v => {
        const classes = Math.max(...v) + 1, joint = new Array(BINS * classes).fill(0);
        const zCounts = new Array(BINS).fill(0), vCounts = new Array(classes).fill(0);
        z.forEach((bin, n) => {
            joint[bin * classes + v[n]]++;
            zCounts[bin]++;
            vCounts[v[n]]++;
        });
        return (entropy(zCounts) + entropy(vCounts) - entropy(joint)) / entropy(vCounts);
    }));
}

// Mutual information gap: the best latent's share less the second best's, the mean over factors
function mig(table) {
    const gaps = table[0].map((_, k) => {
        const [first, second] = table.map(row => row[k]).sort((a, b) => b - a);
        return first - second;
    });
    return gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
}
