"""GaLore and APOLLO from the authors' packages (galore-torch, apollo-torch), Fira in NumPy from its paper, algorithm 1.

Replaced in the packages: singular vectors are computed in f64 with the largest entry positive, and the random projection
is the stream of core/random.h (Philox4x32-10, Box-Muller), written again here. Kernels are given as [out, the rest].
"""
import sys
import types

import numpy as np
import torch

for missing in ("transformers", "transformers.utils", "transformers.utils.versions", "transformers.optimization",
                "bitsandbytes", "bitsandbytes.optim", "bitsandbytes.optim.optimizer", "bitsandbytes.functional"):
    sys.modules.setdefault(missing, types.ModuleType(missing))  # imported by the packages, not used here
sys.modules["transformers.utils.versions"].require_version = lambda *_: None
sys.modules["bitsandbytes.optim.optimizer"].Optimizer2State = torch.optim.Optimizer

import apollo_torch.apollo
import apollo_torch.random_projector
import apollo_torch.svd_projector
import galore_torch.adamw
import galore_torch.galore_projector

from harness import File, SHAPES, STEPS, gradient, start

MATRICES = ("tall", "wide", "square", "conv")
MASK = 0xFFFFFFFF


def philox(counter, key):
    x, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * x[0], 0xCD9E8D57 * x[2]
        x = [(b >> 32) ^ x[1] ^ k[0], b & MASK, (a >> 32) ^ x[3] ^ k[1], a & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return x


def words(key):
    return key & MASK, key >> 32


def split(key, index):
    block = philox((index & MASK, index >> 32, 0, 2), words(key))
    return block[1] << 32 | block[0]


def randn(count, key):
    values = []
    for block in range((count + 1) // 2):
        out = philox((block, 0, 0, 0), words(key))
        u = [((out[2 * i + 1] << 32 | out[2 * i]) >> 11) * 2.0**-53 for i in range(2)]
        radius = np.sqrt(-2 * np.log(u[0] + 2.0**-54))
        values += [radius * np.cos(2 * np.pi * u[1]), radius * np.sin(2 * np.pi * u[1])]
    return np.array(values[:count])


def vectors(matrix, rank, kind):
    u, _, vh = np.linalg.svd(matrix.numpy(), full_matrices=False)
    rows = vh[:rank] if kind == "right" else u[:, :rank].T
    rows = np.array([row * np.sign(row[np.argmax(np.abs(row))]) for row in rows])
    return torch.tensor(rows if kind == "right" else rows.T)


def patched_svd(self, weights, rank, type):
    return vectors(weights.detach(), rank, type)


galore_torch.galore_projector.GaLoreProjector.get_orthogonal_matrix = patched_svd
apollo_torch.svd_projector.GaLoreProjector.get_orthogonal_matrix = patched_svd


def patched_random(self, weights, rank, type, seed):
    shape = (rank, weights.shape[1]) if type == "right" else (weights.shape[0], rank)
    key = split(seed, 0 if not hasattr(self, "refreshes") else self.refreshes)
    self.refreshes = getattr(self, "refreshes", 0) + 1
    return torch.tensor(randn(shape[0] * shape[1], key).reshape(shape) / np.sqrt(rank))


apollo_torch.random_projector.GradientProjector.get_orthogonal_matrix = patched_random
apollo_torch.random_projector.next_seed = lambda seed: seed  # the stream is split by the number of the refresh instead


def trace(factory, group, **options):
    tensors = {name: torch.nn.Parameter(torch.tensor(start(name).reshape(SHAPES[name][0], -1))) for name in MATRICES}
    optimizer = factory([{"params": list(tensors.values()), **group}], no_deprecation_warning=True, **options)
    for t in range(1, STEPS + 1):
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(gradient(name, t).reshape(SHAPES[name][0], -1))
        optimizer.step()
        yield t, {name: tensor.detach().numpy().copy() for name, tensor in tensors.items()}


def fira(lr, betas, eps, decay, rank, gap, alpha):
    weights = {name: start(name).reshape(SHAPES[name][0], -1) for name in MATRICES}
    memory = {name: {} for name in MATRICES}
    for t in range(1, STEPS + 1):
        for name, w in weights.items():
            g, s = gradient(name, t).reshape(w.shape), memory[name]
            right = w.shape[0] >= w.shape[1]
            if (t - 1) % gap == 0:
                s["P"] = vectors(torch.tensor(g), rank, "right" if right else "left").numpy()
            r = g @ s["P"].T if right else s["P"].T @ g
            back = (lambda x: x @ s["P"]) if right else (lambda x: s["P"] @ x)
            s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * r
            s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * r * r
            n = s["m"] / (np.sqrt(s["v"]) + eps)
            axis = 1 if right else 0
            phi = np.linalg.norm(n, axis=axis, keepdims=True) / (np.linalg.norm(r, axis=axis, keepdims=True) + 1e-8)
            rest = (g - alpha * back(r)) * phi
            size = np.linalg.norm(rest)
            limiter = max(size / (s["norm"] + 1e-8), 1.01) / 1.01 if "norm" in s else 1
            s["norm"] = size / limiter
            step = lr * np.sqrt(1 - betas[1] ** t) / (1 - betas[0] ** t)
            w -= step * (alpha * back(n) + rest / limiter)
            w -= lr * decay * w
        yield t, {name: w.copy() for name, w in weights.items()}


def main():
    file = File("galore", "galore-torch 1.0, singular vectors in f64 with the largest entry positive")
    for name, rank, gap, scale, options in (("rank2", 2, 200, 0.25, {"lr": 0.05}),
                                            ("refreshed", 1, 5, 0.5, {"lr": 0.05, "weight_decay": 0.1, "eps": 0.01})):
        group = {"rank": rank, "update_proj_gap": gap, "scale": scale, "proj_type": "std"}
        file.case(name, {"takes": "matrices", "rank": rank, "update_proj_gap": gap, "scale": scale, **options},
                  trace(galore_torch.adamw.AdamW, group, **options), MATRICES)
    file.write()

    file = File("fira", "NumPy, from Chen et al. 2024, algorithm 1")
    file.case("rank2", {"takes": "matrices", "rank": 2, "lr": 0.05}, fira(0.05, (0.9, 0.999), 1e-6, 0, 2, 200, 0.25), MATRICES)
    file.case("refreshed", {"takes": "matrices", "rank": 1, "lr": 0.05, "betas": "0.8,0.9", "eps": 0.01, "weight_decay": 0.1, "update_proj_gap": 5,
                            "scale": 0.5}, fira(0.05, (0.8, 0.9), 0.01, 0.1, 1, 5, 0.5), MATRICES)
    file.write()

    def apollo(file, name, shown, group, front=False, limiter=True, **options):
        group = {"proj_type": "std", "update_proj_gap": 200, "scale": 1, "scale_type": "channel", "proj": "random", **group}
        file.case(name, shown, trace(apollo_torch.apollo.AdamW, group, scale_front=front, disable_nl=not limiter, **options), MATRICES)

    file = File("apollo", "apollo-torch 1.0.3 with the random stream of core/random.h")
    apollo(file, "channel", {"takes": "matrices", "rank": 2, "lr": 0.05}, {"rank": 2}, lr=0.05)
    apollo(file, "refreshed", {"takes": "matrices", "rank": 2, "lr": 0.05, "weight_decay": 0.1, "update_proj_gap": 5, "scale": 2, "scale_front": True, "limiter": False},
           {"rank": 2, "update_proj_gap": 5, "scale": 2}, front=True, limiter=False, lr=0.05, weight_decay=0.1)
    apollo(file, "svd", {"takes": "matrices", "rank": 2, "lr": 0.05, "update_proj_gap": 4, "projection": "svd"},
           {"rank": 2, "update_proj_gap": 4, "proj": "svd"}, lr=0.05)
    file.write()
    file = File("apollo_mini", "apollo-torch 1.0.3 with the random stream of core/random.h")
    apollo(file, "plain", {"takes": "matrices", "lr": 0.01}, {"rank": 1, "scale": 128, "scale_type": "tensor"}, lr=0.01)
    apollo(file, "front", {"takes": "matrices", "lr": 0.01, "scale": 64, "scale_front": True, "update_proj_gap": 5},
           {"rank": 1, "scale": 64, "scale_type": "tensor", "update_proj_gap": 5}, front=True, lr=0.01)
    file.write()


if __name__ == "__main__":
    main()
