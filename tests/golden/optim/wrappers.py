"""Methods around another optimizer: SAM and its relatives, averages, Lookahead. NumPy, from the papers; Lookahead and
averages are checked against torch.optim.swa_utils where it has them."""
import numpy as np
import torch

from harness import File, RECORDED, SHAPES, STEPS, gradient, numpy_trace, quadratic, start, torch_trace

LR = 0.1


def loss_gradient(t, weights):
    """Of the quadratic loss of step t at the given weights."""
    result = {}
    for name, w in weights.items():
        curvature, center = quadratic(name, t)
        result[name] = curvature * (w - center)
    return result


def loss_trace(step):
    weights = {name: start(name) for name in SHAPES}
    memory = {}
    for t in range(1, STEPS + 1):
        step(t, weights, memory)
        yield t, {name: w.copy() for name, w in weights.items()}


def flat(parts):
    return np.concatenate([parts[name].ravel() for name in SHAPES])


def perturbed(weights, g, rho, p):
    everything = flat(g)
    if p == 1:
        where = np.argmax(np.abs(everything))
        e = np.zeros_like(everything)
        e[where] = rho * np.sign(everything[where])
    elif np.isinf(p):
        e = rho * np.sign(everything)
    else:
        q = p / (p - 1)
        e = rho * np.sign(everything) * np.abs(everything) ** (q - 1) / (np.abs(everything) ** q).sum() ** (1 / p)
    moved, at = {}, 0
    for name, w in weights.items():
        moved[name] = w + e[at:at + w.size].reshape(w.shape)
        at += w.size
    return moved


def sam(rho, p):
    def step(t, weights, memory):
        g = loss_gradient(t, perturbed(weights, loss_gradient(t, weights), rho, p))
        for name in weights:
            memory[name] = 0.9 * memory.get(name, 0) + g[name] if t > 1 else g[name]
            weights[name] = weights[name] - LR * memory[name]
    return step


def asam(rho, scale):
    """`scale` maps weights to T: |w| for davda54/sam. The names here hold no "weight", so the authors' code has T = 1."""
    def step(t, weights, memory):
        g = loss_gradient(t, weights)
        length = np.sqrt(sum(((scale(weights[n]) * g[n]) ** 2).sum() for n in weights)) + 1e-12
        moved = {n: w + rho * scale(w) ** 2 * g[n] / length for n, w in weights.items()}
        g = loss_gradient(t, moved)
        for name in weights:
            weights[name] = weights[name] - LR * g[name]
    return step


def looksam(rho, k, alpha):
    def step(t, weights, memory):
        g = loss_gradient(t, weights)
        size = np.linalg.norm(flat(g))
        if (t - 1) % k == 0:
            used = loss_gradient(t, perturbed(weights, g, rho, 2))
            along = flat(used) @ flat(g) / size**2
            memory["v"] = {n: used[n] - along * g[n] for n in weights}
        else:
            factor = alpha * size / np.linalg.norm(flat(memory["v"]))
            used = {n: g[n] + factor * memory["v"][n] for n in weights}
        for name in weights:
            weights[name] = weights[name] - LR * used[name]
    return step


def averaged(make_average, update_after=lambda t: True):
    """torch.optim.swa_utils.AveragedModel around SGD with momentum 0.5; publishes the average."""
    module = torch.nn.ParameterDict({n: torch.nn.Parameter(torch.tensor(start(n))) for n in SHAPES})
    optimizer = torch.optim.SGD(module.parameters(), lr=LR, momentum=0.5)
    model = make_average(module)
    for t in range(1, STEPS + 1):
        for name, tensor in module.items():
            tensor.grad = torch.tensor(gradient(name, t))
        optimizer.step()
        if update_after(t):
            model.update_parameters(module)
        published = model.module if model.n_averaged > 0 else module
        yield t, {n: published[n].detach().numpy().copy() for n in SHAPES}


def lookahead(k, alpha):
    def step(t, weights, gradients, memory):
        if t == 1:
            memory["slow"] = {n: w.copy() for n, w in weights.items()}
        for n, g in gradients.items():
            memory[n] = 0.5 * memory.get(n, 0) + g
            weights[n] = weights[n] - LR * memory[n]
            if t % k == 0:
                memory["slow"][n] = memory["slow"][n] + alpha * (weights[n] - memory["slow"][n])
                weights[n] = memory["slow"][n].copy()
    return step


def primal(decay):
    def step(t, weights, gradients, memory):
        for n, g in gradients.items():
            z = memory.get(n, weights[n]) - LR * (g + decay * weights[n])
            memory[n] = z
            weights[n] = weights[n] + (z - weights[n]) / t
    return step


def main():
    options = {"rho": 0.2, "base": "sgd", "lr": LR}
    file = File("sam", "NumPy, from Foret et al. 2021, equation 2, and the ASAM of davda54/sam")
    for name, p in (("p2", 2), ("p1", 1), ("p4", 4), ("inf", np.inf)):
        file.case(name, {**options, "p": p, "base.momentum": 0.9}, loss_trace(sam(0.2, p)), loss="quadratic")
    file.case("absolute", {**options, "rho": 1, "adaptive": "absolute"}, loss_trace(asam(1, np.abs)), loss="quadratic")
    file.write()
    file = File("looksam", "NumPy, from Liu et al. 2022, algorithm 1")
    file.case("k3", {**options, "k": 3, "alpha": 0.5}, loss_trace(looksam(0.2, 3, 0.5)), loss="quadratic").write()

    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
    base = {"base": "sgd", "lr": LR, "base.momentum": 0.5}
    file = File("ema", "torch.optim.swa_utils.AveragedModel")
    file.case("plain", {**base, "decay": 0.9}, averaged(lambda m: AveragedModel(m, multi_avg_fn=get_ema_multi_avg_fn(0.9)))).write()
    file = File("swa", "torch.optim.swa_utils.AveragedModel")
    file.case("polyak", base, averaged(AveragedModel))
    file.case("swa", {**base, "start": 2, "period": 3}, averaged(AveragedModel, lambda t: t > 2 and (t - 3) % 3 == 0)).write()
    file = File("lookahead", "NumPy, from Zhang et al. 2019, algorithm 1")
    file.case("k3", {**base, "k": 3, "alpha": 0.7}, numpy_trace(lookahead(3, 0.7))).write()
    file = File("primal_averaging", "NumPy, from Defazio et al. 2024, section 2")
    file.case("plain", {"lr": LR}, numpy_trace(primal(0)))
    file.case("decay", {"lr": LR, "weight_decay": 0.2}, numpy_trace(primal(0.2))).write()


if __name__ == "__main__":
    main()
