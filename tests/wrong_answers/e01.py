"""Natural mistakes in notebook 01: what is wrong, words of the message (None: numbers are shown), code."""

STRIDES = "strides = [math.prod(sizes[k + 1:]) for k in range(len(sizes))]\n"
CUT = "k = round(n * val_fraction)\n"
RANDPERM = "order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))\n"

WRONG = {
    "check_position": ("factors, sizes", [
        ("32 bits", None,
         "place = torch.zeros(len(factors), dtype=torch.int32)\nfor k, size in enumerate(sizes):\n"
         "    place = place * size + factors[:, k].int()\nreturn place"),
        ("first factor moves fastest", "first factor moves fastest",
         "index = torch.zeros(len(factors), dtype=torch.long)\n"
         "for column, size in zip(factors.flip(1).T, sizes[::-1]):\n"
         "    index = index * size + column\nreturn index"),
        ("the sizes of sprites written into the code", None,
         "index = torch.zeros(len(factors), dtype=torch.long)\n"
         "for column, size in zip(factors.T, (3, 6, 40, 32, 32)):\n"
         "    index = index * size + column\nreturn index"),
        ("computed in float32", "float32 has no whole numbers past",
         "index = torch.zeros(len(factors))\nfor column, size in zip(factors.T, sizes):\n"
         "    index = index * size + column\n"
         "return index"),
        ("float32 made whole at the end", "float32",
         "index = torch.zeros(len(factors))\nfor column, size in zip(factors.T, sizes):\n"
         "    index = index * size + column\n"
         "return index.long()"),
        ("float32 strides", None, STRIDES + "return (factors.float() @ torch.tensor(strides).float()).long()"),
        ("counted from 1", "count from 1", STRIDES + "return (factors * torch.tensor(strides)).sum(1) + 1"),
        ("the product of all sizes before, not behind", None,
         "strides = [math.prod(sizes[:k]) for k in range(len(sizes))]\n"
         "return (factors * torch.tensor(strides)).sum(1)"),
        ("each stride one size too far", None,
         "strides = [math.prod(sizes[k:]) for k in range(len(sizes))]\n"
         "return (factors * torch.tensor(strides)).sum(1)"),
        ("added before multiplied", None,
         "index = torch.zeros(len(factors), dtype=torch.long)\nfor column, size in zip(factors.T, sizes):\n"
         "    index = (index + column) * size\nreturn index"),
        ("the largest class instead of the size", None,
         "index = torch.zeros(len(factors), dtype=torch.long)\nfor column in factors.T:\n"
         "    index = index * (column.max() + 1) + column\nreturn index"),
        ("the argument written into", "in place", STRIDES + "factors *= torch.tensor(strides)\n"
         "return factors.sum(1)"),
        ("the first row only", "shape", STRIDES + "return (factors[0] * torch.tensor(strides)).sum()"),
        ("the sum over all images", "no axis", STRIDES + "return (factors * torch.tensor(strides)).sum()"),
        ("no return", "returned nothing", STRIDES + "(factors * torch.tensor(strides)).sum(1)"),
    ]),
    "check_diamond": ("u, v, s", [
        ("no absolute values", "one of the four sides", "return u / (12 * s) + v / (8 * s) <= 1"),
        ("the first quarter", "quarter", "return (u / (12 * s) + v / (8 * s) <= 1) & (u >= 0) & (v >= 0)"),
        ("an ellipse", "ellipse", "return (u / (12 * s)) ** 2 + (v / (8 * s)) ** 2 <= 1"),
        ("the reaches exchanged", "exchanged", "return u.abs() / (8 * s) + v.abs() / (12 * s) <= 1"),
        ("the scale forgotten", "s is missing", "return u.abs() / 12 + v.abs() / 8 <= 1"),
        ("the rectangle", "rectangle", "return (u.abs() <= 12 * s) & (v.abs() <= 8 * s)"),
        ("half as large", "half as wide", "return u.abs() / (6 * s) + v.abs() / (4 * s) <= 1"),
        ("a square on its corner", None, "return u.abs() + v.abs() <= 12 * s"),
        ("one absolute value", None, "return u.abs() / (12 * s) + v / (8 * s) <= 1"),
        ("scale applied to one axis", None, "return u.abs() / (12 * s) + v.abs() / 8 <= 1"),
        ("numbers instead of bools", "bool", "return (u.abs() / (12 * s) + v.abs() / (8 * s) <= 1).float()"),
        ("the distance", "bool", "return u.abs() / (12 * s) + v.abs() / (8 * s)"),
        ("the outside", "exchanged", "return u.abs() / (12 * s) + v.abs() / (8 * s) > 1"),
        ("s multiplies instead", None, "return s * u.abs() / 12 + s * v.abs() / 8 <= 1"),
        ("one answer for all pixels", "no axis", "return (u.abs() / (12 * s) + v.abs() / (8 * s) <= 1).all()"),
        ("abs in place", "in place", "return u.abs_() / (12 * s) + v.abs_() / (8 * s) <= 1"),
    ]),
    "check_to_channels_first": ("pictures", [
        ("reshape instead of permute", "only cut the row",
         "n, h, w, c = pictures.shape\nreturn pictures.reshape(n, c, h, w)"),
        ("view", "only cut the row", "n, h, w, c = pictures.shape\nreturn pictures.view(n, c, h, w)"),
        ("width and height exchanged, then forced into shape", "reshape then scrambles",
         "n, h, w, c = pictures.shape\nreturn pictures.transpose(1, 3).reshape(n, c, h, w)"),
        ("transposed pictures", "height and width are exchanged", "return pictures.transpose(1, 3)"),
        ("permuted to (N, C, W, H)", "height and width", "return pictures.permute(0, 3, 2, 1)"),
        ("colours reversed", "reverse order", "return pictures.permute(0, 3, 1, 2).flip(1)"),
        ("divided by 255", "divided by 255", "return pictures.permute(0, 3, 1, 2) / 255"),
        ("floats", "uint8", "return pictures.permute(0, 3, 1, 2).float()"),
        ("three channels in the code", "shape",
         "return torch.stack([pictures[..., 0], pictures[..., 1], pictures[..., 2]][:max(1, "
         "pictures.shape[3])][:3], dim=1)"
         " if pictures.shape[3] > 2 else pictures.permute(0, 3, 1, 2)"),
        ("channels in front of the batch", "shape", "return pictures.permute(3, 0, 1, 2)"),
        ("one picture", "shape", "return pictures[0].permute(2, 0, 1)"),
        ("nothing done", "shape", "return pictures"),
        ("upside down", None, "return pictures.permute(0, 3, 1, 2).flip(2)"),
        ("rotated", "shape", "return torch.rot90(pictures.permute(0, 3, 1, 2), 1, (2, 3))"),
    ]),
    "check_split": ("n, val_fraction, seed", [
        ("float positions", "yours are floats",
         "order = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).float()\n"
         "k = round(n * val_fraction)\nreturn order[k:], order[:k]"),
        ("cut off instead of rounded", "33 and 10",
         RANDPERM + "k = int(n * val_fraction)\nreturn order[k:], order[:k]"),
        ("two shufflings", "are training images too",
         "g = torch.Generator().manual_seed(seed)\n" + CUT +
         "return torch.randperm(n, generator=g)[k:], torch.randperm(n, generator=g)[:k]"),
        ("no shuffling", "at equal distances", CUT + "order = torch.arange(n)\nreturn order[k:], order[:k]"),
        ("every fifth", "at equal distances",
         CUT + "order = torch.arange(n)\nheld = (order + seed) % (n // k) == 0\nreturn order[~held], order[held]"),
        ("shuffled after the cut", "at equal distances",
         "g = torch.Generator().manual_seed(seed)\n" + CUT +
         "return torch.randperm(n - k, generator=g), n - k + torch.randperm(k, generator=g)"),
        ("rolled by the seed", "at equal distances", CUT + "order = torch.arange(n).roll(seed)\n"
         "return order[k:], order[:k]"),
        ("the seed ignored", "seed is not used",
         "order = torch.randperm(n, generator=torch.Generator().manual_seed(0))\n" + CUT + "return order[k:], "
          "order[:k]"),
        ("the global generator", "the same seed", "order = torch.randperm(n)\n" + CUT + "return order[k:], "
         "order[:k]"),
        ("the parts exchanged", "training comes first", RANDPERM + CUT + "return order[:k], order[k:]"),
        ("sizes from the text", "positions, and", RANDPERM + "return order[200:], order[:200]"),
        ("both ends inclusive", "images too", RANDPERM + CUT + "return order[k - 1:n - 1], order[:k]"),
        ("one left out", "positions, and", RANDPERM + CUT + "return order[k + 1:], order[:k]"),
        ("positions from 1", "every position from 0", RANDPERM + CUT + "order = order + 1\n"
         "return order[k:], order[:k]"),
        ("drawn with replacement", None,
         "order = torch.randint(n, (n,), generator=torch.Generator().manual_seed(seed))\n" + CUT + "return "
          "order[k:], order[:k]"),
        ("only the training part", "two parts", RANDPERM + CUT + "return order[k:]"),
        ("masks instead of positions", "positions, and", RANDPERM + CUT + "held = torch.zeros(n)\n"
         "held[order[:k]] = 1\n"
         "return held == 0, held == 1"),
        ("validation within the training part", "images too", RANDPERM + CUT + "return order[:n - k], order[:k]"),
        ("the validation set of another seed", "images too",
         RANDPERM + CUT + "other = torch.randperm(n, generator=torch.Generator().manual_seed(seed + 1))\n"
         "return order[k:], other[:k]"),
    ]),
}
