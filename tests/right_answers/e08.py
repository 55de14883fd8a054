"""Right answers to the exercises of notebook 08, in other styles than the solution's."""

RIGHT = {
    "check_total_correlation": ("z, mu, logvar", [
        "return losses.total_correlation(z, mu, logvar)",
        "log_q = losses.log_gaussian(z[:, None], mu[None], logvar[None])\n"
        "log_qz = torch.logsumexp(log_q.sum(2), dim=1)\n"
        "log_qz_d = torch.logsumexp(log_q, dim=1)\n"
        "return (log_qz - log_qz_d.sum(1)).mean() + (z.shape[1] - 1) * math.log(len(z))",
        "q = torch.distributions.Normal(mu[None], (logvar / 2).exp()[None])\nlog_q = q.log_prob(z[:, None])\n"
        "joint = log_q.sum(-1).logsumexp(1) - math.log(len(z))\n"
        "single = (log_q.logsumexp(1) - math.log(len(z))).sum(-1)\nreturn torch.mean(joint - single)",
        "z, mu, logvar = z.double(), mu.double(), logvar.double()\n"
        "q = torch.exp(losses.log_gaussian(z[:, None], mu[None], logvar[None]))\n"
        "return (q.prod(2).mean(1).log() - q.mean(1).log().sum(1)).mean()",
        "B, D = z.shape\ntotal = 0\nfor i in range(B):\n    log_q = losses.log_gaussian(z[i], mu, logvar)\n"
        "    joint = torch.logsumexp(log_q.sum(1), 0) - math.log(B)\n"
        "    total = total + joint - sum(torch.logsumexp(log_q[:, d], 0) - math.log(B) for d in range(D))\n"
        "return total / B",
        "log_q = losses.log_gaussian(z[:, None], mu[None], logvar[None]) - math.log(len(z))\n"
        "joint = torch.logsumexp(log_q.sum(2) + (z.shape[1] - 1) * math.log(len(z)), 1)\n"
        "return (joint - torch.logsumexp(log_q, 1).sum(1)).mean()",
        "log_q = -0.5 * ((z.unsqueeze(1) - mu.unsqueeze(0)) ** 2 / logvar.exp() + logvar + math.log(2 * math.pi))\n"
        "n = torch.tensor(float(len(z))).log()\n"
        "return (torch.logsumexp(log_q.sum(-1), 1) - n).mean() - (torch.logsumexp(log_q, 1) - n).sum(-1).mean()",
        "log_q = losses.log_gaussian(z[None], mu[:, None], logvar[:, None])     # the other way round: posteriors "
        "first\n"
        "joint = torch.logsumexp(log_q.sum(2), 0) - math.log(len(z))\n"
        "return (joint - (torch.logsumexp(log_q, 0) - math.log(len(z))).sum(1)).mean()",
        "log_q = losses.log_gaussian(z[:, None], mu[None], logvar[None])\nmost = log_q.amax(1, keepdim=True)\n"
        "single = (most + (log_q - most).exp().mean(1, keepdim=True).log()).squeeze(1).sum(1)\ns = log_q.sum(2)\n"
        "top = s.amax(1, keepdim=True)\njoint = (top + (s - top).exp().mean(1, keepdim=True).log()).squeeze(1)\n"
        "return torch.stack([j - m for j, m in zip(joint, single)]).mean()",
    ]),
    "check_permute_latents": ("z", [
        "return losses.permute_latents(z)",
        "return z.gather(0, torch.rand(z.shape).argsort(0))",
        "out = z.clone()\nfor d in range(z.shape[1]):\n    out[:, d] = z[torch.randperm(len(z)), d]\nreturn out",
        "out = torch.empty_like(z)\nfor d in range(z.shape[1]):\n    out[torch.randperm(len(z)), d] = z[:, d]\n"
        "return out",
        "index = torch.stack([torch.randperm(len(z)) for _ in range(z.shape[1])], dim=1)\n"
        "return torch.gather(z, 0, index)",
        "rng = np.random.default_rng()\nreturn torch.from_numpy(rng.permuted(z.numpy(), axis=0))",
        "columns = []\nfor column in z.T.numpy():\n    columns.append(np.random.permutation(column))\n"
        "return np.stack(columns, 1)",
        "import random\ncolumns = [random.sample(column, len(column)) for column in z.T.tolist()]\n"
        "return torch.tensor(columns).T",
        "index = torch.argsort(torch.randn_like(z), dim=0)\nreturn z[index, torch.arange(z.shape[1])]",
        "return torch.cat([z[torch.randperm(len(z)), d:d + 1] for d in range(z.shape[1])], dim=1).double()",
    ]),
    "check_capacity_penalty": ("kl_per_latent, capacity, gamma", [
        "return gamma * torch.abs(kl_per_latent.sum() - capacity)",
        "return gamma * abs(capacity - sum(kl_per_latent))",
        "gap = kl_per_latent.sum(dim=-1) - capacity\nreturn gamma * torch.maximum(gap, -gap)",
        "gap = kl_per_latent.sum() - capacity\nreturn gamma * (F.relu(gap) + F.relu(-gap))",
        "return gamma * F.l1_loss(kl_per_latent.sum(), torch.tensor(float(capacity)))",
        "total = 0\nfor kl in kl_per_latent:\n    total = total + kl\nreturn (total - capacity).abs() * gamma",
        "total = kl_per_latent.double().sum()\n"
        "return gamma * torch.where(total > capacity, total - capacity, capacity - total)",
        "return (gamma * (torch.einsum('d->', kl_per_latent) - capacity)).abs()",
        "gap = kl_per_latent.sum() - capacity\nreturn gamma * torch.sqrt(gap ** 2 + 1e-12)",
        "total = kl_per_latent.sum()\nif total > capacity:\n    return gamma * (total - capacity)\n"
        "return gamma * (capacity - total)",
    ]),
    "check_aggregate_covariance": ("mu, logvar", [
        "centred = mu - mu.mean(0)\nreturn centred.T @ centred / len(mu) + torch.diag(logvar.exp().mean(0))",
        "return losses.covariance(mu) + logvar.exp().mean(0).diag()",
        "m, v = mu.numpy(), np.exp(logvar.numpy())\n"
        "return torch.from_numpy(np.cov(m.T, ddof=0) + np.diag(v.mean(0)))",
        "m, v = mu.numpy(), np.exp(logvar.numpy())\nreturn np.cov(m, rowvar=False, bias=True) + np.diag(v.mean(0))",
        "return torch.cov(mu.T) + torch.diag(logvar.exp().mean(0))",
        "c = mu - mu.mean(0, keepdim=True)\n"
        "return (torch.einsum('ni,nj->nij', c, c) + torch.diag_embed(logvar.exp())).mean(0)",
        "mean = mu.mean(0)\nsecond = torch.einsum('ni,nj->ij', mu.double(), mu.double()) / len(mu)\n"
        "return second - torch.outer(mean, mean) + torch.diag(logvar.exp().mean(0))",
        "D = mu.shape[1]\nout = torch.zeros(D, D)\nfor i in range(D):\n    for j in range(D):\n"
        "        out[i, j] = ((mu[:, i] - mu[:, i].mean()) * (mu[:, j] - mu[:, j].mean())).mean()\n"
        "    out[i, i] += logvar[:, i].exp().mean()\nreturn out",
        "out = torch.cov(mu.T, correction=0)\nout.diagonal().add_(torch.exp(logvar / 2).square().mean(0))\n"
        "return out",
        "return torch.cov(mu.T, correction=0) + torch.eye(mu.shape[1]) * logvar.exp().mean(0)",
    ]),
}
