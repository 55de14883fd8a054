"""Mistakes planted in the exercises of notebook 07: what is wrong, words of the message, the code."""

TC = '''
def total_correlation(z, mu, logvar):
    log_q = losses.log_gaussian(z[:, None], mu[None], logvar[None])
    log_b = math.log(len(z))
    log_qz = {joint}
    log_qz_d = {each}
    return {result}
'''
JOINT, EACH = "torch.logsumexp(log_q.sum(2), 1) - log_b", "torch.logsumexp(log_q, 1) - log_b"
RESULT = "(log_qz - log_qz_d.sum(1)).mean()"

WRONG = {
    "check_total_correlation": [
        ("no weights", "(D - 1) log B nats too low",
         TC.format(joint=JOINT.removesuffix(" - log_b"), each=EACH.removesuffix(" - log_b"), result=RESULT)),
        ("no weight in the marginals", "the marginals lack their weight",
         TC.format(joint=JOINT, each=EACH.removesuffix(" - log_b"), result=RESULT)),
        ("no weight in the joint", "the joint density lacks its weight",
         TC.format(joint=JOINT.removesuffix(" - log_b"), each=EACH, result=RESULT)),
        ("sign turned", "the negative", TC.format(joint=JOINT, each=EACH, result="(log_qz_d.sum(1) - log_qz).mean()")),
        ("sum over the samples", "averaged over the samples z",
         TC.format(joint=JOINT.replace("2), 1", "2), 0"), each=EACH.replace("q, 1", "q, 0"), result=RESULT)),
        ("not averaged over the batch", "one number is wanted",
         TC.format(joint=JOINT, each=EACH, result="log_qz - log_qz_d.sum(1)")),
        ("averaged over latents", "is right", TC.format(joint=JOINT, each=EACH, result="(log_qz - log_qz_d.mean(1)).mean()")),
    ],
    "check_permute_latents": [
        ("one shuffle for all", "every latent needs its own shuffle", '''
def permute_latents(z):
    return z[torch.randperm(len(z))]
'''),
        ("shuffled over the latents", "has other values than before", '''
def permute_latents(z):
    return z[:, torch.randperm(z.shape[1])]
'''),
        ("drawn with replacement", "has other values than before", '''
def permute_latents(z):
    return z.gather(0, torch.randint(len(z), z.shape))
'''),
        ("in place", "the caller's z came back changed", '''
def permute_latents(z):
    for d in range(z.shape[1]):
        z[:, d] = z[torch.randperm(len(z)), d]
    return z
'''),
        ("first latent left", "latent 0 was not shuffled", '''
def permute_latents(z):
    columns = [z[:, 0]] + [z[torch.randperm(len(z)), d] for d in range(1, z.shape[1])]
    return torch.stack(columns, dim=1)
'''),
    ],
    "check_capacity_penalty": [
        ("no absolute value", "below the capacity you pay out", '''
def capacity_penalty(kl_per_latent, capacity, gamma):
    return gamma * (kl_per_latent.sum() - capacity)
'''),
        ("only above", "does not only allow them", '''
def capacity_penalty(kl_per_latent, capacity, gamma):
    return gamma * (kl_per_latent.sum() - capacity).clamp(min=0)
'''),
        ("each latent", "not for each", '''
def capacity_penalty(kl_per_latent, capacity, gamma):
    return gamma * (kl_per_latent - capacity).abs().sum()
'''),
        ("mean over latents", "not for each", '''
def capacity_penalty(kl_per_latent, capacity, gamma):
    return gamma * (kl_per_latent.mean() - capacity).abs()
'''),
        ("squared", "are right", '''
def capacity_penalty(kl_per_latent, capacity, gamma):
    return gamma * (kl_per_latent.sum() - capacity) ** 2
'''),
    ],
    "check_aggregate_covariance": [
        ("the means only", "that is Cov[mu]", '''
def aggregate_covariance(mu, logvar):
    return torch.cov(mu.T, correction=0)
'''),
        ("standard deviations", "variances add", '''
def aggregate_covariance(mu, logvar):
    return torch.cov(mu.T, correction=0) + (logvar / 2).exp().mean(0).diag()
'''),
        ("exp of the mean", "average the variances", '''
def aggregate_covariance(mu, logvar):
    return torch.cov(mu.T, correction=0) + logvar.mean(0).exp().diag()
'''),
        ("noise everywhere", "off the diagonal only mu counts", '''
def aggregate_covariance(mu, logvar):
    return torch.cov(mu.T, correction=0) + logvar.exp().mean(0)
'''),
    ],
}
