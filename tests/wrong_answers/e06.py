"""Natural mistakes in notebook 06: what is wrong, words of the message (None: numbers are shown), code."""

GAP = '''binned, gaps = metrics.discretize(codes, bins) - 1, []
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


ROTATE = '''import copy
model = {model}
with torch.no_grad():
    last, first = model.encoder.fc_mu, model.decoder.decoder_input[0]
    {weight}
    {bias}
    {back}
return model'''


def rotate(model="copy.deepcopy(model)", weight="last.weight.copy_(rotation @ last.weight)",
           bias="last.bias.copy_(rotation @ last.bias)", back="first.weight.copy_(first.weight @ rotation.T)"):
    return ROTATE.format(model=model, weight=weight, bias=bias, back=back)


SHARE = "share = codes.var(0, ddof=1) / np.maximum(variance, 1e-12)\n"
PURE = ("total = importance.sum(1)\np = importance / np.maximum(total, 1e-12)[:, None]\n"
        "purity = 1 + (p * np.log(p + 1e-12)).sum(1) / {log}\nreturn {result}")


def pure(log="np.log(importance.shape[1])", result="float((purity * total / total.sum()).sum())"):
    return PURE.format(log=log, result=result)


WRONG = {
    "check_gap": ("codes, factors, bins=20", [
        ("the table's axes scrambled", "scrambled", gap(
            joint="joint = np.bincount(z * n + v, minlength=bins * n).reshape(n, bins).T")),
        ("the .T missing alone", None, gap(joint="joint = np.bincount(z * n + v, minlength=bins * n).reshape(n, "
         "bins)")),
        ("the other way to scramble them", None, gap(
            joint="joint = np.bincount(v * bins + z, minlength=bins * n).reshape(bins, n)")),
        ("the transposed table, whose first sum is the factor's", None, gap(
            joint="joint = np.bincount(z * n + v, minlength=bins * n).reshape(bins, n).T")),
        ("no gap, only the best", "second best", gap(gapped="first / h_v")),
        ("in nats, not divided", "in nats", gap(gapped="first - second")),
        ("divided by the largest entropy possible", "largest entropy", gap(gapped="(first - second) / np.log(n)")),
        ("divided by the information found", "information of the best", gap(gapped="(first - second) / first")),
        ("the sum over factors", "sum over the factors", gap().replace("np.mean(gaps)", "np.sum(gaps)")),
        ("one number for each factor", "one gap for each factor", gap().replace("np.mean(gaps)", "np.array(gaps)")),
        ("largest minus smallest", None, gap().replace("second, first = sorted(information)[-2:]",
                                                       "second, first = min(information), max(information)")),
        ("always 20 bins", None, "bins = 20\n" + gap()),
        ("the median", None, gap().replace("np.mean", "np.median")),
        ("bins by their number", None, gap().replace("metrics.discretize(codes, bins) - 1",
         "metrics.discretize(codes, bins) // 2")),
        ("the two smallest", None, gap().replace("[-2:]", "[:2]")),
        ("only the first factor", None, gap().replace("factors.T", "factors.T[:1]")),
        ("h_z twice", None, gap().replace("h_z + h_v - h_zv", "2 * h_z - h_zv")),
    ]),
    "check_vote": ("codes, variance", [
        ("the range instead of the variance", None, "ok = np.flatnonzero(variance >= 0.0025)\n"
         "return int(ok[(np.ptp(codes[:, ok], axis=0) ** 2 / variance[ok]).argmin()])"),
        ("another threshold", "yours is", "ok = np.flatnonzero(np.sqrt(variance) >= 0.5)\n"
         "return int(ok[(codes[:, ok].var(0) / variance[ok]).argmin()])"),
        ("bare variances", "bare variances", "return np.where(np.sqrt(variance) < 0.05, np.inf, codes.var(0, "
         "ddof=1)).argmin()"),
        ("collapsed ones vote too", "collapsed latents", SHARE + "return share.argmin()"),
        ("collapsed by variance 0 only", "collapsed latents",
         SHARE + "return np.where(variance > 0, share, np.inf).argmin()"),
        ("the one that moves most", "varies most", SHARE + "return np.where(np.sqrt(variance) < 0.05, -np.inf, "
         "share).argmax()"),
        ("ratios instead of a vote", None, SHARE + "return share"),
        ("the square missing", "square root", SHARE + "return np.where(variance >= 0.05, share, np.inf).argmin()"),
        ("the codes' deviation, not the global one", "stand still",
         SHARE + "return np.where(codes.std(0) >= 0.05, share, np.inf).argmin()"),
        ("an index among the living", "counts only",
         "alive = np.sqrt(variance) >= 0.05\nreturn (codes.var(0)[alive] / variance[alive]).argmin()"),
        ("divided by the deviation", None,
         "share = codes.var(0, ddof=1) / np.sqrt(np.maximum(variance, 1e-12))\n"
         "return np.where(np.sqrt(variance) >= 0.05, share, np.inf).argmin()"),
        ("the inverse ratio", None, "share = variance / codes.var(0, ddof=1)\n"
         "return np.where(np.sqrt(variance) >= 0.05, share, np.inf).argmin()"),
        ("over latents instead of images", None, "return codes.var(1).argmin()"),
        ("the mean square", None, "share = (codes ** 2).mean(0) / np.maximum(variance, 1e-12)\n"
         "return np.where(np.sqrt(variance) >= 0.05, share, np.inf).argmin()"),
        ("the smallest global variance", None, "return np.where(np.sqrt(variance) >= 0.05, variance, "
         "np.inf).argmin()"),
        ("the smallest share itself", None, SHARE + "return np.where(np.sqrt(variance) >= 0.05, share, "
         "np.inf).min()"),
        ("dead have a share of 0", None, SHARE + "return np.where(np.sqrt(variance) >= 0.05, share, 0).argmin()"),
        ("the variance written into", "in place", "variance[np.sqrt(variance) < 0.05] = 1e-12\n"
         "return np.where(variance > 1e-12, codes.var(0) / variance, np.inf).argmin()"),
        ("always the first", None, "return 0"),
    ]),
    "check_disentanglement": ("importance", [
        ("over columns: that is completeness", "columns",
         "p = importance / np.maximum(importance.sum(0), 1e-12)\n"
         "purity = 1 + (p * np.log(p + 1e-12)).sum(0) / np.log(len(importance))\n"
         "return float((purity * importance.sum(0) / importance.sum()).sum())"),
        ("natural logarithm", "natural", pure(log="1")),
        ("base 2", "base 2", pure(log="np.log(2)")),
        ("base D, latents", "base D", pure(log="np.log(len(importance))")),
        ("every latent counts the same", "every latent", pure(result="float(purity.mean())")),
        ("every living latent counts the same", "share", pure(result="float(purity[total > 0].mean())")),
        ("weights that do not add up", "add up to 1", pure(result="float((purity * total).sum())")),
        ("a latent without importance", "nan comes from",
         "total = importance.sum(1)\np = importance / total[:, None]\n"
         "purity = 1 + (p * np.log(p + 1e-12)).sum(1) / np.log(importance.shape[1])\n"
         "return float((purity * total / total.sum()).sum())"),
        ("zeros in the logarithm", "nan comes from",
         "total = importance.sum(1)\np = importance / np.maximum(total, 1e-12)[:, None]\n"
         "purity = 1 + (p * np.log(p)).sum(1) / np.log(importance.shape[1])\n"
         "return float((purity * total / total.sum()).sum())"),
        ("Gini", None, "total = importance.sum(1)\np = importance / np.maximum(total, 1e-12)[:, None]\n"
         "return float(((p ** 2).sum(1) * total / total.sum()).sum())"),
        ("the largest minus the second", None,
         "total = importance.sum(1)\np = np.sort(importance / np.maximum(total, 1e-12)[:, None], axis=1)\n"
         "return float(((p[:, -1] - p[:, -2]) * total / total.sum()).sum())"),
        ("more than a half", None, "total = importance.sum(1)\np = importance / np.maximum(total, 1e-12)[:, None]\n"
         "return float(((p.max(1) > 0.5) * total / total.sum()).sum())"),
        ("the entropy itself", None, pure(result="float(((1 - purity) * total / total.sum()).sum())")),
        ("the sign of the entropy", None, pure(result="float(((2 - purity) * total / total.sum()).sum())")),
        ("one number for each latent", None, pure(result="purity")),
        ("p over all importance", None, "p = importance / importance.sum()\n"
         "return float(1 + (p * np.log(p + 1e-12)).sum() / np.log(importance.shape[1]))"),
        ("something too large in the logarithm", None, pure().replace("1e-12)).sum(1)", "0.01)).sum(1)")),
        ("weighted by the largest", None, pure(result="float((purity * importance.max(1) / "
         "importance.max(1).sum()).sum())")),
        ("rows normalised in place", "in place", "importance /= np.maximum(importance.sum(1), 1e-12)[:, None]\n"
         "return float(1 + (importance * np.log(importance + 1e-12)).sum() / np.log(importance.shape[1]))"),
    ]),
    "check_rotated": ("model, rotation", [
        ("the decoder forgotten", "pictures have changed", rotate(back="pass")),
        ("the decoder turned the same way again", "pictures have changed", rotate(back=
         "first.weight.copy_(first.weight @ rotation)")),
        ("the bias forgotten", "bias", rotate(bias="pass")),
        ("turned backwards", "backwards", rotate("copy.deepcopy(model)", "last.weight.copy_(rotation.T @ "
         "last.weight)",
                                                 "last.bias.copy_(rotation.T @ last.bias)",
                                                 "first.weight.copy_(first.weight @ rotation)")),
        ("in place", "changes the model", rotate(model="model")),
        ("a shallow copy", "changes the model", rotate(model="copy.copy(model)")),
        ("only the decoder", None, rotate(weight="pass", bias="pass")),
        ("nothing but a copy", "as they were", rotate(weight="pass", bias="pass", back="pass")),
        ("the model itself, untouched", None, "return model"),
        ("the log variances turned too", "log variances", rotate(
            bias="last.bias.copy_(rotation @ last.bias); v = model.encoder.fc_var; v.weight.copy_(rotation @ "
                 "v.weight); "
                 "v.bias.copy_(rotation @ v.bias)")),
        ("the bias of the decoder too", None, rotate(
            back="first.weight.copy_(first.weight @ rotation.T); first.bias.copy_(first.bias + 0.1)")),
        ("the bias turned backwards", None, rotate(bias="last.bias.copy_(rotation.T @ last.bias)")),
        ("without no_grad", "stops with", rotate().replace("with torch.no_grad():", "if True:")),
        ("codes instead of a model", "return the rotated model", "return rotation @ model.encoder.fc_mu.weight"),
        ("nothing returned", "returned nothing", rotate().replace("return model", "pass")),
        ("negated", None, rotate(weight="last.weight.neg_()", bias="last.bias.neg_()", back="first.weight.neg_()")),
        ("rows permuted", None, rotate(weight="last.weight.copy_(last.weight.flip(0))", bias=
         "last.bias.copy_(last.bias.flip(0))",
                                       back="first.weight.copy_(first.weight.flip(1))")),
        ("turned twice", None, rotate(weight="last.weight.copy_(rotation @ rotation @ last.weight)",
                                      bias="last.bias.copy_(rotation @ rotation @ last.bias)",
                                      back="first.weight.copy_(first.weight @ rotation.T @ rotation.T)")),
    ]),
}
