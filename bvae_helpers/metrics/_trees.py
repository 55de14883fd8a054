"""Gradient-boosted trees for DCI: what scikit-learn's GradientBoostingClassifier grows, many times faster.

Friedman 2001, "Greedy function approximation: a gradient boosting machine", algorithm 6: 100 rounds of trees of
depth 3, learning rate 0.1, log loss, Newton leaves; importance = the reduction of the squared error. Three changes
make it fast. Each latent is sorted once, not in every node. The trees of all classes of a round grow together, as
columns of the same few tensor operations. And cuts are searched twice: between blocks of neighbours in the
sorted order, then between single samples in the few most promising blocks.

Shapes: N samples, D latents, B blocks of W samples, K classes (a tree each in every round), P nodes on a level
of a tree, M = P K.
"""

import numpy as np
import torch

ROUNDS, DEPTH, RATE = 100, 3, 0.1
WIDTH, SEARCHED = 20, 32       # samples of a block; blocks searched for each node
NO_GAIN = 1e-8                # below this a reduction of the squared error is the rounding of float32


class SortedCodes:
    """Codes (N, D), sorted once for all trees of a factor."""

    def __init__(self, codes: np.ndarray):
        columns = [np.unique(column, return_inverse=True) for column in codes.T]
        self.edges = [(values[:-1] + values[1:]) / 2 for values, _ in columns]      # all possible cuts
        d, n = codes.T.shape
        self.kind = torch.int16 if n < 2 ** 15 - 1 else torch.int32                   # of ranks: small types are faster
        self.ranks = torch.from_numpy(np.stack([rank for _, rank in columns])).to(self.kind)   # (D, N)
        blocks = -(-n // WIDTH)
        pad = torch.full((d, blocks * WIDTH - n), n)                                # N: no sample
        self.samples = torch.cat([self.ranks.argsort(1), pad], 1).view(d * blocks, WIDTH)
        beyond = torch.full((d, 1), n)
        in_order = torch.cat([self.ranks, beyond], 1).gather(1, self.samples.view(d, -1)).view(d, -1)
        self.sorted = in_order.view(d * blocks, WIDTH)                              # ranks
        self.cuttable = (in_order != torch.cat([in_order[:, 1:], beyond], 1)).view(d * blocks, WIDTH)
        self.blocks, self.bags = blocks, self.samples.int()
        self.block_of = torch.empty(d, n + 1, dtype=torch.long).scatter_(1, self.samples.view(d, -1), (
            torch.arange(d * blocks).repeat_interleave(WIDTH).view(d, -1)))[:, :n]     # (D, N)

    def rank(self, codes: np.ndarray) -> torch.Tensor:
        """Ranks of other codes (N, D) among these: the number of edges below each, whole numbers (D, N)."""
        places = [np.searchsorted(edges, column) for edges, column in zip(self.edges, codes.T)]
        return torch.from_numpy(np.stack(places)).to(self.kind)

    def sums(self, columns: torch.Tensor) -> torch.Tensor:
        """Sums of columns (N + 1, M) over the samples of each block of each latent -> (D, B, M)."""
        # a "bag" sums the rows that are listed for it: the fastest grouped sum in torch
        return torch.nn.functional.embedding_bag(self.bags, columns, mode="sum").view(-1, self.blocks, columns.shape[1])


def gain(left, n_left, total, n):
    """Reduction of the squared error by a cut, from the sum and number of residuals on its left and in the node."""
    n_right = n - n_left
    excess = torch.addcmul(left, n_left, total / n.clamp_min(1), value=-1)          # beyond what the mean of all gives
    return excess.square_().div_((n_left * n_right).clamp_min_(1)).mul_(n)          # 0 where a side is empty


def positives(latents, y, residual, node, shape):
    """Sum and number, in each block and node, of the residuals of samples of the class itself, the positive ones."""
    n = torch.arange(len(y))
    place = (latents.block_of * shape[2] + node[y, n].long() * len(residual) + y).flatten()       # (D N,)
    weights = torch.stack([residual[y, n], torch.ones(len(y))]).repeat(1, len(latents.block_of))
    return (torch.bincount(place, w, minlength=shape.numel()).view(shape) for w in weights)


def best_cuts(latents, y, sums, counts, residual, node):
    """Find for each node the cut that reduces the squared error most.

    ``sums``, ``counts`` (D, B, M); ``residual``, ``node`` (K, N + 1). Returns the latent, the last rank on the left
    (all of them if no cut helps) and the reduction, (P, K) each.
    """
    before, n_before = sums.cumsum(1) - sums, counts.cumsum(1) - counts
    total, n = before[0, -1] + sums[0, -1], n_before[0, -1] + counts[0, -1]          # (M,)
    rich, n_rich = positives(latents, y, residual, node, sums.shape)
    left = gain(before + rich, n_before + n_rich, total, n)                           # if they all were on the left
    right = gain(before + sums - rich, n_before + counts - n_rich, total, n)          # if they all were on the right
    most = torch.maximum(left, right).flatten(0, 1)
    block = most.topk(min(SEARCHED, len(most)), dim=0).indices.t()                   # (M, T)
    k = torch.arange(len(total)) % len(residual)
    p = (torch.arange(len(total)) // len(residual)).byte()
    samples = latents.samples[block]                                                 # (M, T, W)
    flat = samples + (k * residual.shape[1])[:, None, None]
    inside = (node.view(-1)[flat] == p[:, None, None]).float()
    before, n_before = (x.flatten(0, 1).t().gather(1, block)[..., None] for x in (before, n_before))
    fine = gain(before + (residual.view(-1)[flat] * inside).cumsum(2), n_before + inside.cumsum(2),
                total[:, None, None], n[:, None, None])
    best, place = (fine * latents.cuttable[block]).flatten(1).max(1)
    found = block.gather(1, place[:, None] // WIDTH)[:, 0]
    rank = torch.where(best > NO_GAIN, latents.sorted[found, place % WIDTH].long(), residual.shape[1])
    found = found // latents.blocks, rank.to(latents.kind), best * (best > NO_GAIN)
    return tuple(x.view(-1, len(residual)) for x in found)


def step(ranks, node, latent, cut):
    """Move every sample one level down: its node, uint8 (K, N), 0..P-1 -> 0..2P-1; the right child of p is P + p."""
    below = node.clone()
    for p in range(len(latent)):
        right = (node == p) & (ranks[latent[p]] > cut[p, :, None])
        below.add_(right.view(torch.uint8), alpha=len(latent))
    return below


def grow(latents, y, counts, residual, gains):
    """Grow one tree per row of ``residual`` (K, N + 1), level by level; add the gains of its cuts to ``gains`` (D,).

    Returns the (latent, cut) of every level, (P, K) each, and the leaf that every sample is in, uint8 (K, N).
    """
    columns = residual.t().contiguous()                                              # (N + 1, K)
    sums, splits = latents.sums(columns), []
    padded = torch.zeros(residual.shape, dtype=torch.uint8)
    padded[:, -1] = 255                                                              # belongs to no node
    node = padded[:, :-1]
    for level in range(DEPTH):
        latent, cut, reduction = best_cuts(latents, y, sums, counts, residual, padded)
        gains.index_add_(0, latent.flatten(), reduction.flatten().double())
        splits.append((latent, cut))
        node.copy_(step(latents.ranks, node, latent, cut))
        if level < DEPTH - 1:             # sum the left side; the right side is the difference
            inside = torch.stack([(padded == p).t() for p in range(2 ** level)], dim=1).float()          # (N + 1, P, K)
            left, n_left = latents.sums(torch.cat([inside * columns[:, None], inside], 1).flatten(1)).chunk(2, dim=2)
            sums, counts = torch.cat([left, sums - left], dim=2), torch.cat([n_left, counts - n_left], dim=2)
    return splits, node.contiguous()


class BoostedTrees:
    """A classifier of one factor. After ``fit``: ``importances`` (D,), summing to 1, or all 0 if no cut helps."""

    def fit(self, codes: np.ndarray, labels: np.ndarray) -> "BoostedTrees":
        """Grow the trees for codes (N, D) and labels (N,) of one factor."""
        self.classes, y = np.unique(labels, return_inverse=True)
        self.latents = latents = SortedCodes(codes)
        y = torch.from_numpy(y)
        target, gains = torch.nn.functional.one_hot(y).t().float(), torch.zeros(codes.shape[1]).double()
        residual, ones = torch.zeros(len(target), len(y) + 1), torch.ones(len(y) + 1, 1)
        ones[-1] = 0
        counts = latents.sums(ones).expand(-1, -1, len(self.classes))
        self.prior = target.mean(1, keepdim=True).log()                              # (K, 1)
        scores, self.rounds = self.prior.expand_as(target), []
        for _ in range(ROUNDS):
            p = scores.softmax(0)
            residual[:, :-1] = target - p
            splits, node = grow(latents, y, counts, residual, gains)
            if not gains.any():           # no cut helps, nor will one in later rounds
                break
            node, zero = node.long(), torch.zeros(len(p), 2 ** DEPTH)
            slope, curvature = (zero.scatter_add(1, node, of) for of in (residual[:, :-1], p * (1 - p)))
            leaves = torch.where(curvature > 1e-30, RATE * (1 - 1 / len(p)) * slope / curvature, 0)
            scores = scores + leaves.gather(1, node)
            self.rounds.append((splits, leaves))
        self.importances = (gains / gains.sum().clamp_min(1e-300)).numpy()
        return self

    def predict(self, codes: np.ndarray) -> np.ndarray:
        """The most probable label of each sample: codes (N, D) -> (N,)."""
        ranks, scores = self.latents.rank(codes), self.prior.expand(-1, len(codes))
        for splits, leaves in self.rounds:
            node = torch.zeros(scores.shape, dtype=torch.uint8)
            for latent, cut in splits:
                node = step(ranks, node, latent, cut)
            scores = scores + leaves.gather(1, node.long())
        return self.classes[scores.argmax(0).numpy()]
