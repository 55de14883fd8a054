"""The discriminator of FactorVAE: it tells joint draws of the latents from independent ones.

Kim & Mnih 2018, "Disentangling by Factorising". Shapes: B images in a batch, D latents.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call


def permute_latents(z):
    """Each latent shuffled over the batch on its own: (B, D) -> (B, D), as if drawn from prod_d q(z_d).

    Kim & Mnih 2018, algorithm 1.
    """
    return z.gather(0, torch.rand_like(z).argsort(0))


class Discriminator(nn.Module):
    """The log-odds that z was drawn from q(z), and not from prod_d q(z_d): (B, D) -> (B,).

    Six layers of LeakyReLU, 1,000 wide in the paper (appendix A), which ends in two logits; their
    difference is the one logit here. At its best the log-odds are log q(z) / prod_d q(z_d).
    """

    def __init__(self, latent_dim, width=1000, layers=6):
        super().__init__()
        widths = [latent_dim] + [width] * layers
        hidden = [nn.Sequential(nn.Linear(a, b), nn.LeakyReLU(0.2)) for a, b in zip(widths, widths[1:])]
        self.net = nn.Sequential(*hidden, nn.Linear(width, 1))

    def forward(self, z):
        return self.net(z)[:, 0].float()

    def total_correlation(self, z):
        """TC = E_q(z)[log q(z) / prod_d q(z_d)], the mean of the log-odds, in nats: (B, D) -> a scalar.

        Its gradient goes to z alone: the objective does not train the discriminator. Kim & Mnih 2018, eq. 3.
        """
        frozen = {name: value.detach() for name, value in self.named_parameters()}
        return functional_call(self, frozen, z).mean()

    def loss(self, z):
        """How badly the two kinds of z are told apart, in nats: (B, D) -> a scalar; log 2 is a coin's guess.

        The mean of -log D(z) and -log(1 - D(z')), with z' = ``permute_latents(z)``. Its gradient goes to
        the discriminator alone. Kim & Mnih 2018, algorithm 2, which takes z' from a second batch.
        """
        z = z.detach()
        joint, independent = self(z), self(permute_latents(z))
        return 0.5 * (F.softplus(-joint).mean() + F.softplus(independent).mean())
