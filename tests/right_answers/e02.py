"""Right answers to the exercises of notebook 02, in other styles than the solution's."""

RIGHT = {
    "check_output_size": ("n, kernel, stride, padding", [
        "return math.floor((n + 2 * padding - kernel) / stride) + 1",
        "return (n + 2 * padding - kernel + stride) // stride",
        "return int((n + 2 * padding - kernel) / stride + 1)",
        "return nn.Conv2d(1, 1, kernel, stride, padding)(torch.zeros(1, 1, n, n)).shape[-1]",
        "return F.conv1d(torch.zeros(1, 1, n), torch.zeros(1, 1, kernel), stride=stride, padding=padding).shape[2]",
        "return len(range(0, n + 2 * padding - kernel + 1, stride))",
        "count, left = 0, 0\nwhile left + kernel <= n + 2 * padding:\n    count, left = count + 1, left + stride\n"
        "return count",
        "return np.floor((n + 2 * padding - kernel) / stride) + 1",
        "return torch.tensor((n + 2 * padding - kernel) // stride + 1)",
        "return -(-(n + 2 * padding - kernel + 1) // stride)",
    ]),
    "check_sample": ("mu, logvar", [
        "return torch.distributions.Normal(mu, (0.5 * logvar).exp()).rsample()",
        "return mu + logvar.exp().sqrt() * torch.randn_like(logvar)",
        "return torch.addcmul(mu, (logvar / 2).exp(), torch.randn(mu.shape))",
        "return mu + (0.5 * logvar).exp() * torch.randn(*mu.shape)",
        "epsilon = torch.empty_like(mu).normal_()\nreturn epsilon * torch.exp(logvar / 2) + mu",
        "std = torch.exp(logvar).pow(0.5)\nreturn mu + std * torch.normal(torch.zeros_like(mu), torch.ones_like(mu))",
        "epsilon = torch.from_numpy(np.random.randn(*mu.shape))\n"
        "return mu.double() + (0.5 * logvar.double()).exp() * epsilon",
        "return torch.stack([m + torch.exp(0.5 * l) * torch.randn(len(m)) for m, l in zip(mu.T, logvar.T)], dim=1)",
        "a, b = torch.rand_like(mu), torch.rand_like(mu)\n"
        "epsilon = (-2 * (1 - a).log()).sqrt() * (2 * math.pi * b).cos()\nreturn mu + (logvar / 2).exp() * epsilon",
        "return torch.distributions.Independent(torch.distributions.Normal(mu, (0.5 * logvar).exp()), 1).rsample()",
    ]),
    "check_kl": ("mu, logvar", [
        "return -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(dim=1)",
        "q = torch.distributions.Normal(mu, (0.5 * logvar).exp())\n"
        "return torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(1)",
        "return losses.kl_divergence(mu, logvar).sum(-1)",
        "mu, logvar = mu.double(), logvar.double()\nreturn 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar).sum(1)",
        "return torch.stack([0.5 * (m @ m + l.exp().sum() - len(m) - l.sum()) for m, l in zip(mu, logvar)])",
        "sigma = torch.exp(logvar / 2)\nreturn ((sigma ** 2 + mu ** 2) / 2 - 0.5 - sigma.log()).sum(dim=1)",
        "return 0.5 * (torch.einsum('bd,bd->b', mu, mu) + torch.expm1(logvar).sum(1) - logvar.sum(1))",
        "total = 0\nfor d in range(mu.shape[1]):\n"
        "    total = total + 0.5 * (mu[:, d] ** 2 + logvar[:, d].exp() - 1 - logvar[:, d])\n"
        "return total",
        "d = mu.shape[1]\nreturn 0.5 * (logvar.exp().sum(1) + mu.square().sum(1) - d - logvar.sum(1))",
        "q = torch.distributions.MultivariateNormal(mu, torch.diag_embed(logvar.exp()))\n"
        "p = torch.distributions.MultivariateNormal(torch.zeros_like(mu), torch.eye(mu.shape[1]))\n"
        "return torch.distributions.kl_divergence(q, p)",
    ]),
    "check_loss": ("logits, x, mu, logvar, beta", [
        "bce = F.binary_cross_entropy_with_logits(logits, x, reduction='none').sum((1, 2, 3))\n"
        "kl = losses.kl_divergence(mu, logvar).sum(1)\nreturn (bce + beta * kl).mean()",
        "return losses.bernoulli(logits, x) + beta * losses.kl_divergence(mu, logvar).sum(1).mean()",
        "rec = -torch.distributions.Bernoulli(logits=logits).log_prob(x).sum() / len(x)\n"
        "kl = -0.5 * (1 + logvar - mu ** 2 - logvar.exp()).sum() / len(x)\nreturn rec + beta * kl",
        "rec = (F.softplus(logits) - x * logits).flatten(1).sum(1).mean()\n"
        "kl = (0.5 * (mu ** 2 + logvar.exp() - 1 - logvar)).sum(1).mean()\nreturn rec + beta * kl",
        "rec = -(x * F.logsigmoid(logits) + (1 - x) * F.logsigmoid(-logits)).sum() / x.shape[0]\n"
        "return rec + beta * 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar).sum() / x.shape[0]",
        "logits, x, mu, logvar = (t.double() for t in (logits, x, mu, logvar))\n"
        "rec = nn.BCEWithLogitsLoss(reduction='sum')(logits, x) / len(x)\n"
        "return rec + beta * (0.5 * (mu ** 2 + logvar.exp() - 1 - logvar)).sum() / len(x)",
        "total = 0\nfor i in range(len(x)):\n"
        "    total = total + F.binary_cross_entropy_with_logits(logits[i], x[i], reduction='sum')\n"
        "    total = total + beta * 0.5 * (mu[i] ** 2 + logvar[i].exp() - 1 - logvar[i]).sum()\n"
        "return total / len(x)",
        "rec = F.binary_cross_entropy_with_logits(logits, x) * x[0].numel()\n"
        "q = torch.distributions.Normal(mu, (0.5 * logvar).exp())\n"
        "kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(torch.zeros_like(mu), "
        "torch.ones_like(mu)))\n"
        "return rec + beta * kl.sum() / len(mu)",
        "rec = (logits.clamp(min=0) - logits * x + torch.log1p(torch.exp(-logits.abs()))).sum()\n"
        "kl = 0.5 * (torch.einsum('bd,bd->', mu, mu) + logvar.exp().sum() - mu.numel() - logvar.sum())\n"
        "return (rec + beta * kl) / logits.shape[0]",
    ]),
}
