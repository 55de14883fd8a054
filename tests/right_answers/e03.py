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
    "check_plateau": ("val_losses, lr, patience", [
        "rates, best, bad = [], math.inf, 0\nfor loss in val_losses:\n    rates.append(lr)\n    if loss < best:\n      "
        "  best, bad = loss, 0\n    else:\n        bad += 1\n    if bad > patience:\n        lr, bad = lr / 2, 0\n"
        "return rates",
        "p = nn.Parameter(torch.zeros(1))\no = torch.optim.SGD([p], lr=lr)\n"
        "s = torch.optim.lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=patience, threshold=0)\nrates = []\n"
        "for loss in val_losses:\n    rates.append(o.param_groups[0]['lr'])\n    s.step(loss)\nreturn rates",
        "rates = np.full(len(val_losses), float(lr))\nsince = 0\nfor e in range(1, len(val_losses)):\n"
        "    if val_losses[e] < min(val_losses[:e]):\n        since = e\n    elif e - since > patience:\n"
        "        rates[e + 1:] /= 2\n        since = e\nreturn rates",
        "def steps():\n    rate, best, bad = lr, None, 0\n    for loss in val_losses:\n        yield rate\n"
        "        if best is None or loss < best:\n            best, bad = loss, 0\n            continue\n"
        "        bad += 1\n        if bad == patience + 1:\n            rate *= 0.5\n            bad = 0\n"
        "return list(steps())",
        "halvings, left, best, out = 0, patience, val_losses[0], []\nfor loss in val_losses:\n    out.append(lr * 0.5 "
        "** halvings)\n    if loss < best or len(out) == 1:\n        best, left = loss, patience\n    elif left == "
        "0:\n        halvings += 1\n        left = patience\n    else:\n        left -= 1\nreturn out",
        "rates = torch.empty(len(val_losses), dtype=torch.float64)\nbest, bad = float('inf'), 0\n"
        "for i, loss in enumerate(val_losses):\n    rates[i] = lr\n    bad = 0 if loss < best else bad + 1\n"
        "    best = min(best, loss)\n    if bad > patience:\n        lr = lr / 2\n        bad = 0\nreturn rates",
        "rates = [lr]\nbest, bad = val_losses[0], 0\nfor loss in val_losses[1:]:\n    rates.append(rates[-1] if bad <= "
        "patience else rates[-1] / 2)\n    bad = 0 if bad > patience else bad\n    bad = 0 if loss < best else bad + "
        "1\n    best = min(best, loss)\nreturn rates",
        "import itertools\nbest = list(itertools.accumulate(val_losses, min))\nrates, bad = [], 0\nfor e, loss in "
        "enumerate(val_losses):\n    rates += [lr]\n    better = e == 0 or loss < best[e - 1]\n    bad = (bad + 1) * "
        "(not better)\n    if bad > patience:\n        lr *= .5\n        bad = 0\nreturn tuple(rates)",
    ]),
}
