"""Right answers to the exercises of notebook 05, in other styles than the solution's."""

RIGHT = {
    "check_top_latents": ("mu, logvar, k", [
        "kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp())\nreturn torch.topk(kl.mean(0), k).indices",
        "kl = 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar).sum(0)\nreturn kl.sort(descending=True).indices[:k]",
        "m, l = mu.numpy(), logvar.numpy()\nkl = 0.5 * (m ** 2 + np.exp(l) - 1 - l).mean(0)\n"
        "return np.argsort(-kl)[:k]",
        "m, l = mu.numpy(), logvar.numpy()\nkl = 0.5 * (m ** 2 + np.exp(l) - 1 - l).mean(0)\n"
        "return np.argsort(kl)[::-1][:k]",
        "kl = [float((mu[:, d] ** 2 + logvar[:, d].exp() - 1 - logvar[:, d]).mean()) for d in range(mu.shape[1])]\n"
        "return sorted(range(len(kl)), key=lambda d: -kl[d])[:k]",
        "kl = 0.5 * (mu.double() ** 2 + logvar.double().exp() - 1 - logvar.double())\n"
        "return kl.mean(0).argsort(descending=True)[:k]",
        "return latents.rank_latents(mu, logvar)[:k]",
        "q = torch.distributions.Normal(mu, (logvar / 2).exp())\n"
        "kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).mean(0)\n"
        "return kl.topk(k)[1]",
        "kl, out = (mu ** 2 + logvar.exp() - logvar).mean(0), []\nfor _ in range(k):\n"
        "    out.append(int(kl.argmax()))\n"
        "    kl[out[-1]] = -1e9\nreturn torch.tensor(out)",
        "kl = 0.5 * (torch.einsum('nd,nd->d', mu, mu) + (logvar.exp() - 1 - logvar).sum(0))\n"
        "return kl.argsort().flip(0)[:k]",
    ]),
    "check_traverse_all": ("decode, z, values", [
        "rows = []\nfor d in range(len(z)):\n    row = []\n    for v in values:\n        code = z.clone()\n"
        "        code[d] = v\n"
        "        row.append(decode(code[None])[0])\n    rows.append(torch.stack(row))\nreturn torch.stack(rows)",
        "rows = []\nfor d in range(len(z)):\n    row = []\n    for v in values:\n        code = z.clone()\n"
        "        code[d] = v\n"
        "        row.append(decode(code[None])[0])\n    rows.append(row)\nreturn rows",
        "D, K = len(z), len(values)\ncodes = z.expand(D, K, D).clone()\n"
        "codes[torch.arange(D), :, torch.arange(D)] = values\npictures = decode(codes.reshape(D * K, D))\n"
        "return pictures.reshape(D, K, *pictures.shape[1:])",
        "eye = torch.eye(len(z))\n"
        "return torch.stack([decode(z * (1 - eye[d]) + values[:, None] * eye[d]) for d in range(len(z))])",
        "rows = []\nfor d in range(len(z)):\n    kept, row = z[d].clone(), []\n    for v in values:\n"
        "        z[d] = v\n"
        "        row.append(decode(z[None])[0])\n    z[d] = kept\n    rows.append(torch.stack(row))\n"
        "return torch.stack(rows)",
        "out = []\nfor d in range(z.numel()):\n    codes = z.unsqueeze(0).repeat(len(values), 1)\n"
        "    codes[:, d] = values\n"
        "    out.append(decode(codes))\nreturn out",
        "rows = []\nfor d in range(len(z)):\n"
        "    codes = torch.stack([torch.cat([z[:d], v[None], z[d + 1:]]) for v in values])\n"
        "    rows.append(decode(codes))\n"
        "return torch.stack(rows)",
        "import copy\nrows = []\nfor d in range(len(z)):\n    row = []\n    for v in values.tolist():\n"
        "        code = copy.deepcopy(z)\n        code[d] = v\n"
        "        row.append(decode(code.unsqueeze(0)).squeeze(0))\n"
        "    rows.append(torch.stack(row))\nreturn torch.stack(rows)",
        "rows = []\nfor d in range(len(z)):\n    codes = torch.tile(z.double(), (len(values), 1))\n"
        "    codes[:, d] = values.double()\n    rows.append(decode(codes))\nreturn torch.stack(rows)",
    ]),
    "check_decode_in_eval": ("model, z", [
        "with latents.evaluating(model):\n    return model.decoder(z)",
        "was = model.decoder.training\nmodel.decoder.eval()\nwith torch.inference_mode():\n"
        "    out = model.decoder(z)\n"
        "model.decoder.train(was)\nreturn out",
        "import copy\nwith torch.no_grad():\n    return copy.deepcopy(model).eval().decoder(z)",
        "modes = {m: m.training for m in model.modules()}\nmodel.eval()\ntry:\n    with torch.no_grad():\n"
        "        return model.decoder(z)\nfinally:\n    for m, mode in modes.items():\n        m.training = mode",
        "was = model.training\nmodel.train(False)\nout = model.decoder(z).detach()\nmodel.train(was)\nreturn out",
        "return latents.decode(model, z)",
        "if not model.training:\n    with torch.no_grad():\n        return model.decoder(z)\nmodel.eval()\n"
        "with torch.no_grad():\n"
        "    out = model.decoder(z)\nmodel.train()\nreturn out",
        "was = model.training\nmodel.eval()\nwith torch.no_grad():\n"
        "    out = torch.cat([model.decoder(c[None]) for c in z])\n"
        "model.train(was)\nreturn out",
        "was = model.training\nmodel.eval()\nwith torch.no_grad():\n"
        "    out = torch.sigmoid(model.decoder.logits(z))\n"
        "model.train(was)\nreturn out.double()",
    ]),
    "check_to_pixels": ("images", [
        "return (images * 255).clamp(0, 255).round().to(torch.uint8)",
        "return torch.round(torch.clip(images, 0, 1) * 255).byte()",
        "return (images.clamp(0, 1) * 255 + 0.5).to(torch.uint8)",
        "return images.clamp(0, 1).mul(255).add(0.5).floor().to(torch.uint8)",
        "x = np.clip(images.numpy(), 0, 1)\nreturn torch.from_numpy(np.rint(x * 255).astype(np.uint8))",
        "x = np.clip(images.numpy(), 0, 1)\nreturn np.round(x * 255).astype(np.uint8)",
        "x = images.double() * 255\nx[x < 0], x[x > 255] = 0, 255\nreturn x.round().to(torch.uint8)",
        "return (torch.minimum(torch.maximum(images, torch.tensor(0.0)), torch.tensor(1.0)) * "
        "255).round().type(torch.uint8)",
        "return torch.where(images < 0, 0.0, torch.where(images > 1, 1.0, images)).mul(255).round().to(torch.uint8)",
        "flat = [min(255, max(0, round(255 * v))) for v in images.flatten().tolist()]\n"
        "return torch.tensor(flat, dtype=torch.uint8).reshape(images.shape)",
    ]),
    "check_slerp": ("z0, z1, t", [
        "return latents.slerp(z0, z1, t)",
        "if torch.equal(z0, z1):\n    return z0.repeat(len(t), 1)\n"
        "w = torch.acos((F.normalize(z0, dim=0) * F.normalize(z1, dim=0)).sum().clamp(-1, 1))\n"
        "return torch.stack([(torch.sin((1 - s) * w) * z0 + torch.sin(s * w) * z1) / torch.sin(w) for s in t])",
        "a, b = z0.numpy().astype(float), z1.numpy().astype(float)\n"
        "c = np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1)\nw = np.arccos(c)\n"
        "t = t.numpy()[:, None]\n"
        "if w < 1e-6:\n    return torch.from_numpy((1 - t) * a + t * b)\n"
        "return torch.from_numpy((np.sin((1 - t) * w) * a + np.sin(t * w) * b) / np.sin(w))",
        "a, b = z0.numpy().astype(float), z1.numpy().astype(float)\n"
        "c = np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1)\nw = np.arccos(c)\n"
        "if w < 1e-6:\n    return np.array([(1 - s) * a + s * b for s in t.tolist()])\n"
        "return np.array([(np.sin((1 - s) * w) * a + np.sin(s * w) * b) / np.sin(w) for s in t.tolist()])",
        "n0, n1 = z0.norm(), z1.norm()\na, b = z0 / n0, z1 / n1\nw = torch.arccos((a @ b).clamp(-1, 1))\n"
        "t = t[:, None]\n"
        "if w < 1e-4:\n    return torch.lerp(z0, z1, t)\n"
        "return ((1 - t) * n0 + t * n1) * (torch.sin((1 - t) * w) * a + torch.sin(t * w) * b) / torch.sin(w)",
        "a, b = z0 / z0.norm(), z1 / z1.norm()\nw = 2 * torch.atan2((a - b).norm(), (a + b).norm())\nt = t[:, None]\n"
        "if w == 0:\n    return z0 + 0 * t\n"
        "return (torch.sin((1 - t) * w) * z0 + torch.sin(t * w) * z1) / torch.sin(w)",
        "a = z0 / z0.norm()\nside = z1 - (z1 @ a) * a\nif side.norm() < 1e-5 * z1.norm():\n"
        "    return torch.lerp(z0, z1, t[:, None])\n"
        "b = side / side.norm()\nw = torch.atan2(z1 @ b, z1 @ a)\nlength = z0.norm() + t * (z1.norm() - z0.norm())\n"
        "return length[:, None] * (torch.cos(t * w)[:, None] * a + torch.sin(t * w)[:, None] * b)",
        "cos = F.cosine_similarity(z0, z1, dim=0).double().clamp(-1, 1)\nw = torch.arccos(cos)\n"
        "if w < 1e-3:\n    return torch.stack([(1 - s) * z0 + s * z1 for s in t])\n"
        "return torch.outer(torch.sin((1 - t) * w) / torch.sin(w), z0.double()) + "
        "torch.outer(torch.sin(t * w) / torch.sin(w), z1.double())",
        "w = torch.arccos((z0 @ z1 / (z0.norm() * z1.norm())).clamp(-1 + 1e-7, 1 - 1e-7))\nt = t[:, None]\n"
        "return (torch.sin((1 - t) * w) * z0 + torch.sin(t * w) * z1) / torch.sin(w)",
    ]),
}
