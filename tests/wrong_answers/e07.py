"""Natural mistakes in notebook 07: what is wrong, words of the message (None: numbers are shown), code."""

CUT = "side = min(picture.shape[1:])\ntop, left = (picture.shape[1] - side) // 2, (picture.shape[2] - side) // 2\n"

WRONG = {
    "check_attribute_direction": ("mu, has", [
        ("the other way round", "away from the attribute", "return mu[~has].mean(0) - mu[has].mean(0)"),
        ("sums", "sums", "return mu[has].sum(0) - mu[~has].sum(0)"),
        ("against all", "mean of all", "return mu[has].mean(0) - mu.mean(0)"),
        ("averaged over latents", "over the latents", "return mu[has].mean() - mu[~has].mean()"),
        ("averaged over each image's latents", None, "return (mu[has].mean(1).mean() - mu[~has].mean(1)).mean()"),
        ("only those with it", "mean code", "return mu[has].mean(0)"),
        ("one unit long", "unit long", "d = mu[has].mean(0) - mu[~has].mean(0)\nreturn d / d.norm()"),
        ("divided by the number of all", "number of all", "return (mu[has].sum(0) - mu[~has].sum(0)) / len(mu)"),
        ("medians", "medians", "return mu[has].median(0).values - mu[~has].median(0).values"),
        ("minus on a mask", "stops with", "return mu[has].mean(0) - mu[-has].mean(0)"),
        ("the mask as an index", None, "return mu[has.long()].mean(0) - mu[(~has).long()].mean(0)"),
        ("a mask taken for sorted", None, "k = int(has.sum())\nreturn mu[:k].mean(0) - mu[k:].mean(0)"),
        ("the mask written into", "in place", "a = mu[has].mean(0)\nhas.logical_not_()\nreturn a - mu[has].mean(0)"),
        ("two examples", None, "return mu[has][0] - mu[~has][0]"),
        ("a row", "shape", "return (mu[has].mean(0) - mu[~has].mean(0))[None]"),
        ("half of the way", None, "return (mu[has].mean(0) - mu[~has].mean(0)) / 2"),
        ("divided by the spread", None, "return (mu[has].mean(0) - mu[~has].mean(0)) / mu.std(0)"),
        ("the sum of the means", None, "return mu[has].mean(0) + mu[~has].mean(0)"),
    ]),
    "check_centre_square": ("picture", [
        ("from the corner", "left and upper edge", "side = min(picture.shape[1:])\nreturn picture[:, :side, :side]"),
        ("from the other corner", "right and lower edge", "side = min(picture.shape[1:])\n"
         "return picture[:, -side:, -side:]"),
        ("squeezed", "squeezed",
         "side = min(picture.shape[1:])\n"
         "return F.interpolate(picture[None].float(), size=(side, side))[0].to(picture.dtype)"),
        ("squeezed, on whole numbers", "stops with",
         "side = min(picture.shape[1:])\nreturn F.interpolate(picture[None], size=(side, side), mode='bilinear')[0]"),
        ("rows left alone", "tall ones are not",
         "side = picture.shape[1]\nleft = max(0, (picture.shape[2] - side) // 2)\n"
         "return picture[:, :, left:left + side]"),
        ("columns left alone", "wide ones are not",
         "side = picture.shape[2]\ntop = max(0, (picture.shape[1] - side) // 2)\nreturn picture[:, top:top + side]"),
        ("the longer side", None, "side = max(picture.shape[1:])\n"
         "top, left = [(n - side) // 2 for n in picture.shape[1:]]\n"
         "return F.pad(picture, (-left, side - picture.shape[2] + left, -top, side - picture.shape[1] + top))"),
        ("rows and columns exchanged", None, CUT + "return picture[:, left:left + side, top:top + side]"),
        ("channels first mistaken", None, "side = min(picture.shape[:2])\n"
         "top, left = [(n - side) // 2 for n in picture.shape[:2]]\n"
         "return picture[top:top + side, left:left + side]"),
        ("channels counted", None, "side = min(picture.shape)\n"
         "top, left = [(n - side) // 2 for n in picture.shape[1:]]\n"
         "return picture[:, top:top + side, left:left + side]"),
        ("half of the side as a start", None, "side = min(picture.shape[1:])\n"
         "top, left = picture.shape[1] // 2 - side, picture.shape[2] // 2 - side\n"
         "return picture[:, max(0, top):max(0, top) + side, max(0, left):max(0, left) + side]"),
        ("a slice that ends at -0", None, CUT + "return picture[:, top:-top, left:-left]"),
        ("the surplus not halved", None, "side = min(picture.shape[1:])\n"
         "top, left = [n - side for n in picture.shape[1:]]\n"
         "return picture[:, top:top + side, left:left + side]"),
        ("one too small", None, CUT + "return picture[:, top:top + side - 1, left:left + side - 1]"),
        ("the surplus halved without rounding down", "stops with", CUT.replace("//", "/") +
         "return picture[:, top:top + side, left:left + side]"),
        ("a half of the picture", None, "c, h, w = picture.shape\n"
         "return picture[:, h // 4:h // 4 + h // 2, w // 4:w // 4 + w // 2]"),
        ("divided by 255", None, CUT + "return picture[:, top:top + side, left:left + side] / 255"),
        ("odd ones beside the centre", None, CUT.replace("// 2", "// 3") + "return picture[:, top:top + side, "
         "left:left + side]"),
    ]),
}
