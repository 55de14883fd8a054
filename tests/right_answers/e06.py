"""Right answers to the exercises of notebook 06, in other styles than the solution's."""

RIGHT = {
    "check_gap": ("codes, factors, bins=20", [
        "return metrics.mig(codes, factors, bins)",
        "info = np.sort(metrics.mutual_information(codes, factors, bins), axis=0)\n"
        "h = np.array([metrics.entropy(np.bincount(v)) for v in factors.T])\n"
        "return ((info[-1] - info[-2]) / h).mean()",
        "binned, gaps = metrics.discretize(codes, bins) - 1, []\nfor v in factors.T:\n    n, info = v.max() + 1, []\n"
        "    for z in binned.T:\n        joint = np.zeros((bins, n))\n        np.add.at(joint, (z, v), 1)\n"
        "        info.append(metrics.entropy(joint.sum(1)) + metrics.entropy(joint.sum(0)) - "
        "metrics.entropy(joint))\n"
        "    info.sort()\n    gaps.append((info[-1] - info[-2]) / metrics.entropy(np.bincount(v)))\n"
        "return float(np.mean(gaps))",
        "from sklearn.metrics import mutual_info_score\nbinned, gaps = metrics.discretize(codes, bins), []\n"
        "for v in factors.T:\n"
        "    info = sorted((mutual_info_score(z, v) for z in binned.T), reverse=True)\n"
        "    gaps.append((info[0] - info[1]) / mutual_info_score(v, v))\nreturn sum(gaps) / len(gaps)",
        "binned, gaps = metrics.discretize(codes, bins) - 1, []\nfor v in factors.T:\n    n, info = v.max() + 1, []\n"
        "    h = metrics.entropy(np.bincount(v))\n    for z in binned.T:\n"
        "        joint = np.bincount(v * bins + z, minlength=bins * n).reshape(n, bins)\n"
        "        info.append(metrics.entropy(joint.sum(0)) + h - metrics.entropy(joint))\n"
        "    a, b = sorted(info)[-2:]\n    gaps.append((b - a) / h)\nreturn np.mean(gaps)",
        "total = 0.0\nfor v in factors.T:\n    info = []\n    for z in codes.T:\n"
        "        joint = np.histogram2d(z, v, bins=[bins, np.arange(v.max() + 2) - 0.5])[0]\n"
        "        p = joint / joint.sum()\n"
        "        outer = p.sum(1, keepdims=True) * p.sum(0, keepdims=True)\n"
        "        info.append((p[p > 0] * np.log(p[p > 0] / outer[p > 0])).sum())\n    info = np.sort(info)\n"
        "    p = np.bincount(v) / len(v)\n    total += (info[-1] - info[-2]) / -(p[p > 0] * np.log(p[p > 0])).sum()\n"
        "return total / factors.shape[1]",
        "table = torch.from_numpy(metrics.mutual_information(codes, factors, bins))\n"
        "top = table.topk(2, dim=0).values\n"
        "h = torch.tensor([metrics.entropy(np.bincount(v)) for v in factors.T])\n"
        "return ((top[0] - top[1]) / h).mean()",
        "binned, gaps = metrics.discretize(codes, bins) - 1, []\nfor v in factors.T:\n    n, info = v.max() + 1, []\n"
        "    h_v = metrics.entropy(np.bincount(v))\n    for z in binned.T:\n"
        "        joint = np.array([[np.sum((z == i) & (v == j)) for j in range(n)] for i in range(bins)])\n"
        "        info.append(metrics.entropy(joint.sum(1)) + h_v - metrics.entropy(joint))\n"
        "    second, first = sorted(info)[-2:]\n    gaps.append((first - second) / h_v)\nreturn np.mean(gaps)",
    ]),
    "check_vote": ("codes, variance", [
        "ratio = codes.var(0, ddof=1) / np.where(variance < 0.0025, np.nan, variance)\nreturn np.nanargmin(ratio)",
        "ratio = codes.var(0) / np.maximum(variance, 1e-12)\nratio[np.sqrt(variance) < 0.05] = np.inf\n"
        "return int(ratio.argmin())",
        "best, winner = math.inf, None\nfor d in range(len(variance)):\n    if math.sqrt(variance[d]) < 0.05:\n"
        "        continue\n"
        "    share = np.var(codes[:, d], ddof=1) / variance[d]\n    if share < best:\n"
        "        best, winner = share, d\nreturn winner",
        "alive = np.flatnonzero(np.sqrt(variance) >= 0.05)\n"
        "return alive[np.argmin(codes[:, alive].var(0, ddof=1) / variance[alive])]",
        "alive = [d for d in range(len(variance)) if variance[d] >= 0.05 ** 2]\n"
        "return min(alive, key=lambda d: codes[:, d].var() / variance[d])",
        "c, v = torch.from_numpy(codes), torch.from_numpy(variance)\nratio = c.var(0) / v.clamp(min=1e-12)\n"
        "ratio[v.sqrt() < 0.05] = math.inf\nreturn ratio.argmin()",
        "ratio = codes.std(0) / np.sqrt(np.maximum(variance, 1e-12))\n"
        "return np.where(variance ** 0.5 >= 0.05, ratio, 1e9).argmin()",
        "centred = codes - codes.mean(0)\nshare = np.einsum('nd,nd->d', centred, centred) / 63 / (variance + 1e-20)\n"
        "return int(np.ma.masked_array(share, np.sqrt(variance) < 0.05).argmin())",
        "normal = codes / np.sqrt(np.where(variance < 0.0025, 1e-30, variance))\nreturn normal.var(0).argmin()"
        " if (variance >= 0.0025).all() else np.where(variance < 0.0025, np.inf, normal.var(0)).argmin()",
    ]),
    "check_disentanglement": ("importance", [
        "from scipy.stats import entropy\nkept = importance[importance.sum(1) > 0]\n"
        "purity = 1 - entropy(kept.T, base=importance.shape[1])\nreturn np.average(purity, weights=kept.sum(1))",
        "D, K = importance.shape\ntotal, score = importance.sum(), 0.0\nfor row in importance:\n"
        "    if row.sum() == 0:\n"
        "        continue\n    purity = 1.0\n    for p in row / row.sum():\n        if p > 0:\n"
        "            purity += p * math.log(p, K)\n    score += purity * row.sum() / total\nreturn score",
        "total = importance.sum(1)\np = importance / np.maximum(total, 1e-6)[:, None] + 1e-6\n"
        "purity = 1 + (p * np.log(p) / np.log(importance.shape[1])).sum(1)\n"
        "return float((purity * total).sum() / total.sum())",
        "total = importance.sum(1)\np = importance / (total[:, None] + 1e-6)\n"
        "purity = 1 + (p * np.log(p + 1e-6)).sum(1) / np.log(importance.shape[1])\n"
        "return float((purity * total / total.sum()).sum())",
        "t = torch.from_numpy(importance)\np = t / t.sum(1, keepdim=True).clamp(min=1e-12)\n"
        "purity = 1 + torch.xlogy(p, p).sum(1) / math.log(t.shape[1])\n"
        "return ((purity * t.sum(1)).sum() / t.sum()).item()",
        "alive = importance.sum(1) > 0\nrows = importance[alive]\np = rows / rows.sum(1, keepdims=True)\n"
        "logs = np.log2(p, out=np.zeros_like(p), where=p > 0) / np.log2(p.shape[1])\n"
        "return np.sum((1 + (p * logs).sum(1)) * rows.sum(1) / importance.sum())",
        "q = importance / importance.sum()\nw = q.sum(1)\nlog = lambda a: np.log(np.where(a > 0, a, 1))\n"
        "entropy = (-(q * log(q)).sum(1) + w * log(w)) / np.log(q.shape[1])\nreturn (w - entropy).sum()",
        "from scipy.special import xlogy\nw = importance.sum(1) / importance.sum()\n"
        "p = importance / np.where(w > 0, importance.sum(1), 1)[:, None]\n"
        "return w @ (1 + xlogy(p, p).sum(1) / np.log(p.shape[1]))",
        "t = torch.tensor(importance, dtype=torch.float32)\np = t / (t.sum(1, keepdim=True) + 1e-9)\n"
        "purity = 1 - torch.special.entr(p).sum(1) / math.log(p.shape[1])\n"
        "return (purity * t.sum(1) / t.sum()).sum()",
    ]),
    "check_rotated": ("model, rotation", [
        "import copy\nm = copy.deepcopy(model)\n"
        "m.encoder.fc_mu.weight.data = rotation @ m.encoder.fc_mu.weight.data\n"
        "m.encoder.fc_mu.bias.data = rotation @ m.encoder.fc_mu.bias.data\nfirst = m.decoder.decoder_input[0]\n"
        "first.weight.data = first.weight.data @ rotation.T\nreturn m",
        "import copy\nm = copy.deepcopy(model)\nfc, first = m.encoder.fc_mu, m.decoder.decoder_input[0]\n"
        "fc.weight = nn.Parameter(rotation @ fc.weight.detach())\n"
        "fc.bias = nn.Parameter(rotation @ fc.bias.detach())\n"
        "first.weight = nn.Parameter(first.weight.detach() @ rotation.T)\nreturn m",
        "import copy\nm = copy.deepcopy(model)\nstate = m.state_dict()\n"
        "state['encoder.fc_mu.weight'] = rotation @ state['encoder.fc_mu.weight']\n"
        "state['encoder.fc_mu.bias'] = rotation @ state['encoder.fc_mu.bias']\n"
        "state['decoder.decoder_input.0.weight'] = state['decoder.decoder_input.0.weight'] @ rotation.T\n"
        "m.load_state_dict(state)\nreturn m",
        "import copy\nm = copy.deepcopy(model)\nwith torch.no_grad():\n    fc = m.encoder.fc_mu\n"
        "    fc.weight[:] = torch.einsum('ij,jk->ik', rotation, fc.weight)\n"
        "    fc.bias[:] = torch.mv(rotation, fc.bias)\n"
        "    first = m.decoder.decoder_input[0]\n    first.weight[:] = first.weight @ torch.linalg.inv(rotation)\n"
        "return m",
        "import copy\nm = copy.deepcopy(model)\nback = nn.Linear(len(rotation), len(rotation), bias=False)\n"
        "forth = nn.Linear(len(rotation), len(rotation), bias=False)\n"
        "forth.weight.data, back.weight.data = rotation.clone(), rotation.T.clone()\n"
        "m.encoder.fc_mu = nn.Sequential(m.encoder.fc_mu, forth)\n"
        "m.decoder.decoder_input = nn.Sequential(back, *m.decoder.decoder_input)\nreturn m",
        "m = model_module.BetaVAE(model.in_channels, model.latent_dim, model.hidden_dims, model.beta, "
        "model.img_size, model.network)\n"
        "m.load_state_dict(model.state_dict())\nwith torch.no_grad():\n"
        "    m.encoder.fc_mu.weight.copy_(rotation @ m.encoder.fc_mu.weight)\n"
        "    m.encoder.fc_mu.bias.copy_(rotation @ m.encoder.fc_mu.bias)\n    first = m.decoder.decoder_input[0]\n"
        "    first.weight.copy_((rotation @ first.weight.T).T)\nreturn m",
        "import copy\nm = copy.deepcopy(model)\nw = m.encoder.fc_mu.weight.detach().numpy()\n"
        "b = m.encoder.fc_mu.bias.detach().numpy()\nr = rotation.numpy()\nfirst = m.decoder.decoder_input[0]\n"
        "with torch.no_grad():\n    m.encoder.fc_mu.weight.copy_(torch.from_numpy(r @ w))\n"
        "    m.encoder.fc_mu.bias.copy_(torch.from_numpy(r @ b))\n"
        "    first.weight.copy_(torch.from_numpy(first.weight.numpy() @ r.T))\nreturn m",
        "import copy\nm = copy.deepcopy(model)\nR = rotation.double()\nwith torch.no_grad():\n"
        "    for p in (m.encoder.fc_mu.weight, m.encoder.fc_mu.bias):\n        p.copy_((R @ p.double()).float())\n"
        "    first = m.decoder.decoder_input[0]\n    first.weight.copy_((first.weight.double() @ R.T).float())\n"
        "return m",
    ]),
}
