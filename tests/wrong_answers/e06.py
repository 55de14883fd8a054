"""Mistakes planted in the exercises of notebook 06: what is wrong, words of the message, the code."""

WRONG = {
    "check_attribute_direction": [
        ("the other way round", "leads away from the attribute", '''
def attribute_direction(mu, has):
    return mu[~has].mean(0) - mu[has].mean(0)
'''),
        ("sums", "you took sums", '''
def attribute_direction(mu, has):
    return mu[has].sum(0) - mu[~has].sum(0)
'''),
        ("against all", "the mean of all", '''
def attribute_direction(mu, has):
    return mu[has].mean(0) - mu.mean(0)
'''),
        ("averaged over latents", "one number a latent", '''
def attribute_direction(mu, has):
    return mu[has].mean() - mu[~has].mean()
'''),
    ],
    "check_centre_square": [
        ("from the corner", "half of the surplus", '''
def centre_square(picture):
    side = min(picture.shape[1:])
    return picture[:, :side, :side]
'''),
        ("squeezed", "did you resize", '''
def centre_square(picture):
    side = min(picture.shape[1:])
    return F.interpolate(picture[None].float(), size=(side, side))[0].to(picture.dtype)
'''),
        ("rows left alone", "a tall picture (1, 6, 4) became", '''
def centre_square(picture):
    side = picture.shape[1]
    left = max(0, (picture.shape[2] - side) // 2)
    return picture[:, :, left:left + side]
'''),
    ],
}
