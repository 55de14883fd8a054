"""Natural mistakes in notebook 03: what is wrong, words of the message (None: numbers are shown), code."""

LOOP = "best, epochs = math.inf, []\nfor epoch, loss in enumerate(val_losses, start={start}):\n    if {test}:\n" \
       "        best = loss\n        epochs.append({kept})\nreturn epochs"


def saves(start=1, test="loss < best", kept="epoch"):
    return LOOP.format(start=start, test=test, kept=kept)


EPOCH = """{before}
losses = []
for x in batches:
    loss = loss_of(model, x)
    {first}
    {second}
    {third}
    losses.append({kept})
return {result}"""


def epoch(before="model.train()", first="optimizer.zero_grad()", second="loss.backward()", third="optimizer.step()",
          kept="loss.item()", result="sum(losses) / len(losses)"):
    return EPOCH.format(before=before, first=first, second=second, third=third, kept=kept, result=result)


PLATEAU = """start, rates, best, bad = lr, [], math.inf, 0
for loss in val_losses:
    {first}
    if {better}:
        {improved}
    else:
        {worse}
    if {test}:
        {halved}
    {last}
return rates"""


def plateau(first="rates.append(lr)", better="loss < best", improved="best, bad = loss, 0", worse="bad += 1",
            test="bad > patience", halved="lr, bad = lr / 2, 0", last="pass"):
    return PLATEAU.format(first=first, better=better, improved=improved, worse=worse, test=test, halved=halved,
                          last=last)


WRONG = {
    "check_saves_best": ("val_losses", [
        ("better by a hundredth at least", "[0.5, 0.4999, 0.49985]", saves(test="loss < best - 0.01")),
        ("a loss of 0 counts as none", "0.0", "best, epochs = None, []\nfor epoch, loss in enumerate(val_losses, 1):\n"
         "    if loss == loss and (not best or loss < best):\n        best = loss\n        epochs.append(epoch)\n"
         "return epochs"),
        ("compares with the epoch before", "epoch before",
         "return [e + 1 for e in range(len(val_losses)) if val_losses[e] == val_losses[e]\n"
         "        and (e == 0 or val_losses[e] < val_losses[e - 1])]"),
        ("counts from 0", "from 0", saves(start=0)),
        ("saves ties", "tie", saves(test="loss <= best")),
        ("starts from the first loss, which may be NaN", "NaN",
         "epochs, best = [], None\nfor epoch, loss in enumerate(val_losses, start=1):\n"
         "    if best is None or loss < best:\n"
         "        best = loss\n        epochs.append(epoch)\nreturn epochs"),
        ("NaN counts as better", None, saves(test="not loss >= best")),
        ("only the best of all", "one epoch", "best, epochs = math.inf, []\nfor e, l in enumerate(val_losses, 1):\n"
         "    if l < best:\n        best, epochs = l, [e]\nreturn epochs"),
        ("losses instead of epochs", "return losses", saves(kept="loss")),
        ("the largest", "largest", saves(test="loss == loss and (epochs == [] or loss > best)")),
        ("a start that is too small", None, saves().replace("math.inf", "100.0")),
        ("the first epoch never", None, "best, epochs = val_losses[0] if val_losses else 0, []\n"
         "for e, l in enumerate(val_losses, 1):\n    if l < best:\n        best = l\n        epochs.append(e)\n"
         "return epochs"),
        ("min over a list with NaN", None, "return [e + 1 for e in range(len(val_losses))\n"
         "        if e == 0 or val_losses[e] < min(val_losses[:e])]"),
        ("stops at NaN", None, saves().replace("    if loss", "    if math.isnan(loss):\n        break\n    if loss")),
        ("absolute values", None, saves(test="abs(loss) < best").replace("best = loss", "best = abs(loss)")),
        ("a flag for each epoch", None,
         "best, flags = math.inf, []\nfor l in val_losses:\n    flags.append(l < best)\n"
         "    best = min(best, l) if l == l else best\n"
         "return flags"),
        ("fails without epochs", "stops with", saves().replace("math.inf", "val_losses[0] + 1")),
    ]),
    "check_train_epoch": ("model, batches, optimizer, loss_of", [
        ("cleared between backward and step", "is there a `step()` after",
         epoch(first="loss.backward()", second="optimizer.zero_grad()")),
        ("left in eval mode", "model.train()", epoch(before="pass")),
        ("zero_grad forgotten", "added to those", epoch(first="pass")),
        ("zero_grad once", "added to those", epoch(before="model.train()\noptimizer.zero_grad()", first="pass")),
        ("gradients cleared before the step", "as they were", epoch(first="loss.backward()", second=
         "optimizer.zero_grad()")),
        ("no step", "as they were", epoch(third="pass")),
        ("no backward", "as they were", epoch(second="pass")),
        ("returns tensors with their graphs", "return a tensor", epoch(kept="loss")),
        ("returns a detached tensor", "return a tensor", epoch(kept="loss.detach()")),
        ("returns the last loss", "last batch", epoch(result="loss.item()")),
        ("returns the sum", "sum of the batches", epoch(result="sum(losses)")),
        ("weights by size", "by its size", epoch(
            kept="loss.item() * len(x)", result="sum(losses) / sum(len(x) for x in batches)")),
        ("one step at the end", None,
         "model.train()\nlosses = [loss_of(model, x) for x in batches]\noptimizer.zero_grad()\n"
         "total = sum(losses) / len(losses)\ntotal.backward()\noptimizer.step()\nreturn total.item()"),
        ("under no_grad", "not recorded", "model.train()\nwith torch.no_grad():\n"
         "    return float(np.mean([loss_of(model, x) for x in batches]))"),
        ("only the attribute set", "eval mode", epoch(before="model.training = True")),
        ("two passes", None, "for _ in range(2):\n    model.train()\n    losses = []\n    for x in batches:\n"
         "        loss = loss_of(model, x)\n        optimizer.zero_grad()\n        loss.backward()\n"
         "        optimizer.step()\n"
         "        losses.append(loss.item())\nreturn sum(losses) / len(losses)"),
        ("the list, not its mean", "shape", epoch(result="losses")),
        ("no return", "returned nothing", epoch().replace("return ", "")),
        ("losses after the step", None, epoch(kept="loss_of(model, x).item()")),
        ("gradients clipped to nothing", None, epoch(third="nn.utils.clip_grad_norm_(model.parameters(), 0.01); "
         "optimizer.step()")),
        ("the batches reversed", None, epoch().replace("in batches:", "in batches[::-1]:")),
    ]),
    "check_plateau": ("val_losses, lr, patience", [
        ("an improvement of 1e-4 or more", None,
         "rates, best, bad = [], math.inf, 0\nfor loss in val_losses:\n    rates.append(lr)\n"
         "    if loss < best - 1e-4:\n        best, bad = loss, 0\n    else:\n        bad += 1\n"
         "    if bad > patience:\n        lr, bad = lr / 2, 0\nreturn rates"),
        ("one epoch too soon", None, plateau(test="bad >= patience and bad > 0")),
        ("a patience of one less", None, plateau(test="bad > max(patience - 1, 0)")),
        ("the rate after the epoch", "after each epoch", plateau(first="pass", last="rates.append(lr)")),
        ("the count not reset", "begins again", plateau(halved="lr = lr / 2")),
        ("bad epochs not in a row", "in a row", plateau(improved="best = loss")),
        ("compares with the epoch before", "epoch before", plateau(worse="best, bad = loss, bad + 1")),
        ("a tie improves", "not better", plateau(better="loss <= best")),
        ("halved once", "only once", plateau(halved="lr, bad = max(lr / 2, start / 2), 0")),
        ("a tenth", None, plateau(halved="lr, bad = lr / 10, 0")),
        ("the largest is the best", None, plateau(better="loss > best").replace("math.inf", "-math.inf")),
        ("never", None, "return [lr for _ in val_losses]"),
        ("halved in every bad epoch", None, plateau(test="bad > 0")),
        ("the best is forgotten at a halving", None, plateau(halved="lr, bad, best = lr / 2, 0, math.inf")),
        ("the last rate", "shape", plateau().replace("return rates", "return lr")),
        ("no return", "returned nothing", plateau().replace("return rates", "rates")),
    ]),
}
