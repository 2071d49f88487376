"""L-BFGS from torch.optim; steepest descent under a norm in NumPy, from Bernstein and Newhouse 2024 and the paper on modular
duality, by singular value decomposition."""
import numpy as np
import torch

from harness import File, SHAPES, STEPS, numpy_trace, quadratic, start


def lbfgs(**options):
    tensors = {name: torch.nn.Parameter(torch.tensor(start(name))) for name in SHAPES}
    optimizer = torch.optim.LBFGS(list(tensors.values()), **options)
    for t in range(1, STEPS + 1):
        constants = {name: [torch.tensor(x) for x in quadratic(name, t)] for name in SHAPES}

        def closure():
            optimizer.zero_grad()
            loss = sum((curvature * (tensors[name] - center) ** 2).sum() for name, (curvature, center) in constants.items()) * 0.5
            loss.backward()
            return loss

        optimizer.step(closure)
        yield t, {name: tensor.detach().numpy().copy() for name, tensor in tensors.items()}


def orthogonal(g):
    u, _, vh = np.linalg.svd(g, full_matrices=False)
    return u @ vh


def rows(g):
    return g / np.sqrt((g**2).mean(-1, keepdims=True))


def linear(g):
    return np.sqrt(g.shape[0] / g.shape[1]) * orthogonal(g)


def kernel(g):
    result = np.empty_like(g)
    for y in range(g.shape[2]):
        for x in range(g.shape[3]):
            result[:, :, y, x] = linear(g[:, :, y, x]) / (g.shape[2] * g.shape[3])
    return result


def layer(f):
    return lambda g: f(g.reshape(len(g), -1)).reshape(g.shape)


def directions(norm, gradients):
    everything = np.concatenate([g.ravel() for g in gradients.values()])
    if norm == "l2":
        return {n: g / np.linalg.norm(everything) for n, g in gradients.items()}
    if norm == "l1":
        largest = np.abs(everything).max()
        return {n: np.where(np.abs(g) == largest, np.sign(g), 0) for n, g in gradients.items()}
    if norm == "modular":
        share = 1 / len(gradients)  # a chain of equal masses and sensitivities 1
        maps = {"vector": lambda g: rows(g[None])[0], "tall": linear, "wide": linear, "square": linear, "conv": kernel}
        return {n: share * maps[n](g) for n, g in gradients.items()}
    one = {"linf": np.sign, "spectral": layer(orthogonal), "rms_to_rms": layer(linear),
           "l1_to_rms": lambda g: rows(g[None])[0] if g.ndim < 2 else layer(rows)(g)}[norm]
    return {n: one(g) for n, g in gradients.items()}


def descent(norm, momentum=0.0, decay=0.0, exact=False):
    def step(t, weights, gradients, memory):
        for n, g in gradients.items():
            memory[n] = momentum * memory.get(n, 0) + (1 - momentum) * g
        moves = directions(norm, memory)
        factor = sum((memory[n] * moves[n]).sum() for n in moves) if exact else 1
        for n in weights:
            weights[n] = weights[n] * (1 - 0.05 * decay) - 0.05 * factor * moves[n]
    return step


def main():
    file = File("lbfgs", f"torch.optim.LBFGS {torch.__version__.split('+')[0]}")
    file.case("plain", {"lr": 0.5, "max_iter": 4}, lbfgs(lr=0.5, max_iter=4), loss="quadratic")
    file.case("short", {"lr": 0.5, "max_iter": 2, "history_size": 3}, lbfgs(lr=0.5, max_iter=2, history_size=3), loss="quadratic")
    file.case("wolfe", {"max_iter": 4, "max_eval": 40, "line_search": "strong_wolfe"},
              lbfgs(max_iter=4, max_eval=40, line_search_fn="strong_wolfe"), loss="quadratic")
    file.write()

    file = File("steepest_descent", "NumPy, from Bernstein and Newhouse 2024")
    for norm in ("l2", "linf", "l1", "spectral", "rms_to_rms", "l1_to_rms", "modular"):
        file.case(norm, {"lr": 0.05, "norm": norm, "momentum": 0.5, "weight_decay": 0.1}, numpy_trace(descent(norm, 0.5, 0.1)))
    file.case("exact", {"lr": 0.05, "norm": "spectral", "exact_step": True}, numpy_trace(descent("spectral", exact=True)))
    file.write()


if __name__ == "__main__":
    main()
