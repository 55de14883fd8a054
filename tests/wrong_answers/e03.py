"""Natural mistakes in notebook 03: what is wrong, words of the message (None: numbers are shown), code."""

LOOP = "best, epochs = math.inf, []\nfor epoch, loss in enumerate(val_losses, start={start}):\n    if {test}:\n" \
       "        best = loss\n        epochs.append({kept})\nreturn epochs"


def saves(start=1, test="loss < best", kept="epoch"):
    return LOOP.format(start=start, test=test, kept=kept)


VALIDATE = """was = model.training
{before}
total = 0.0
with {context}:
    for x in images.split(batch_size):
        recon = model(x)[0]
        total += {term}
{after}
return {result}"""


def validate(before="model.eval()", context="torch.no_grad()", term="F.mse_loss(recon, x, reduction='sum').item()",
             after="model.train(was)", result="total / len(images)"):
    return VALIDATE.format(before=before, context=context, term=term, after=after, result=result)


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
    "check_warmup": ("step, hold, ramp, beta", [
        ("no waiting", "no waiting", "return beta * min(1.0, step / ramp) if ramp else beta"),
        ("ramp counted from step 0", "counted from step 0",
         "return 0.0 if step < hold else beta * min(1.0, step / max(1, hold + ramp))"),
        ("jumps to a ramp from step 0", None, "return 0.0 if step < hold else beta * min(1.0, step / max(1, ramp))"),
        ("never stops rising", "for ever", "return 0.0 if step < hold else beta * (step - hold) / max(ramp, 1)"),
        ("divides by zero", "ZeroDivisionError", "return 0.0 if step < hold else beta * min(1.0, (step - hold) / "
         "ramp)"),
        ("a step early", "one step early", "return 0.0 if step < hold else beta * min(1.0, (step - hold + 1) / "
         "max(ramp, 1))"),
        ("ramp of 0 is never", None, "if step < hold or ramp == 0:\n    return 0.0\n"
         "return beta * min(1.0, (step - hold) / ramp)"),
        ("no ramp", None, "return 0.0 if step < hold else beta"),
        ("no ramp, late", None, "return 0.0 if step < hold + ramp else beta"),
        ("negative before hold", None, "return beta * min(1.0, (step - hold) / ramp) if ramp else (beta if step >= "
         "hold else 0.0)"),
        ("falls to 0 at the end", None,
         "if step < hold or step > hold + ramp:\n    return 0.0\n"
         "return beta * (step - hold) / ramp if ramp else beta"),
        ("up to 1", None, "if step < hold:\n    return 0.0\nreturn min(1.0, (step - hold) / ramp) if ramp else 1.0"),
        ("whole numbers", None, "if step < hold:\n    return 0.0\n"
         "return beta * min(1, (step - hold) // ramp) if ramp else beta"),
        ("the ramp ends at step ramp", "ends at step",
         "if step < hold:\n    return 0.0\nreturn beta if step >= ramp else beta * (step - hold) / ramp"),
        ("ramp 0 one step late", None, "if step <= hold:\n    return 0.0\n"
         "return beta * min(1.0, (step - hold) / ramp) if ramp else beta"),
    ]),
    "check_validate": ("model, images, batch_size", [
        ("the code as it circulates", "changes the model",
         "total = 0.0\nbatches = images.split(batch_size)\nfor x in batches:\n    recon, mu, logvar = model(x)\n"
         "    total = total + F.mse_loss(recon, x, reduction='sum') / len(x)\nreturn total / len(batches)"),
        ("keeps the graph", None, validate(context="torch.enable_grad()", term="F.mse_loss(recon, x, "
         "reduction='sum')")),
        ("returns a tensor", "return a tensor", validate(term="F.mse_loss(recon, x, reduction='sum')")),
        ("no no_grad", "gradients are recorded", validate(context="torch.enable_grad()")),
        ("mean of means", "mean of the batches' means", validate(
            term="F.mse_loss(recon, x, reduction='sum').item() / len(x)", result="total / "
             "len(images.split(batch_size))")),
        ("averages over pixels", "average over pixels", validate(term="F.mse_loss(recon, x).item() * len(x)")),
        ("the sum over images", "sum over the images", validate(result="total")),
        ("absolute error", "absolute error", validate(term="(recon - x).abs().sum().item()")),
        ("the last batch left out", "leave out the last",
         "was = model.training\nmodel.eval()\ntotal, n = 0.0, len(images) // batch_size * batch_size\n"
         "with torch.no_grad():\n"
         "    for x in images[:n].split(batch_size):\n        total += ((model(x)[0] - x) ** 2).sum().item()\n"
         "model.train(was)\n"
         "return total / n"),
        ("leaves the model in eval mode", "left in eval mode", validate(after="")),
        ("always ends in train mode", "left in training mode", validate(after="model.train()")),
        ("eval mode forgotten", "changes the model", validate(before="")),
        ("the decoder left in eval mode", "decoder",
         validate(before="model.encoder.eval(); model.decoder.eval()", after="model.encoder.train(was)")),
        ("BatchNorm alone in eval mode", None,
         validate(before="[m.eval() for m in model.modules() if isinstance(m, nn.BatchNorm2d)]")),
        ("requires_grad_(False) instead of no_grad", "no longer requires", validate(before="model.eval(); "
         "model.requires_grad_(False)")),
        ("gradients off for ever", "for good",
         validate(before="model.eval(); torch.set_grad_enabled(False)", context="torch.enable_grad()")
         .replace("with torch.enable_grad():", "if True:")),
        ("a number read off the message", None, "return 27.3108"),
        ("a graph taken back", "gradient",
         validate(context="torch.enable_grad()", term="(lambda l: (l.backward(), l.item())[1])(F.mse_loss(recon, x, "
          "reduction='sum'))")),
        ("the root", None, validate(result="(total / len(images)) ** 0.5")),
        ("half of it", None, validate(result="total / len(images) / 2")),
        ("the first batch", None, validate(result="total / len(images)").replace(
            "images.split(batch_size)", "images.split(batch_size)[:1]")),
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
}
