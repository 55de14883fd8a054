"""Natural mistakes in notebook 08: what is wrong, words of the message (None: numbers are shown), code."""

TC = '''log_q = losses.log_gaussian(z[:, None], mu[None], logvar[None])
log_b = math.log(len(z))
log_qz = {joint}
log_qz_d = {each}
return {result}
'''


def estimate(joint="torch.logsumexp(log_q.sum(2), 1) - log_b", each="torch.logsumexp(log_q, 1) - log_b",
             result="(log_qz - log_qz_d.sum(1)).mean()"):
    return TC.format(joint=joint, each=each, result=result)


JOINT, EACH = "torch.logsumexp(log_q.sum(2), 1)", "torch.logsumexp(log_q, 1)"
COV = "torch.cov(mu.T, correction=0)"

WRONG = {
    "check_total_correlation": ("z, mu, logvar", [
        ("no weights", "(D - 1) log B nats too low", estimate(joint=JOINT, each=EACH)),
        ("no weight in the marginals", "the marginals are sums", estimate(each=EACH)),
        ("no weight in the joint", "the joint density is a sum", estimate(joint=JOINT)),
        ("the constant once", "(D - 1) log B nats too low", estimate(each=EACH, result="(log_qz - (log_qz_d.sum(1) "
         "- log_b)).mean()")),
        ("sign turned", "sign", estimate(result="(log_qz_d.sum(1) - log_qz).mean()")),
        ("sum over the samples", "under one posterior",
         estimate(joint=JOINT.replace("2), 1", "2), 0") + " - log_b", each=EACH.replace("q, 1", "q, 0") + " - log_b")),
        ("not averaged over the batch", "one number for each code", estimate(result="log_qz - log_qz_d.sum(1)")),
        ("summed over the batch", "sum over the batch", estimate(result="(log_qz - log_qz_d.sum(1)).sum()")),
        ("averaged over latents", None, estimate(result="(log_qz - log_qz_d.mean(1)).mean()")),
        ("clamped at zero", None, estimate(joint=JOINT, each=EACH, result="(log_qz - "
         "log_qz_d.sum(1)).mean().clamp(min=0)")),
        ("the absolute value", None, estimate(joint=JOINT, each=EACH, result="(log_qz - "
         "log_qz_d.sum(1)).mean().abs()")),
        ("divided by the batch", None, estimate(joint=JOINT, each=EACH, result="(log_qz - log_qz_d.sum(1)).mean() / "
         "len(z)")),
        ("log of D", None, estimate().replace("math.log(len(z))", "math.log(z.shape[1])")),
        ("log B squared", None, estimate().replace("math.log(len(z))", "2 * math.log(len(z))")),
        ("a Python number", "no gradient", estimate(result="(log_qz - log_qz_d.sum(1)).mean().item()")),
        ("detached", "no gradient", estimate(result="(log_qz - log_qz_d.sum(1)).mean().detach()")),
        ("the joint detached", "gradient", estimate(result="(log_qz.detach() - log_qz_d.sum(1)).mean()")),
        ("plus instead of minus", None, estimate(joint=JOINT + " + log_b", each=EACH + " + log_b")),
        ("the sum of the latents before the log", None, estimate(each=EACH.replace("log_q,", "log_q.sum(2, "
         "keepdim=True),") + " - log_b")),
        ("mutual information", None, estimate(result="(losses.log_gaussian(z, mu, logvar).sum(1) - log_qz).mean()")),
    ]),
    "check_permute_latents": ("z", [
        ("one shuffle for all", "same shuffle", "return z[torch.randperm(len(z))]"),
        ("one index, gathered", "same shuffle", "index = torch.randperm(len(z))[:, None].expand_as(z)\n"
         "return z.gather(0, index)"),
        ("shuffled over the latents", "other values", "return z[:, torch.randperm(z.shape[1])]"),
        ("shuffled within each row", "other values", "return z.gather(1, torch.rand_like(z).argsort(1))"),
        ("everything shuffled", "other values", "return z.flatten()[torch.randperm(z.numel())].reshape(z.shape)"),
        ("drawn with replacement", "other values", "return z.gather(0, torch.randint(len(z), z.shape))"),
        ("in place", "in place", "for d in range(z.shape[1]):\n    z[:, d] = z[torch.randperm(len(z)), d]\nreturn z"),
        ("first latent left", "latent 0, or most of it",
         "return torch.stack([z[:, 0]] + [z[torch.randperm(len(z)), d] for d in range(1, z.shape[1])], dim=1)"),
        ("rolled", None, "return torch.stack([c.roll(d + 1) for d, c in enumerate(z.T)], dim=1)"),
        ("rolled by chance", "neighbours",
         "return torch.stack([c.roll(int(torch.randint(1, len(z), ()))) for c in z.T], dim=1)"),
        ("a seed inside", None, "torch.manual_seed(0)\nreturn z.gather(0, torch.rand_like(z).argsort(0))"),
        ("sorted", None, "return z.sort(0).values"),
        ("new noise", "other values", "return torch.randn_like(z)"),
        ("noise with the right moments", "other values", "return z.mean(0) + z.std(0) * torch.randn_like(z)"),
        ("nothing done", None, "return z.clone()"),
        ("turned round", None, "return z.flip(0)"),
        ("one latent shuffled", "not shuffled",
         "out = z.clone()\nout[:, 0] = z[torch.randperm(len(z)), 0]\nreturn out"),
        ("transposed", "shape", "return torch.stack([c[torch.randperm(len(z))] for c in z.T])"),
        ("half of the batch", None, "out = z.clone()\nn = len(z) // 3\nfor d in range(z.shape[1]):\n"
         "    out[:n, d] = z[:n, d][torch.randperm(n)]\nreturn out"),
        ("no return", "returned nothing", "torch.stack([c[torch.randperm(len(z))] for c in z.T], dim=1)"),
    ]),
    "check_capacity_penalty": ("kl_per_latent, capacity, gamma", [
        ("no absolute value", "pay out", "return gamma * (kl_per_latent.sum() - capacity)"),
        ("the other way round", "sign", "return gamma * (capacity - kl_per_latent.sum())"),
        ("only above", "fewer nats", "return gamma * (kl_per_latent.sum() - capacity).clamp(min=0)"),
        ("only below", "more nats", "return gamma * F.relu(capacity - kl_per_latent.sum())"),
        ("each latent", "of each latent", "return gamma * (kl_per_latent - capacity).abs().sum()"),
        ("each latent, its share of C", None, "return gamma * (kl_per_latent - capacity / "
         "len(kl_per_latent)).abs().sum()"),
        ("mean over latents", "sum the KL", "return gamma * (kl_per_latent.mean() - capacity).abs()"),
        ("not summed", None, "return gamma * (kl_per_latent - capacity).abs()"),
        ("squared", "squared", "return gamma * (kl_per_latent.sum() - capacity) ** 2"),
        ("gamma left out", "gamma is missing", "return (kl_per_latent.sum() - capacity).abs()"),
        ("gamma on the KL alone", None, "return (gamma * kl_per_latent.sum() - capacity).abs()"),
        ("the absolute values of the KL", None, "return gamma * kl_per_latent.sum().abs() - capacity"),
        ("a Python number", "no gradient", "return gamma * abs(kl_per_latent.sum().item() - capacity)"),
        ("detached", "no gradient", "return gamma * (kl_per_latent.detach().sum() - capacity).abs()"),
        ("a new tensor", "no gradient", "return torch.tensor(gamma * abs(float(kl_per_latent.sum()) - capacity))"),
        ("the largest latent", None, "return gamma * (kl_per_latent.max() - capacity).abs()"),
        ("in bits", None, "return gamma * (kl_per_latent.sum() / math.log(2) - capacity).abs()"),
        ("plus the KL", None, "return kl_per_latent.sum() + gamma * (kl_per_latent.sum() - capacity).abs()"),
    ]),
    "check_aggregate_covariance": ("mu, logvar", [
        ("the means only", "covariance of mu", f"return {COV}"),
        ("standard deviations", "variances add", f"return {COV} + (logvar / 2).exp().mean(0).diag()"),
        ("exp of the mean", "average the variances", f"return {COV} + logvar.mean(0).exp().diag()"),
        ("logvar itself", "you add logvar", f"return {COV} + logvar.mean(0).diag()"),
        ("noise everywhere", "off the diagonal", f"return {COV} + logvar.exp().mean(0)"),
        ("noise in columns", None, f"return {COV} + logvar.exp().mean(0)[:, None]"),
        ("summed over images", "sum the variances", f"return {COV} + logvar.exp().sum(0).diag()"),
        ("not centred", "not subtracted", "return mu.T @ mu / len(mu) + logvar.exp().mean(0).diag()"),
        ("a correlation", "correlation", "return torch.corrcoef(mu.T) + logvar.exp().mean(0).diag()"),
        ("the noise only", "only the noise", "return logvar.exp().mean(0).diag()"),
        ("the covariance of the variances", None, f"return {COV} + torch.cov(logvar.exp().T, correction=0)"),
        ("one draw", None, "z = mu + (logvar / 2).exp() * torch.randn_like(mu)\nreturn torch.cov(z.T, correction=0)"),
        ("one variance for all", None, f"return {COV} + logvar.exp().mean() * torch.eye(mu.shape[1])"),
        ("over images instead of latents", None, "return torch.cov(mu, correction=0)"),
        ("the scatter, not divided", None, "c = mu - mu.mean(0)\nreturn c.T @ c + logvar.exp().sum(0).diag()"),
        ("the diagonal only", None, f"return {COV}.diagonal() + logvar.exp().mean(0)"),
        ("means over latents subtracted", None, "c = mu - mu.mean(1, keepdim=True)\n"
         "return c.T @ c / len(mu) + logvar.exp().mean(0).diag()"),
        ("an identity instead of the noise", None, f"return {COV} + torch.eye(mu.shape[1])"),
    ]),
}
