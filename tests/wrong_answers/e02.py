"""Natural mistakes in notebook 02: what is wrong, words of the message (None: numbers are shown), code."""

BCE = "bce = F.binary_cross_entropy_with_logits(logits, x, reduction='sum') / len(x)\n"
KL = "kl = 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar).sum() / len(x)\n"

WRONG = {
    "check_output_size": ("n, kernel, stride, padding", [
        ("padding counted once", "one side only", "return (n + padding - kernel) // stride + 1"),
        ("no padding", "padding is missing", "return (n - kernel) // stride + 1"),
        ("the first place forgotten", "first place", "return (n + 2 * padding - kernel) // stride"),
        ("no floor", "does not fit whole", "return (n + 2 * padding - kernel) / stride + 1"),
        ("rounded up", "round up", "return math.ceil((n + 2 * padding - kernel) / stride) + 1"),
        ("rounded to the nearest", "nearest", "return round((n + 2 * padding - kernel) / stride) + 1"),
        ("n // stride", "keeps the side", "return n // stride"),
        ("the 1 inside the division", None, "return (n + 2 * padding - kernel + 1) // stride"),
        ("padding taken away", None, "return (n - 2 * padding - kernel) // stride + 1"),
        ("the transposed convolution's", None, "return (n - 1) * stride - 2 * padding + kernel"),
        ("half of the kernel", None, "return (n + 2 * padding - kernel // 2) // stride + 1"),
        ("stride of 2 in the code", None, "return (n + 2 * padding - kernel) // 2 + 1"),
        ("four times the padding", None, "return (n + 4 * padding - kernel) // stride + 1"),
    ]),
    "check_sample": ("mu, logvar", [
        ("one draw for all images", "all images get the same draw",
         "return mu + (logvar / 2).exp() * torch.randn(mu.shape[1])"),
        ("logvar used as the standard deviation", "multiply the noise by logvar", "return mu + logvar * "
         "torch.randn_like(mu)"),
        ("exp(logvar) used as the standard deviation", "use it as the standard deviation",
         "return mu + logvar.exp() * torch.randn_like(mu)"),
        ("no scale", "not scaled", "return mu + torch.randn_like(mu)"),
        ("uniform noise", "`randn`", "return mu + (0.5 * logvar).exp() * torch.rand_like(mu)"),
        ("uniform noise of variance 1", "not Gaussian",
         "return mu + (0.5 * logvar).exp() * (torch.rand_like(mu) - 0.5) * math.sqrt(12)"),
        ("signs as noise", "not Gaussian", "return mu + (0.5 * logvar).exp() * torch.randn_like(mu).sign()"),
        ("drawn from the distribution", "no gradient", "return torch.normal(mu.detach(), (0.5 * "
         "logvar.detach()).exp())"),
        ("torch.normal, whose gradient is 0", "gradient", "return torch.normal(mu, (0.5 * logvar).exp())"),
        ("a distribution's sample, not rsample", "no gradient",
         "return torch.distributions.Normal(mu, (0.5 * logvar).exp()).sample()"),
        ("mu detached", "the gradient to mu is missing", "return mu.detach() + (0.5 * logvar).exp() * "
         "torch.randn_like(mu)"),
        ("sigma without gradients", "the gradient to logvar is missing",
         "with torch.no_grad():\n    sigma = (0.5 * logvar).exp()\nreturn mu + sigma * torch.randn_like(mu)"),
        ("numpy", "requires", "return torch.from_numpy(mu.numpy() + np.exp(logvar.numpy() / 2) * "
         "np.random.randn(*mu.shape))"),
        ("one epsilon for all latents of an image", "noise of two latents",
         "return mu + (0.5 * logvar).exp() * torch.randn(len(mu), 1)"),
        ("one epsilon for all images", None, "return mu + (0.5 * logvar).exp() * torch.randn(mu.shape[1])"),
        ("one epsilon for everything", None, "return mu + (0.5 * logvar).exp() * torch.randn(())"),
        ("a seed inside", "two calls", "torch.manual_seed(0)\n"
         "return mu + (0.5 * logvar).exp() * torch.randn_like(mu)"),
        ("no noise", "two calls", "return mu + (0.5 * logvar).exp()"),
        ("the wrong sign of logvar", None, "return mu + (-0.5 * logvar).exp() * torch.randn_like(mu)"),
        ("square root of logvar", None, "return mu + logvar.abs().sqrt() * torch.randn_like(mu)"),
        ("a prior's draw", None, "return (0.5 * logvar).exp() * torch.randn_like(mu)"),
        ("noise averaged", None, "return mu + (0.5 * logvar).exp() * (torch.randn_like(mu) + torch.randn_like(mu)) "
         "/ 2"),
        ("no return", "returned nothing", "z = mu + (0.5 * logvar).exp() * torch.randn_like(mu)"),
    ]),
    "check_kl": ("mu, logvar", [
        ("clamped", None, "lv = logvar.clamp(-5, 5)\nreturn -0.5 * torch.sum(1 + lv - mu ** 2 - lv.exp(), dim=1)"),
        ("averaged over everything", "averaged over images and latents",
         "return -0.5 * torch.mean(1 + logvar - mu ** 2 - logvar.exp())"),
        ("summed over everything", "summed over the images",
         "return -0.5 * torch.sum(1 + logvar - mu ** 2 - logvar.exp())"),
        ("the mean over images", "averaged over the images",
         "return -0.5 * torch.sum(1 + logvar - mu ** 2 - logvar.exp(), dim=1).mean()"),
        ("averaged over latents", "averaged over the latents", "return -0.5 * torch.mean(1 + logvar - mu ** 2 - "
         "logvar.exp(), dim=1)"),
        ("summed over images", "one number for each latent", "return -0.5 * torch.sum(1 + logvar - mu ** 2 - "
         "logvar.exp(), dim=0)"),
        ("not summed", "KL of each latent", "return -0.5 * (1 + logvar - mu ** 2 - logvar.exp())"),
        ("the wrong sign", "never negative", "return 0.5 * torch.sum(1 + logvar - mu ** 2 - logvar.exp(), dim=1)"),
        ("no factor 1/2", "factor 1/2", "return -torch.sum(1 + logvar - mu ** 2 - logvar.exp(), dim=1)"),
        ("the 1 forgotten", "the 1 is missing", "return 0.5 * torch.sum(mu ** 2 + logvar.exp() - logvar, dim=1)"),
        ("mu not squared", "mu is not squared", "return 0.5 * torch.sum(mu + logvar.exp() - 1 - logvar, dim=1)"),
        ("the absolute mu", None, "return 0.5 * torch.sum(mu.abs() + logvar.exp() - 1 - logvar, dim=1)"),
        ("exp forgotten", None, "return 0.5 * torch.sum(mu ** 2 + logvar - 1 - logvar, dim=1)"),
        ("logvar as the standard deviation", "taken for the standard deviation",
         "return 0.5 * torch.sum(mu ** 2 + logvar ** 2 - 1 - torch.log(logvar ** 2), dim=1)"),
        ("exp(logvar) squared", None, "return 0.5 * torch.sum(mu ** 2 + logvar.exp() ** 2 - 1 - logvar, dim=1)"),
        ("a column", "shape", "return -0.5 * torch.sum(1 + logvar - mu ** 2 - logvar.exp(), dim=1, keepdim=True)"),
        ("without a gradient", "no gradient", "return 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar).sum(1).detach()"),
        ("numpy", "require", "return torch.from_numpy((mu.numpy() ** 2 + np.exp(logvar.numpy()) - 1 - "
                             "logvar.numpy()).sum(1) / 2)"),
        ("in bits", None, "return 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar).sum(1) / math.log(2)"),
    ]),
    "check_loss": ("logits, x, mu, logvar, beta", [
        ("the logarithm of 1 + exp, which overflows", "exp(200)",
         "rec = (torch.log(1 + torch.exp(logits)) - x * logits).sum() / len(x)\n"
         "return rec + beta * losses.kl_divergence(mu, logvar).sum(1).mean()"),
        ("mean-reduced BCE with summed KL", "averaged over pixels",
         "bce = F.binary_cross_entropy_with_logits(logits, x)\n" + KL + "return bce + beta * kl"),
        ("both summed over the batch", "summed over the images",
         "bce = F.binary_cross_entropy_with_logits(logits, x, reduction='sum')\n"
         "return bce - beta * 0.5 * torch.sum(1 + logvar - mu ** 2 - logvar.exp())"),
        ("only the KL summed over the batch", "beta is really larger",
         BCE + "return bce - beta * 0.5 * torch.sum(1 + logvar - mu ** 2 - logvar.exp())"),
        ("the KL averaged over latents", "averaged over latents",
         BCE + "return bce - beta * 0.5 * torch.mean(1 + logvar - mu ** 2 - logvar.exp())"),
        ("clipped probabilities", "from logits", "p = torch.sigmoid(logits).clamp(1e-7, 1 - 1e-7)\n"
         "bce = -(x * p.log() + (1 - x) * (1 - p).log()).sum() / len(x)\n" + KL + "return bce + beta * kl"),
        ("probabilities", "from logits", "bce = F.binary_cross_entropy(torch.sigmoid(logits), x, reduction='sum') / "
         "len(x)\n"
         + KL + "return bce + beta * kl"),
        ("two sigmoids", "sigmoid twice",
         "bce = F.binary_cross_entropy_with_logits(torch.sigmoid(logits), x, reduction='sum') / len(x)\n" + KL +
         "return bce + beta * kl"),
        ("beta left out", "beta is not used", BCE + KL + "return bce + kl"),
        ("beta on both", "both terms", BCE + KL + "return beta * (bce + kl)"),
        ("beta on the reconstruction", "beta weights the reconstruction", BCE + KL + "return beta * bce + kl"),
        ("the KL subtracted", "wrong sign", BCE + KL + "return bce - beta * kl"),
        ("the squared error", "squared error",
         "rec = F.mse_loss(torch.sigmoid(logits), x, reduction='sum') / len(x)\n" + KL + "return rec + beta * kl"),
        ("one number for each image", "shape", "bce = F.binary_cross_entropy_with_logits(logits, x, "
         "reduction='none').flatten(1)\n"
         "return bce.sum(1) + beta * 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar).sum(1)"),
        ("a Python number", "no gradient", BCE + KL + "return (bce + beta * kl).item()"),
        ("a new tensor", "no gradient", BCE + KL + "return torch.tensor(float(bce + beta * kl))"),
        ("the KL detached", "gradient to mu", BCE + KL + "return bce + beta * kl.detach()"),
        ("the KL twice", "twice too large", BCE + KL + "return bce + 2 * beta * kl"),
        ("divided by pixels and images", "averaged over pixels",
         "bce = F.binary_cross_entropy_with_logits(logits, x, reduction='sum') / x.numel()\n" + KL + "return bce + "
          "beta * kl"),
        ("one channel", None, "bce = F.binary_cross_entropy_with_logits(logits[:, 0], x[:, 0], reduction='sum') / "
         "len(x)\n" + KL +
         "return bce + beta * kl"),
    ]),
}
