"""Planted mistakes for the exercises of notebook 02: (what is wrong, words of the message, code)."""

WRONG = {
    "check_output_size": [
        ("padding counted once", "padding comes on both sides", '''
def output_size(n, kernel, stride, padding):
    return (n + padding - kernel) // stride + 1
'''),
        ("the first place forgotten", "the first one included; yours says 7", '''
def output_size(n, kernel, stride, padding):
    return (n + 2 * padding - kernel) // stride
'''),
        ("no floor", "a step that does not fit whole", '''
def output_size(n, kernel, stride, padding):
    return (n + 2 * padding - kernel) / stride + 1
'''),
        ("n // stride", "has 8 places on 10", '''
def output_size(n, kernel, stride, padding):
    return n // stride
'''),
    ],
    "check_sample": [
        ("logvar used as the standard deviation", "you used logvar as the standard deviation", '''
def sample(mu, logvar):
    return mu + logvar * torch.randn_like(mu)
'''),
        ("exp(logvar) used as the standard deviation", "is the variance, not the standard deviation", '''
def sample(mu, logvar):
    return mu + logvar.exp() * torch.randn_like(mu)
'''),
        ("uniform noise", "variances", '''
def sample(mu, logvar):
    return mu + (0.5 * logvar).exp() * torch.rand_like(mu)
'''),
        ("no gradient", "no gradient flows back", '''
def sample(mu, logvar):
    return torch.normal(mu.detach(), (0.5 * logvar.detach()).exp())
'''),
        ("one epsilon for all latents", "the same epsilon", '''
def sample(mu, logvar):
    return mu + (0.5 * logvar).exp() * torch.randn(len(mu), 1)
'''),
    ],
    "check_kl": [
        ("averaged over everything", "you averaged over images and latents", '''
def kl_per_image(mu, logvar):
    return -0.5 * torch.mean(1 + logvar - mu ** 2 - logvar.exp())
'''),
        ("averaged over latents", "you averaged over latents; the ELBO sums", '''
def kl_per_image(mu, logvar):
    return -0.5 * torch.mean(1 + logvar - mu ** 2 - logvar.exp(), dim=1)
'''),
        ("the wrong sign", "a KL is never negative", '''
def kl_per_image(mu, logvar):
    return 0.5 * torch.sum(1 + logvar - mu ** 2 - logvar.exp(), dim=1)
'''),
        ("no factor 1/2", "where is the factor 1/2", '''
def kl_per_image(mu, logvar):
    return -torch.sum(1 + logvar - mu ** 2 - logvar.exp(), dim=1)
'''),
        ("the 1 forgotten", "is the prior itself", '''
def kl_per_image(mu, logvar):
    return 0.5 * torch.sum(mu ** 2 + logvar.exp() - logvar, dim=1)
'''),
        ("mu not squared", "some term is wrong", '''
def kl_per_image(mu, logvar):
    return 0.5 * torch.sum(mu.abs() + logvar.exp() - 1 - logvar, dim=1)
'''),
    ],
    "check_loss": [
        ("mean-reduced BCE with summed KL", "the reconstruction is averaged over pixels", '''
def loss(logits, x, mu, logvar, beta):
    bce = F.binary_cross_entropy_with_logits(logits, x)
    return bce - beta * 0.5 * torch.sum(1 + logvar - mu ** 2 - logvar.exp())
'''),
        ("both summed over the batch", "summed over the batch: the loss then grows", '''
def loss(logits, x, mu, logvar, beta):
    bce = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    return bce - beta * 0.5 * torch.sum(1 + logvar - mu ** 2 - logvar.exp())
'''),
        ("only the KL summed over the batch", "beta is B times larger", '''
def loss(logits, x, mu, logvar, beta):
    bce = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
    return bce - beta * 0.5 * torch.sum(1 + logvar - mu ** 2 - logvar.exp())
'''),
        ("the KL averaged over latents", "the KL is averaged over latents", '''
def loss(logits, x, mu, logvar, beta):
    bce = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
    return bce - beta * 0.5 * torch.mean(1 + logvar - mu ** 2 - logvar.exp())
'''),
        ("clipped probabilities", "from logits, not from clipped probabilities", '''
def loss(logits, x, mu, logvar, beta):
    p = torch.sigmoid(logits).clamp(1e-7, 1 - 1e-7)
    bce = -(x * p.log() + (1 - x) * (1 - p).log()).sum() / len(x)
    return bce - beta * 0.5 * torch.sum(1 + logvar - mu ** 2 - logvar.exp()) / len(x)
'''),
        ("beta left out", "beta weights the KL", '''
def loss(logits, x, mu, logvar, beta):
    bce = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
    return bce - 0.5 * torch.sum(1 + logvar - mu ** 2 - logvar.exp()) / len(x)
'''),
    ],
}
