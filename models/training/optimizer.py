"""AdamW, and for the autoencoder Muon for the matrices inside the network.

Muon: Jordan et al. 2024, Newton-Schulz orthogonalised momentum; step size matched to Adam's as in Liu et al. 2025, "Muon is
scalable". The work of one step is shared out among the worker threads.
"""
import torch

OUTER = ("conv_in", "conv_out", "genre", "mood", "time", "null", "scene_")


@torch.no_grad()
def orthogonalise(g, steps=5):
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g / (g.norm() + 1e-7)
    flipped = x.shape[0] > x.shape[1]
    x = x.T if flipped else x
    for _ in range(steps):
        s = x @ x.T
        x = a * x + (b * s + c * s @ s) @ x
    return x.T if flipped else x


class Optimizer:
    def __init__(self, named, muon=True, decay=0.01):
        self.named = [(n, p) for n, p in named]
        self.inner = {n for n, p in self.named
                      if muon and p.ndim >= 2 and not any(part.startswith(OUTER) for part in n.split("."))}
        self.decay, self.steps = decay, 0
        self.m = {n: torch.zeros_like(p) for n, p in self.named}
        self.v = {n: torch.zeros_like(p) for n, p in self.named if n not in self.inner}

    @torch.no_grad()
    def step(self, grads, lr, run=map, clip=1.0):
        """grads in the order of `named`; `run` maps a function over parameters (a thread pool's map). -> gradient norm."""
        norm = torch.stack([g.norm() for g in grads]).norm()
        if not torch.isfinite(norm):
            return float("nan")
        k = min(1.0, clip / (float(norm) + 1e-9))
        self.steps += 1

        @torch.no_grad()                # gradient mode is a property of the thread
        def one(item):
            (n, p), g = item
            g = g * k
            if n in self.inner:
                m = self.m[n].lerp_(g, 0.05)
                u = orthogonalise(g.lerp(m, 0.95).flatten(1))
                p.mul_(1 - lr * self.decay).add_(u.view_as(p), alpha=-lr * 0.2 * max(u.shape) ** 0.5)
            else:
                m, v = self.m[n].lerp_(g, 0.1), self.v[n].lerp_(g * g, 0.01)
                d = (v / (1 - 0.99 ** self.steps)).sqrt().add_(1e-8)
                p.add_(m / (1 - 0.9 ** self.steps) / d, alpha=-lr)
        items = sorted(zip(self.named, grads), key=lambda i: -i[1].numel())
        list(run(one, items))
        return float(norm)

    def state_dict(self):
        return {"m": self.m, "v": self.v, "steps": self.steps}

    def load_state_dict(self, s):
        self.steps = s["steps"]
        for own, saved in ((self.m, s["m"]), (self.v, s["v"])):
            for n in own:
                own[n].copy_(saved[n])
