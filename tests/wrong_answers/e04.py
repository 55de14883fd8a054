"""Mistakes planted in the exercises of notebook 04: what is wrong, words of the message, the code."""

WRONG = {
    "check_top_latents": [
        ("ascending order", "sort in descending order", '''
def top_latents(mu, logvar, k):
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar)
    return kl.mean(0).argsort()[:k]
'''),
        ("by the spread of mu", "the spread of mu only", '''
def top_latents(mu, logvar, k):
    return mu.std(0).argsort(descending=True)[:k]
'''),
        ("by certainty alone", "the certainty only", '''
def top_latents(mu, logvar, k):
    return logvar.mean(0).argsort()[:k]
'''),
        ("all latents", "the k = 3 best latents", '''
def top_latents(mu, logvar, k):
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar)
    return kl.mean(0).argsort(descending=True)
'''),
        ("averaged over latents", "the k = 3 best latents", '''
def top_latents(mu, logvar, k):
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar)
    return kl.mean()
'''),
    ],
    "check_traverse_all": [
        ("z modified in place", "rows accumulate", '''
def traverse_all(decode, z, values):
    rows = []
    for d in range(len(z)):
        row = []
        for v in values:
            z[d] = v
            row.append(decode(z[None])[0])
        rows.append(torch.stack(row))
    return torch.stack(rows)
'''),
        ("copied once, outside the loops", "rows accumulate", '''
def traverse_all(decode, z, values):
    z, rows = z.clone(), []
    for d in range(len(z)):
        row = []
        for v in values:
            z[d] = v
            row.append(decode(z[None])[0])
        rows.append(torch.stack(row))
    return torch.stack(rows)
'''),
        ("put back at the end of a row, not of the last", "the caller's z came back changed", '''
def traverse_all(decode, z, values):
    start, rows = z.clone(), []
    for d in range(len(z)):
        z[:] = start
        row = []
        for v in values:
            z[d] = v
            row.append(decode(z[None])[0])
        rows.append(torch.stack(row))
    return torch.stack(rows)
'''),
        ("starts from zero", "row 0 moves other latents", '''
def traverse_all(decode, z, values):
    rows = []
    for d in range(len(z)):
        codes = torch.zeros(len(values), len(z))
        codes[:, d] = values
        rows.append(decode(codes))
    return torch.stack(rows)
'''),
    ],
    "check_decode_in_eval": [
        ("training mode", "looking at the model changed it", '''
def decode_in_eval(model, z):
    return model.decoder(z)
'''),
        ("no_grad alone", "looking at the model changed it", '''
def decode_in_eval(model, z):
    with torch.no_grad():
        return model.decoder(z)
'''),
        ("left in eval mode", "left in eval mode", '''
def decode_in_eval(model, z):
    model.eval()
    with torch.no_grad():
        return model.decoder(z)
'''),
        ("always back to training", "left in training mode", '''
def decode_in_eval(model, z):
    model.eval()
    with torch.no_grad():
        images = model.decoder(z)
    model.train()
    return images
'''),
        ("keeps gradients", "under torch.no_grad()", '''
def decode_in_eval(model, z):
    training = model.training
    model.eval()
    images = model.decoder(z)
    model.train(training)
    return images
'''),
        ("batch statistics, weights put back", "the picture depends on the batch", '''
def decode_in_eval(model, z):
    import copy
    with torch.no_grad():
        return copy.deepcopy(model).decoder(z)
'''),
    ],
    "check_to_pixels": [
        ("stretched by minimum and maximum", "contrast stretched", '''
def to_pixels(images):
    images = (images - images.min()) / (images.max() - images.min())
    return (images * 255).to(torch.uint8)
'''),
        ("no clamp", "wrap round", '''
def to_pixels(images):
    return (images * 255).round().to(torch.int64).to(torch.uint8)
'''),
        ("cut off instead of rounded", "round first", '''
def to_pixels(images):
    return (images.clamp(0, 1) * 255).to(torch.uint8)
'''),
        ("left as floats", "torch.uint8 is wanted", '''
def to_pixels(images):
    return (images.clamp(0, 1) * 255).round()
'''),
    ],
    "check_slerp": [
        ("straight line", "the straight line", '''
def slerp(z0, z1, t):
    return torch.lerp(z0, z1, t[:, None])
'''),
        ("lengths forgotten", "forget their lengths", '''
def slerp(z0, z1, t):
    a, b, t = z0 / z0.norm(), z1 / z1.norm(), t[:, None]
    omega = torch.arccos((a @ b).clamp(-1, 1))
    return (torch.sin((1 - t) * omega) * a + torch.sin(t * omega) * b) / torch.sin(omega)
'''),
        ("line pushed onto the sphere", "its steps are uneven", '''
def slerp(z0, z1, t):
    line = torch.lerp(z0, z1, t[:, None])
    return line / line.norm(dim=1, keepdim=True) * z0.norm()
'''),
        ("equal ends divide by zero", "equal ends give NaN", '''
def slerp(z0, z1, t):
    omega = torch.arccos((z0 @ z1 / (z0.norm() * z1.norm())).clamp(-1, 1))
    t = t[:, None]
    return (torch.sin((1 - t) * omega) * z0 + torch.sin(t * omega) * z1) / torch.sin(omega)
'''),
    ],
}
