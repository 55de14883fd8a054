"""Planted mistakes for the exercises of notebook 01: (what is wrong, words of the message, code)."""

WRONG = {
    "check_position": [
        ("first factor moves fastest", "posY moves fastest", '''
def position(factors, sizes):
    index = torch.zeros(len(factors), dtype=torch.long)
    for column, size in zip(factors.flip(1).T, sizes[::-1]):
        index = index * size + column
    return index
'''),
        ("the sizes of sprites written into the code", "use the sizes you are given", '''
def position(factors, sizes):
    index = torch.zeros(len(factors), dtype=torch.long)
    for column, size in zip(factors.T, (3, 6, 40, 32, 32)):
        index = index * size + column
    return index
'''),
        ("computed in float32", "positions are whole numbers", '''
def position(factors, sizes):
    index = torch.zeros(len(factors))
    for column, size in zip(factors.T, sizes):
        index = index * size + column
    return index
'''),
    ],
    "check_diamond": [
        ("no absolute values: a half-plane", "the diamond is the same to the left and above", '''
def in_diamond(u, v, s):
    return (u / (12 * s) + v / (8 * s) <= 1) & (u >= 0) & (v >= 0)
'''),
        ("an ellipse", "a diamond's sides are straight", '''
def in_diamond(u, v, s):
    return (u / (12 * s)) ** 2 + (v / (8.5 * s)) ** 2 <= 1.07
'''),
        ("the two half-axes exchanged", "it reaches 12 to the right", '''
def in_diamond(u, v, s):
    return u.abs() / (8 * s) + v.abs() / (12 * s) <= 1
'''),
        ("the scale forgotten", "half as large", '''
def in_diamond(u, v, s):
    return u.abs() / 12 + v.abs() / 8 <= 1
'''),
    ],
    "check_to_channels_first": [
        ("reshape instead of permute", "reshape only cuts", '''
def to_channels_first(pictures):
    n, h, w, c = pictures.shape
    return pictures.reshape(n, c, h, w)
'''),
        ("width and height exchanged, then forced into shape", "are height and width exchanged", '''
def to_channels_first(pictures):
    n, h, w, c = pictures.shape
    return pictures.transpose(1, 3).reshape(n, c, h, w)
'''),
        ("transposed picture", "(N, C, H, W) = (2, 3, 5, 7) is wanted", '''
def to_channels_first(pictures):
    return pictures.transpose(1, 3)
'''),
    ],
    "check_split": [
        ("two shufflings", "the model was shown them", '''
def split_without_leak(n, val_fraction, seed):
    generator = torch.Generator().manual_seed(seed)
    held_out = round(n * val_fraction)
    train = torch.randperm(n, generator=generator)[held_out:]
    return train, torch.randperm(n, generator=generator)[:held_out]
'''),
        ("no shuffling", "you cut without shuffling", '''
def split_without_leak(n, val_fraction, seed):
    held_out = round(n * val_fraction)
    order = torch.arange(n)
    return order[held_out:], order[:held_out]
'''),
        ("the seed ignored", "another seed must give another split", '''
def split_without_leak(n, val_fraction, seed):
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    held_out = round(n * val_fraction)
    return order[held_out:], order[:held_out]
'''),
        ("the global generator", "the same seed must give the same split", '''
def split_without_leak(n, val_fraction, seed):
    order = torch.randperm(n)
    held_out = round(n * val_fraction)
    return order[held_out:], order[:held_out]
'''),
    ],
}
