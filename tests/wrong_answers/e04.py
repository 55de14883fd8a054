"""Natural mistakes in notebook 04: what is wrong, words of the message (None: numbers are shown), code."""

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


WRONG = {
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
    "check_clip": ("gradients, limit", [
        ("each parameter by itself", "factor of its own",
         "return torch.stack([row * min(1.0, limit / row.norm().item()) for row in gradients])"),
        ("each number by itself", "cut off by itself", "return gradients.clamp(-limit, limit)"),
        ("short ones lengthened", "lengthened", "return gradients / gradients.norm() * limit"),
        ("the square of the length", "its square",
         "n = (gradients ** 2).sum()\nreturn gradients * min(1.0, (limit / n).item())"),
        ("sum of absolute values", "absolute values", "return gradients * min(1.0, (limit / "
                                                      "gradients.abs().sum()).item())"),
        ("the largest number", "largest number", "return gradients * min(1.0, (limit / gradients.abs().max()).item())"),
        ("lengths added", "squares add up",
         "n = sum(row.norm() for row in gradients)\nreturn gradients if n <= limit else gradients * limit / n"),
        ("the limit missing", "limit is missing",
         "n = gradients.norm()\nreturn gradients / n if n > limit else gradients"),
        ("long ones left out", "set to 0", "return gradients * (gradients.norm() <= limit)"),
        ("untouched", None, "return gradients"),
        ("the wrong way round", None, "return gradients * max(1.0, limit / gradients.norm().item())"),
        ("the root mean square", None, "n = gradients.square().mean().sqrt()\n"
         "return gradients * min(1.0, (limit / n).item())"),
        ("in place", "in place", "gradients *= min(1.0, limit / gradients.norm().item())\nreturn gradients"),
        ("the length only", "shape", "return min(limit, gradients.norm().item())"),
        ("the sign lost", None, "return (gradients * min(1.0, limit / gradients.norm().item())).abs()"),
    ]),
}
