"""Right answers to the exercises of notebook 04, in other styles than the solution's."""

RIGHT = {
    "check_warmup": ("step, hold, ramp, beta", [
        "if ramp == 0:\n    return beta if step >= hold else 0.0\n"
        "return beta * min(1.0, max(0.0, (step - hold) / ramp))",
        "return 0 if step < hold else beta if step >= hold + ramp else beta * (step - hold) / ramp",
        "if step < hold:\n    return 0.0\ntry:\n    return beta * min(1, (step - hold) / ramp)\n"
        "except ZeroDivisionError:\n    return beta",
        "share = np.clip((step - hold) / ramp, 0, 1) if ramp > 0 else float(step >= hold)\nreturn beta * share",
        "return float(np.interp(step, [hold, hold + ramp], [0, beta])) if ramp else (0.0 if step < hold else beta)",
        "if step < hold:\n    return 0.0\nif ramp == 0 or step - hold >= ramp:\n    return beta\n"
        "return (step - hold) * (beta / ramp)",
        "t = step - hold\nif t < 0:\n    return torch.tensor(0.0)\nif t >= ramp:\n    return torch.tensor(beta)\n"
        "return torch.tensor(beta * t / ramp)",
        "if step >= hold + ramp:\n    return beta\nif step <= hold:\n    return 0.0\n"
        "return beta / ramp * (step - hold)",
        "if step < hold:\n    return 0.0\nreturn beta * min(step - hold, ramp) / ramp if ramp else beta",
    ]),
    "check_validate": ("model, images, batch_size", [
        "was = model.training\nmodel.eval()\nwith torch.no_grad():\n"
        "    errors = [(model.decoder(model.encoder(x)[0]) - x).square().sum() for x in images.split(batch_size)]\n"
        "model.train(was)\nreturn float(sum(errors)) / len(images)",
        "mode = model.training\nmodel.eval()\ntotal, count = 0.0, 0\nwith torch.no_grad():\n"
        "    for i in range(0, len(images), batch_size):\n        x = images[i:i + batch_size]\n"
        "        total += ((model(x)[0] - x) ** 2).sum().item()\n        count += len(x)\nif mode:\n"
        "    model.train()\n"
        "return total / count",
        "modes = [(m, m.training) for m in model.modules()]\nmodel.eval()\ntry:\n    with torch.inference_mode():\n"
        "        total = sum(F.mse_loss(model(x)[0], x, reduction='sum').item() for x in images.split(batch_size))\n"
        "finally:\n    for m, t in modes:\n        m.training = t\nreturn total / len(images)",
        "with latents.evaluating(model):\n"
        "    parts = [(model(x)[0] - x).pow(2).flatten(1).sum(1) for x in images.split(batch_size)]\n"
        "return torch.cat(parts).mean().item()",
        "was = model.training\nmodel.eval()\nwith torch.no_grad():\n"
        "    errors = [float(((model(x)[0] - x) ** 2).sum()) for x in images.split(batch_size)]\nmodel.train(was)\n"
        "return float(np.sum(errors) / len(images))",
        "import copy\ntwin = copy.deepcopy(model).eval()\nwith torch.no_grad():\n"
        "    return sum(F.mse_loss(twin(x)[0], x, reduction='sum').item() for x in images.split(batch_size)) / "
        "len(images)",
        "was = model.training\nmodel.eval()\nwith torch.no_grad():\n    total, n = 0.0, len(images)\n"
        "    for x in images.split(batch_size):\n"
        "        per_image = F.mse_loss(model(x)[0], x, reduction='none').sum((1, 2, 3))\n"
        "        total += per_image.mean().item() * len(x) / n\nmodel.train(was)\nreturn total",
        "was = model.training\nmodel.eval()\nwith torch.no_grad():\n"
        "    total = sum(torch.linalg.vector_norm((model(x)[0] - x).double()) ** 2 for x in "
        "images.split(batch_size))\n"
        "model.train(mode=was)\nreturn (total / len(images)).item()",
        "previous = torch.is_grad_enabled()\ntorch.set_grad_enabled(False)\nwas = model.training\nmodel.eval()\n"
        "total = 0\n"
        "for x in torch.utils.data.DataLoader(images, batch_size):\n    recon, _, _ = model(x)\n"
        "    total += float((recon - x).square().sum())\nmodel.train(was)\ntorch.set_grad_enabled(previous)\n"
        "return total / images.shape[0]",
        "was = model.training\nmodel.eval()\nwith torch.no_grad():\n"
        "    recon = np.concatenate([model(x)[0].numpy() for x in images.split(batch_size)])\nmodel.train(was)\n"
        "return float(((recon - images.numpy()) ** 2).sum((1, 2, 3)).mean())",
    ]),
    "check_clip": ("gradients, limit", [
        "return gradients * min(1.0, limit / gradients.norm().item())",
        "length = gradients.square().sum().sqrt()\nreturn gradients if length <= limit else gradients * limit / length",
        "g = gradients.double().numpy()\nreturn g / max(1.0, np.sqrt((g ** 2).sum()) / limit)",
        "p = nn.Parameter(torch.zeros_like(gradients))\np.grad = gradients.clone()\n"
        "nn.utils.clip_grad_norm_([p], limit)\nreturn p.grad",
        "ps = [nn.Parameter(torch.zeros_like(row)) for row in gradients]\nfor p, row in zip(ps, gradients):\n"
        "    p.grad = row.clone()\nnn.utils.clip_grad_norm_(ps, limit)\nreturn torch.stack([p.grad for p in ps])",
        "total = 0.0\nfor row in gradients:\n    for v in row:\n        total += float(v) ** 2\n"
        "factor = limit / math.sqrt(total) if math.sqrt(total) > limit else 1\n"
        "return [[float(v) * factor for v in row] for row in gradients]",
        "length = torch.linalg.vector_norm(torch.linalg.vector_norm(gradients, dim=1))\n"
        "return gradients * torch.clamp(limit / (length + 1e-6), max=1.0)",
        "length = torch.einsum('pn,pn->', gradients, gradients) ** 0.5\n"
        "return gradients * torch.where(length > limit, limit / length, torch.ones(()))",
        "return F.normalize(gradients.flatten(), dim=0).reshape(gradients.shape) * min(limit, float(gradients.norm()))",
    ]),
}
