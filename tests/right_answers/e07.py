"""Right answers to the exercises of notebook 07, in other styles than the solution's."""

RIGHT = {
    "check_attribute_direction": ("mu, has", [
        "return mu[has == True].mean(dim=0) - mu[has == False].mean(dim=0)",
        "w = has.float()\nreturn (w @ mu) / w.sum() - ((1 - w) @ mu) / (1 - w).sum()",
        "m, h = mu.numpy(), has.numpy()\nreturn torch.from_numpy(m[h].mean(0) - m[~h].mean(0))",
        "m, h = mu.numpy(), has.numpy()\nreturn m[h].mean(0) - m[~h].mean(0)",
        "yes = [m for m, h in zip(mu, has) if h]\nno = [m for m, h in zip(mu, has) if not h]\n"
        "return sum(yes) / len(yes) - sum(no) / len(no)",
        "w = has.double() / has.sum() - (~has).double() / (~has).sum()\n"
        "return torch.einsum('n,nd->d', w, mu.double())",
        "return torch.stack([mu[has, d].mean() - mu[torch.logical_not(has), d].mean() for d in range(mu.shape[1])])",
        "return [float(mu[has, d].mean() - mu[~has, d].mean()) for d in range(mu.shape[1])]",
        "a = torch.cat([torch.ones(len(mu), 1), has[:, None].float()], dim=1)\n"
        "return torch.linalg.lstsq(a, mu).solution[1]",
        "with_it = mu.index_select(0, has.nonzero()[:, 0])\n"
        "without = mu.index_select(0, (~has).nonzero().flatten())\n"
        "return torch.mean(with_it, 0) - torch.mean(without, 0)",
    ]),
    "check_centre_square": ("picture", [
        "c, h, w = picture.shape\nside = min(h, w)\ny, x = (h - side) // 2, (w - side) // 2\n"
        "return picture[..., y:y + side, x:x + side]",
        "side = min(picture.shape[1:])\ntop, left = (-(-(n - side) // 2) for n in picture.shape[1:])\n"
        "return picture[:, top:top + side, left:left + side]",
        "from torchvision.transforms.functional import center_crop\n"
        "return center_crop(picture, min(picture.shape[1:]))",
        "c, h, w = picture.shape\nif w > h:\n    a = (w - h) // 2\n    return picture[:, :, a:a + h]\n"
        "a = (h - w) // 2\n"
        "return picture[:, a:a + w, :]",
        "side = min(picture.shape[-2:])\ntop = round((picture.shape[-2] - side) / 2)\n"
        "left = round((picture.shape[-1] - side) / 2)\nreturn picture[:, top:top + side, left:left + side]",
        "side = min(picture.shape[1:])\ntop, left = (picture.shape[1] - side) // 2, (picture.shape[2] - side) // 2\n"
        "return picture.narrow(1, top, side).narrow(2, left, side)",
        "while picture.shape[1] != picture.shape[2]:\n    axis = 1 if picture.shape[1] > picture.shape[2] else 2\n"
        "    over = picture.shape[axis] - picture.shape[3 - axis]\n"
        "    picture = picture.narrow(axis, 1 if over > 1 else 0, picture.shape[axis] - (2 if over > 1 else 1))\n"
        "return picture",
        "p = picture.numpy()\nside = min(p.shape[1:])\ntop, left = [(n - side) // 2 for n in p.shape[1:]]\n"
        "return torch.from_numpy(p[:, top:top + side, left:left + side].copy())",
        "p = picture.numpy()\nside = min(p.shape[1:])\ntop, left = [(n - side) // 2 for n in p.shape[1:]]\n"
        "return p[:, top:top + side, left:left + side]",
    ]),
}
