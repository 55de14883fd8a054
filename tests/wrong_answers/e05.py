"""Mistakes planted in the exercises of notebook 05: what is wrong, words of the message, the code."""

GAP = '''
def gap(codes, factors, bins=20):
    binned, gaps = metrics.discretize(codes, bins) - 1, []
    for v in factors.T:
        n, information = v.max() + 1, []
        h_v = metrics.entropy(np.bincount(v))
        for z in binned.T:
            JOINT
            h_z, h_zv = metrics.entropy(joint.sum(1)), metrics.entropy(joint)
            information.append(h_z + h_v - h_zv)
        second, first = sorted(information)[-2:]
        gaps.append(GAPPED)
    return np.mean(gaps)
'''
RIGHT = "joint = np.bincount(z * n + v, minlength=bins * n).reshape(bins, n)"


def gap(joint=RIGHT, gapped="(first - second) / h_v"):
    return GAP.replace("JOINT", joint).replace("GAPPED", gapped)


WRONG = {
    "check_gap": [
        ("the table's axes scrambled", "axes are scrambled", gap(
            joint="joint = np.bincount(z * n + v, minlength=bins * n).reshape(n, bins).T")),
        ("the other way to scramble them", "axes are scrambled", gap(
            joint="joint = np.bincount(v * bins + z, minlength=bins * n).reshape(bins, n)")),
        ("no gap, only the best", "subtract the second best", gap(gapped="first / h_v")),
        ("in nats, not divided", "divide it by H(v)", gap(gapped="first - second")),
        ("divided by the largest entropy possible", "as it was drawn", gap(gapped="(first - second) / np.log(n)")),
        ("divided by the information found", "nor by the information found", gap(gapped="(first - second) / first")),
        ("one number a factor", "one number is wanted", gap().replace("np.mean(gaps)", "np.array(gaps)")),
    ],
    "check_vote": [
        ("bare variances", "a narrow latent wins them all", '''
def vote(codes, variance):
    ratio = np.where(np.sqrt(variance) < 0.05, np.inf, codes.var(0, ddof=1))
    return ratio.argmin()
'''),
        ("the dead vote too", "the dead latent got the vote", '''
def vote(codes, variance):
    return (codes.var(0, ddof=1) / variance * (variance > 0) * [1, 1, 1e-9]).argmin()
'''),
        ("dead by variance, not by deviation", "the dead latent got the vote", '''
def vote(codes, variance):
    return codes.var(0, ddof=1).argmin()
'''),
        ("the one that moves most", "varies most", '''
def vote(codes, variance):
    return np.where(np.sqrt(variance) < 0.05, -np.inf, codes.var(0, ddof=1) / variance).argmax()
'''),
        ("ratios instead of a vote", "the index of one latent", '''
def vote(codes, variance):
    return codes.var(0, ddof=1) / variance
'''),
    ],
    "check_disentanglement": [
        ("over columns: that is completeness", "you took columns", '''
def disentanglement(importance):
    p = importance / importance.sum(0)
    purity = 1 + (p * np.log(p + 1e-12)).sum(0) / np.log(len(importance))
    return float((purity * importance.sum(0) / importance.sum()).sum())
'''),
        ("natural logarithm", "log to the base K", '''
def disentanglement(importance):
    total = importance.sum(1)
    p = importance / np.maximum(total, 1e-12)[:, None]
    return float(((1 + (p * np.log(p + 1e-12)).sum(1)) * total / total.sum()).sum())
'''),
        ("base D, latents", "log to the base K", '''
def disentanglement(importance):
    total = importance.sum(1)
    p = importance / np.maximum(total, 1e-12)[:, None]
    purity = 1 + (p * np.log(p + 1e-12)).sum(1) / np.log(len(importance))
    return float((purity * total / total.sum()).sum())
'''),
        ("every latent counts the same", "weight each latent", '''
def disentanglement(importance):
    p = importance / np.maximum(importance.sum(1), 1e-12)[:, None]
    return float((1 + (p * np.log(p + 1e-12)).sum(1) / np.log(importance.shape[1])).mean())
'''),
        ("a latent without importance", "gives NaN", '''
def disentanglement(importance):
    total = importance.sum(1)
    with np.errstate(invalid="ignore"):
        p = importance / total[:, None]
    purity = 1 + (p * np.log(p + 1e-12)).sum(1) / np.log(importance.shape[1])
    return float((purity * total / total.sum()).sum())
'''),
    ],
    "check_rotated": [
        ("the decoder forgotten", "the pictures have changed", '''
def rotated(model, rotation):
    import copy
    model = copy.deepcopy(model)
    with torch.no_grad():
        model.encoder.fc_mu.weight.copy_(rotation @ model.encoder.fc_mu.weight)
        model.encoder.fc_mu.bias.copy_(rotation @ model.encoder.fc_mu.bias)
    return model
'''),
        ("the decoder turned the same way again", "the pictures have changed", '''
def rotated(model, rotation):
    import copy
    model = copy.deepcopy(model)
    with torch.no_grad():
        model.encoder.fc_mu.weight.copy_(rotation @ model.encoder.fc_mu.weight)
        model.encoder.fc_mu.bias.copy_(rotation @ model.encoder.fc_mu.bias)
        first = model.decoder.decoder_input[0]
        first.weight.copy_(first.weight @ rotation)
    return model
'''),
        ("the bias forgotten", "bias of fc_mu", '''
def rotated(model, rotation):
    import copy
    model = copy.deepcopy(model)
    with torch.no_grad():
        model.encoder.fc_mu.weight.copy_(rotation @ model.encoder.fc_mu.weight)
        first = model.decoder.decoder_input[0]
        first.weight.copy_(first.weight @ rotation.T)
    return model
'''),
        ("turned backwards", "turned backwards", '''
def rotated(model, rotation):
    import copy
    model = copy.deepcopy(model)
    with torch.no_grad():
        model.encoder.fc_mu.weight.copy_(rotation.T @ model.encoder.fc_mu.weight)
        model.encoder.fc_mu.bias.copy_(rotation.T @ model.encoder.fc_mu.bias)
        first = model.decoder.decoder_input[0]
        first.weight.copy_(first.weight @ rotation)
    return model
'''),
        ("in place", "work on a copy.deepcopy", '''
def rotated(model, rotation):
    with torch.no_grad():
        model.encoder.fc_mu.weight.copy_(rotation @ model.encoder.fc_mu.weight)
        model.encoder.fc_mu.bias.copy_(rotation @ model.encoder.fc_mu.bias)
        first = model.decoder.decoder_input[0]
        first.weight.copy_(first.weight @ rotation.T)
    return model
'''),
    ],
}
