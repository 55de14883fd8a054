"""Right answers to the exercises of notebook 01, in other styles than the solution's."""

RIGHT = {
    "check_position": ("factors, sizes", [
        "return torch.from_numpy(np.ravel_multi_index(tuple(factors.numpy().T), tuple(sizes)))",
        "return np.ravel_multi_index(tuple(factors.numpy().T), tuple(sizes))",
        "strides = [math.prod(sizes[k + 1:]) for k in range(len(sizes))]\n"
        "return (factors * torch.tensor(strides)).sum(1)",
        "strides = [math.prod(sizes[k + 1:]) for k in range(len(sizes))]\n"
        "return factors @ torch.tensor(strides)",
        "strides = torch.tensor([math.prod(sizes[k + 1:]) for k in range(len(sizes))])\n"
        "return torch.einsum('nk,k->n', factors, strides)",
        "out = []\nfor row in factors.tolist():\n    p = 0\n    for f, s in zip(row, sizes):\n        p = p * s + f\n"
        "    out.append(p)\nreturn torch.tensor(out)",
        "out = []\nfor row in factors.tolist():\n    p = 0\n    for f, s in zip(row, sizes):\n        p = p * s + f\n"
        "    out.append(p)\nreturn out",
        "strides = torch.tensor((*sizes[1:], 1)).flip(0).cumprod(0).flip(0)\nreturn (factors * strides).sum(dim=1)",
        "p, step = factors[:, -1].clone(), 1\nfor k in range(len(sizes) - 2, -1, -1):\n"
        "    step = step * sizes[k + 1]\n"
        "    p += factors[:, k] * step\nreturn p",
        "strides = torch.tensor([math.prod(sizes[k + 1:]) for k in range(len(sizes))]).double()\n"
        "return (factors.double() @ strides).round().long()",
    ]),
    "check_diamond": ("u, v, s", [
        "return abs(u) / 12 + abs(v) / 8 <= s",
        "return 8 * u.abs() + 12 * v.abs() <= 96 * s",
        "return (2 * u.abs() + 3 * v.abs()) < 24 * s",
        "return torch.from_numpy(np.abs(u.numpy()) / (12 * s) + np.abs(v.numpy()) / (8 * s) <= 1)",
        "return np.abs(u.numpy()) / (12 * s) + np.abs(v.numpy()) / (8 * s) <= 1",
        "a, b = u / (12 * s), v / (8 * s)\nreturn (a + b <= 1) & (a - b <= 1) & (b - a <= 1) & (-a - b <= 1)",
        "a, b = u.double() / (12 * s), v.double() / (8 * s)\nreturn torch.maximum((a + b).abs(), (a - b).abs()) <= 1",
        "return v.abs() <= 8 * s * (1 - u.abs() / (12 * s))",
        "flat = [abs(a) / (12 * s) + abs(b) / (8 * s) <= 1 for a, b in zip(u.flatten().tolist(), "
        "v.flatten().tolist())]\n"
        "return torch.tensor(flat).reshape(u.shape)",
        "out = torch.zeros_like(u, dtype=torch.bool)\nout[u.abs() / (12 * s) + v.abs() / (8 * s) <= 1] = True\n"
        "return out",
    ]),
    "check_to_channels_first": ("pictures", [
        "return torch.movedim(pictures, -1, 1)",
        "return torch.einsum('nhwc->nchw', pictures)",
        "return pictures.transpose(2, 3).transpose(1, 2)",
        "return torch.stack(pictures.unbind(-1), dim=1)",
        "return torch.stack([p.permute(2, 0, 1) for p in pictures])",
        "return torch.from_numpy(pictures.numpy().transpose(0, 3, 1, 2).copy())",
        "return np.moveaxis(pictures.numpy(), 3, 1)",
        "return pictures.permute(0, 3, 1, 2).contiguous()",
        "n, h, w, c = pictures.shape\nout = torch.empty(n, c, h, w, dtype=pictures.dtype)\nfor k in range(c):\n"
        "    out[:, k] = pictures[..., k]\nreturn out",
        "return pictures.swapaxes(1, 3).swapaxes(2, 3)",
    ]),
    "check_split": ("n, val_fraction, seed", [
        "order = np.random.default_rng(seed).permutation(n)\nk = round(n * val_fraction)\n"
        "return torch.from_numpy(order[k:]), torch.from_numpy(order[:k])",
        "order = np.random.default_rng(seed).permutation(n)\nk = round(n * val_fraction)\nreturn order[k:], order[:k]",
        "import random\norder = list(range(n))\nrandom.Random(seed).shuffle(order)\nk = round(n * val_fraction)\n"
        "return torch.tensor(order[k:]), torch.tensor(order[:k])",
        "import random\norder = list(range(n))\nrandom.Random(seed).shuffle(order)\nk = round(n * val_fraction)\n"
        "return order[k:], order[:k]",
        "torch.manual_seed(seed)\norder = torch.randperm(n)\nk = round(n * val_fraction)\n"
        "return order[:-k], order[-k:]",
        "order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))\n"
        "k = round(n * (1 - val_fraction))\n"
        "return order[:k], order[k:]",
        "order = torch.rand(n, generator=torch.Generator().manual_seed(seed)).argsort()\n"
        "k = int(round(n * val_fraction))\n"
        "return tuple(order.split([n - k, k]))",
        "held = np.random.RandomState(seed).choice(n, round(n * val_fraction), replace=False)\n"
        "train = np.setdiff1d(np.arange(n), held)\nreturn torch.from_numpy(train), torch.from_numpy(held)",
        "from sklearn.model_selection import train_test_split\n"
        "train, val = train_test_split(range(n), test_size=round(n * val_fraction), random_state=seed)\n"
        "return torch.tensor(train), torch.tensor(val)",
        "g = torch.Generator().manual_seed(seed)\na, b = torch.utils.data.random_split(range(n), "
        "[n - round(n * val_fraction), round(n * val_fraction)], generator=g)\n"
        "return torch.tensor(list(a.indices)), torch.tensor(list(b.indices))",
    ]),
}
