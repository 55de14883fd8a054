"""Right answers to the exercises of notebook 03, in other styles than the solution's."""

RIGHT = {
    "check_saves_best": ("val_losses", [
        "out, best = [], float('inf')\nfor i, l in enumerate(val_losses):\n    if not math.isnan(l) and l < best:\n"
        "        best = l\n        out.append(i + 1)\nreturn out",
        "return [e + 1 for e, l in enumerate(val_losses) if l == l and all(not (p <= l) for p in val_losses[:e])]",
        "return [e + 1 for e, l in enumerate(val_losses)\n"
        "        if not math.isnan(l) and l < min((p for p in val_losses[:e] if not math.isnan(p)), "
        "default=math.inf)]",
        "v = np.array(val_losses, dtype=float)\nif len(v) == 0:\n    return []\n"
        "best = np.fmin.accumulate(np.concatenate([[np.inf], v]))\n"
        "return (np.flatnonzero(v < best[:-1]) + 1).tolist()",
        "v = np.array(val_losses, dtype=float)\n"
        "best = np.fmin.accumulate(np.concatenate([[np.inf], v]))\nreturn np.flatnonzero(v < best[:-1]) + 1",
        "best, out = None, ()\nfor i, l in enumerate(val_losses, 1):\n    if np.isnan(l):\n        continue\n"
        "    if best is None or l < best:\n        best, out = l, out + (i,)\nreturn out",
        "best = torch.tensor(math.inf)\nout = []\nfor i in range(len(val_losses)):\n"
        "    l = torch.tensor(val_losses[i])\n"
        "    if l < best:\n        best = l\n        out.append(i + 1)\nreturn torch.tensor(out)",
        "seen, out = [], []\nfor i, l in enumerate(val_losses):\n    if math.isnan(l):\n        continue\n"
        "    if not seen or l < min(seen):\n        out.append(i + 1)\n    seen.append(l)\nreturn out",
        "import itertools\nclean = [math.inf if math.isnan(l) else l for l in val_losses]\n"
        "best = list(itertools.accumulate([math.inf] + clean, min))\n"
        "return [i + 1 for i, l in enumerate(clean) if l < best[i]]",
    ]),
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
    "check_train_epoch": ("model, batches, optimizer, loss_of", [
        "model.train()\ntotal = 0.0\nfor x in batches:\n    optimizer.zero_grad()\n    loss = loss_of(model, x)\n"
        "    loss.backward()\n    optimizer.step()\n    total += loss.item()\nreturn total / len(batches)",
        "model.train()\nlosses = []\nfor x in batches:\n    loss = loss_of(model, x)\n    loss.backward()\n"
        "    optimizer.step()\n    optimizer.zero_grad()\n    losses.append(float(loss))\n"
        "return float(np.mean(losses))",
        "model.train(True)\nlosses = []\nfor x in batches:\n    model.zero_grad()\n    loss = loss_of(model, x)\n"
        "    loss.backward()\n    optimizer.step()\n    losses.append(loss.detach())\n"
        "return torch.stack(losses).mean().item()",
        "model.train()\nlosses = []\nfor x in batches:\n    for p in model.parameters():\n        p.grad = None\n"
        "    loss = loss_of(model, x)\n    loss.backward()\n    optimizer.step()\n    losses.append(loss.item())\n"
        "return np.mean(losses)",
        "for m in model.modules():\n    m.training = True\nmean = 0.0\nfor i, x in enumerate(batches, 1):\n"
        "    optimizer.zero_grad(set_to_none=False)\n    loss = loss_of(model, x)\n    loss.backward()\n"
        "    optimizer.step()\n"
        "    mean += (loss.item() - mean) / i\nreturn mean",
        "model.train()\nlosses = []\nfor x in batches:\n"
        "    def closure():\n        optimizer.zero_grad()\n        loss = loss_of(model, x)\n"
        "        loss.backward()\n"
        "        return loss\n    losses.append(optimizer.step(closure).item())\nreturn sum(losses) / len(losses)",
        "model.train()\nlosses = []\nfor x in batches:\n    loss = loss_of(model, x)\n"
        "    grads = torch.autograd.grad(loss, list(model.parameters()))\n"
        "    for p, g in zip(model.parameters(), grads):\n        p.grad = g\n    optimizer.step()\n"
        "    losses.append(loss.item())\nreturn sum(losses) / len(losses)",
        "import statistics\nmodel.train()\nlosses = []\nfor x in batches:\n    loss = loss_of(model, x)\n"
        "    optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()\n"
        "    losses.append(loss.detach().numpy().item())\n"
        "return statistics.fmean(losses)",
        "was = model.training\nmodel.train()\ntotal = torch.zeros(())\nfor x in batches:\n    optimizer.zero_grad()\n"
        "    loss = loss_of(model, x)\n    loss.backward()\n    optimizer.step()\n    total += loss.detach()\n"
        "model.train(was)\nreturn float(total / len(batches))",
    ]),
}
