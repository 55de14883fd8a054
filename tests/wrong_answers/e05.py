"""Natural mistakes in notebook 05: what is wrong, words of the message (None: numbers are shown), code."""

KL = "kl = 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar)\n"
OMEGA = "omega = torch.arccos((z0 @ z1 / (z0.norm() * z1.norm())).clamp(-1, 1))\n"
ARC = "(torch.sin((1 - t) * omega) * {a} + torch.sin(t * omega) * {b}) / torch.sin(omega)"
EQUAL = "if omega < 1e-4:\n    return (1 - t) * z0 + t * z1\n"

WRONG = {
    "check_top_latents": ("mu, logvar, k", [
        ("ascending order", "ascending", KL + "return kl.mean(0).argsort()[:k]"),
        ("the right ones backwards", "smallest KL first", KL + "return kl.mean(0).argsort()[-k:]"),
        ("by the spread of mu", "spread of mu alone", "return mu.std(0).argsort(descending=True)[:k]"),
        ("by the square of mu", "mu alone", "return mu.square().mean(0).argsort(descending=True)[:k]"),
        ("by certainty alone", "logvar alone", "return logvar.mean(0).argsort()[:k]"),
        ("by uncertainty", None, "return logvar.mean(0).argsort(descending=True)[:k]"),
        ("all latents", "k are wanted", KL + "return kl.mean(0).argsort(descending=True)"),
        ("averaged over latents", None, KL + "return kl.mean()"),
        ("averaged over latents, images ranked", None, KL + "return kl.mean(1).argsort(descending=True)[:k]"),
        ("a ranking for each image", "shape", KL + "return kl.argsort(dim=1, descending=True)[:, :k]"),
        ("the KLs themselves", "return the KLs", KL + "return kl.mean(0).sort(descending=True).values[:k]"),
        ("the averages' KL", "average mu and logvar first",
         "mu, logvar = mu.mean(0), logvar.mean(0)\n" + KL + "return kl.argsort(descending=True)[:k]"),
        ("the first image", None, KL + "return kl[0].argsort(descending=True)[:k]"),
        ("the wrong sign", "ascending", KL + "return (-kl).mean(0).argsort(descending=True)[:k]"),
        ("three in the code", None, KL + "return kl.mean(0).argsort(descending=True)[:3]"),
        ("exp forgotten", None, "kl = 0.5 * (mu ** 2 - 1 - logvar + logvar.abs())\n"
         "return kl.mean(0).argsort(descending=True)[:k]"),
        ("read off the message", None, "return [3, 1, 0]"),
        ("the argument written into", "in place", "mu.pow_(2)\nkl = mu + logvar.exp() - 1 - logvar\n"
         "return kl.mean(0).argsort(descending=True)[:k]"),
    ]),
    "check_traverse_all": ("decode, z, values", [
        ("z modified in place", "in place",
         "rows = []\nfor d in range(len(z)):\n    row = []\n    for v in values:\n        z[d] = v\n"
         "        row.append(decode(z[None])[0])\n    rows.append(torch.stack(row))\nreturn torch.stack(rows)"),
        ("copied once, outside the loops", "accumulate",
         "z, rows = z.clone(), []\nfor d in range(len(z)):\n    row = []\n    for v in values:\n        z[d] = v\n"
         "        row.append(decode(z[None])[0])\n    rows.append(torch.stack(row))\nreturn torch.stack(rows)"),
        ("put back at the start of a row, not at the end of the last", "in place",
         "start, rows = z.clone(), []\nfor d in range(len(z)):\n    z[:] = start\n    row = []\n"
         "    for v in values:\n"
         "        z[d] = v\n        row.append(decode(z[None])[0])\n    rows.append(torch.stack(row))\n"
         "return torch.stack(rows)"),
        ("starts from zero", "other latents are 0",
         "rows = []\nfor d in range(len(z)):\n    codes = torch.zeros(len(values), len(z))\n"
         "    codes[:, d] = values\n"
         "    rows.append(decode(codes))\nreturn torch.stack(rows)"),
        ("adds the values", "add the values",
         "rows = []\nfor d in range(len(z)):\n    codes = z.repeat(len(values), 1)\n    codes[:, d] += values\n"
         "    rows.append(decode(codes))\nreturn torch.stack(rows)"),
        ("rows and columns exchanged", "exchanged",
         "rows = []\nfor d in range(len(z)):\n    codes = z.repeat(len(values), 1)\n    codes[:, d] = values\n"
         "    rows.append(decode(codes))\nreturn torch.stack(rows, dim=1)"),
        ("all latents at once", None, "return torch.stack([decode(values[:, None].expand(-1, len(z)).clone()) for _ "
         "in z])"),
        ("the first latent in every row", None,
         "rows = []\nfor d in range(len(z)):\n    codes = z.repeat(len(values), 1)\n    codes[:, 0] = values\n"
         "    rows.append(decode(codes))\nreturn torch.stack(rows)"),
        ("a reference instead of a copy", "in place",
         "rows = []\nfor d in range(len(z)):\n    code, row = z, []\n    for v in values:\n        code[d] = v\n"
         "        row.append(decode(code[None])[0])\n    rows.append(torch.stack(row))\nreturn torch.stack(rows)"),
        ("expand, which shares memory", None,
         "rows = []\nfor d in range(len(z)):\n    codes = z.expand(len(values), -1)\n    codes[:, d] = values\n"
         "    rows.append(decode(codes))\nreturn torch.stack(rows)"),
        ("one long row", "shape",
         "rows = []\nfor d in range(len(z)):\n    codes = z.repeat(len(values), 1)\n    codes[:, d] = values\n"
         "    rows.append(decode(codes))\nreturn torch.cat(rows)"),
        ("the last latent left out", "shape",
         "rows = []\nfor d in range(len(z) - 1):\n    codes = z.repeat(len(values), 1)\n    codes[:, d] = values\n"
         "    rows.append(decode(codes))\nreturn torch.stack(rows)"),
        ("a code without a batch", "stops with",
         "rows = []\nfor d in range(len(z)):\n    row = []\n    for v in values:\n        code = z.clone()\n"
         "        code[d] = v\n"
         "        row.append(decode(code))\n    rows.append(torch.stack(row))\nreturn torch.stack(rows)"),
        ("values backwards", None,
         "rows = []\nfor d in range(len(z)):\n    codes = z.repeat(len(values), 1)\n"
         "    codes[:, d] = values.flip(0)\n"
         "    rows.append(decode(codes))\nreturn torch.stack(rows)"),
        ("the codes, not the pictures", "shape",
         "rows = []\nfor d in range(len(z)):\n    codes = z.repeat(len(values), 1)\n    codes[:, d] = values\n"
         "    rows.append(codes)\nreturn torch.stack(rows)"),
    ]),
    "check_decode_in_eval": ("model, z", [
        ("training mode", "changes the model", "return model.decoder(z)"),
        ("no_grad alone", "changes the model", "with torch.no_grad():\n    return model.decoder(z)"),
        ("left in eval mode", "left in eval mode", "model.eval()\nwith torch.no_grad():\n"
         "    return model.decoder(z)"),
        ("always back to training", "left in training mode",
         "model.eval()\nwith torch.no_grad():\n    images = model.decoder(z)\nmodel.train()\nreturn images"),
        ("keeps gradients", "graph", "training = model.training\nmodel.eval()\nimages = model.decoder(z)\n"
         "model.train(training)\n"
         "return images"),
        ("a copy in training mode", None, "import copy\nwith torch.no_grad():\n"
         "    return copy.deepcopy(model).train().decoder(z)"),
        ("the decoder left in eval mode", "decoder",
         "model.decoder.eval()\nwith torch.no_grad():\n    return model.decoder(z)"),
        ("the decoder put back to the wrong mode", "left in training mode",
         "model.decoder.eval()\nwith torch.no_grad():\n    images = model.decoder(z)\nmodel.decoder.train()\n"
         "return images"),
        ("gradients off for ever", "for good",
         "training = model.training\nmodel.eval()\ntorch.set_grad_enabled(False)\nimages = model.decoder(z)\n"
         "model.train(training)\nreturn images"),
        ("requires_grad_(False)", "no longer requires",
         "training = model.training\nmodel.eval()\nmodel.requires_grad_(False)\nimages = model.decoder(z)\n"
         "model.train(training)\nreturn images"),
        ("only the attribute", "changes the model",
         "training = model.training\nmodel.training = False\nwith torch.no_grad():\n    images = model.decoder(z)\n"
         "model.training = training\nreturn images"),
        ("eval for the encoder", "changes the model",
         "training = model.training\nmodel.encoder.eval()\nwith torch.no_grad():\n    images = model.decoder(z)\n"
         "model.encoder.train(training)\nreturn images"),
        ("one by one in training mode", None,
         "with torch.no_grad():\n    return torch.cat([model.decoder(c[None]) for c in z])"),
        ("weights put back, batch statistics used", None,
         "import copy\nstate = copy.deepcopy(model.state_dict())\nwith torch.no_grad():\n"
         "    images = model.decoder(z)\n"
         "model.load_state_dict(state)\nreturn images"),
        ("logits", None, "training = model.training\nmodel.eval()\nwith torch.no_grad():\n"
                         "    images = model.decoder.logits(z)\n"
         "model.train(training)\nreturn images"),
        ("the whole model eval'ed and the result dropped", "returned nothing",
         "training = model.training\nmodel.eval()\nwith torch.no_grad():\n    model.decoder(z)\n"
         "model.train(training)"),
        ("momentum 0 instead of eval", None,
         "for m in model.modules():\n    if isinstance(m, nn.BatchNorm2d):\n        m.momentum = 0.0\n"
         "with torch.no_grad():\n    return model.decoder(z)"),
    ]),
    "check_to_pixels": ("images", [
        ("stretched by minimum and maximum", "stretched",
         "images = (images - images.min()) / (images.max() - images.min())\nreturn (images * 255).to(torch.uint8)"),
        ("stretched and rounded", "stretched",
         "images = (images - images.min()) / (images.max() - images.min())\n"
         "return (images * 255).round().to(torch.uint8)"),
        ("stretched picture by picture", None,
         "low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)\n"
         "return ((images - low) / (high - low) * 255).round().to(torch.uint8)"),
        ("divided by the maximum", None, "return (images.clamp(min=0) / images.max() * 255).round().to(torch.uint8)"),
        ("no clamp", "wrap round", "return (images * 255).round().to(torch.int64).to(torch.uint8)"),
        ("clamped above only", None, "return (images.clamp(max=1) * 255).round().to(torch.int64).to(torch.uint8)"),
        ("clamped below only", None, "return (images.clamp(min=0) * 255).round().to(torch.int64).to(torch.uint8)"),
        ("cut off instead of rounded", "nearest whole number", "return (images.clamp(0, 1) * 255).to(torch.uint8)"),
        ("neither", "fractions are cut off", "return (images * 255).to(torch.int64).to(torch.uint8)"),
        ("times 256", "256", "return (images * 256).clamp(0, 255).to(torch.uint8)"),
        ("left as floats", "uint8", "return (images.clamp(0, 1) * 255).round()"),
        ("int64", "uint8", "return (images.clamp(0, 1) * 255).round().long()"),
        ("rounded too early", None, "return (images.clamp(0, 1).round() * 255).to(torch.uint8)"),
        ("not multiplied", None, "return images.clamp(0, 1).round().to(torch.uint8)"),
        ("a sigmoid", None, "return (torch.sigmoid(images) * 255).round().to(torch.uint8)"),
        ("from [-1, 1]", None, "return ((images + 1) / 2 * 255).clamp(0, 255).round().to(torch.uint8)"),
        ("flattened", "shape", "return (images.clamp(0, 1) * 255).round().to(torch.uint8).flatten()"),
        ("clamped in place", "in place", "return images.clamp_(0, 1).mul(255).round().to(torch.uint8)"),
    ]),
    "check_slerp": ("z0, z1, t", [
        ("straight line", "straight line", "return torch.lerp(z0, z1, t[:, None])"),
        ("lengths forgotten", None,
         "a, b, t = z0 / z0.norm(), z1 / z1.norm(), t[:, None]\nomega = torch.arccos((a @ b).clamp(-1, 1))\n"
         "if omega < 1e-4:\n    return torch.lerp(z0, z1, t)\nreturn " + ARC.format(a="a", b="b")),
        ("line pushed onto the sphere", "uneven steps",
         "line = torch.lerp(z0, z1, t[:, None])\nreturn line / line.norm(dim=1, keepdim=True) * z0.norm()"),
        ("equal ends divide by zero", "NaN", OMEGA + "t = t[:, None]\nreturn " + ARC.format(a="z0", b="z1")),
        ("no clamp", "NaN", OMEGA.replace(".clamp(-1, 1)", "") + "t = t[:, None]\n" + EQUAL +
         "return " + ARC.format(a="z0", b="z1")),
        ("norms forgotten", None, "omega = torch.arccos((z0 @ z1).clamp(-1, 1))\nt = t[:, None]\n"
         "if torch.equal(z0, z1):\n    return z0 + 0 * t\nreturn " + ARC.format(a="z0", b="z1")),
        ("a quarter circle", "quarter",
         "t = t[:, None]\nif torch.equal(z0, z1):\n    return z0 + 0 * t\n"
         "return torch.cos(t * math.pi / 2) * z0 + torch.sin(t * math.pi / 2) * z1"),
        ("ends exchanged", "begins at z1", OMEGA + "t = 1 - t[:, None]\n" + EQUAL +
         "return " + ARC.format(a="z0", b="z1")),
        ("a tiny number in the denominator", None,
         OMEGA + "t = t[:, None]\n"
                 "return (torch.sin((1 - t) * omega) * z0 + torch.sin(t * omega) * z1) / (torch.sin(omega) + 1e-8)"),
        ("the cosine instead of the angle", None,
         OMEGA.replace("torch.arccos(", "(") + "t = t[:, None]\nif torch.equal(z0, z1):\n    return z0 + 0 * t\n"
         "return " + ARC.format(a="z0", b="z1")),
        ("not divided by sin", None, OMEGA + "t = t[:, None]\n" + EQUAL +
         "return torch.sin((1 - t) * omega) * z0 + torch.sin(t * omega) * z1"),
        ("transposed", "shape", OMEGA + "t = t[:, None]\n" + EQUAL + "return (" + ARC.format(a="z0", b="z1") + ").T"),
        ("divided by one norm only", None, OMEGA.replace("(z0.norm() * z1.norm())", "z0.norm()") + "t = t[:, None]\n"
         "if torch.equal(z0, z1):\n    return z0 + 0 * t\nreturn " + ARC.format(a="z0", b="z1")),
        ("one point only", None, OMEGA + "t = t[len(t) // 2]\nif omega < 1e-4:\n    return z0\n"
         "return " + ARC.format(a="z0", b="z1")),
        ("in degrees", None, OMEGA.replace("omega = ", "omega = 180 / math.pi * ") + "t = t[:, None]\n" + EQUAL +
         "return " + ARC.format(a="z0", b="z1")),
        ("equal ends give the origin", None, OMEGA + "t = t[:, None]\nif omega < 1e-4:\n    return 0 * z0 + 0 * t\n"
         "return " + ARC.format(a="z0", b="z1")),
        ("gaussian weights", None, "t = t[:, None]\nreturn ((1 - t) * z0 + t * z1) / ((1 - t) ** 2 + t ** 2).sqrt()"),
    ]),
}
