"""Traces of the classic and adaptive methods: torch.optim, lion-pytorch, and NumPy where no package has the rule."""
import lion_pytorch
import numpy as np
import torch

from harness import File, each, numpy_trace, torch_trace


def torch_file(method, factory, cases, source=None, rename=lambda o: o):
    file = File(method, source or f"torch.optim.{factory.__name__} {torch.__version__.split('+')[0]}")
    for name, options in cases.items():
        arguments = rename(dict(options))
        if "betas" in arguments:
            arguments["betas"] = tuple(float(b) for b in arguments["betas"].split(","))
        file.case(name, options, torch_trace(lambda p: factory(p, **arguments)))
    return file


def main():
    o = torch.optim
    torch_file("sgd", o.SGD, {
        "plain": {"lr": 0.1},
        "momentum": {"lr": 0.1, "momentum": 0.9},
        "dampening": {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.05},
        "nesterov": {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1},
        "maximize": {"lr": 0.1, "momentum": 0.8, "maximize": True, "weight_decay": 0.1},
    }).write()
    adam = {
        "plain": {"lr": 0.05},
        "betas": {"lr": 0.05, "betas": "0.5,0.7", "eps": 0.01},
        "amsgrad": {"lr": 0.05, "betas": "0.8,0.5", "amsgrad": True, "weight_decay": 0.1},
        "decay": {"lr": 0.05, "weight_decay": 0.3},
    }
    torch_file("adam", o.Adam, adam).write()
    torch_file("adamw", o.AdamW, adam).write()
    torch_file("adamax", o.Adamax, {"plain": {"lr": 0.05}, "decay": {"lr": 0.05, "betas": "0.7,0.6", "weight_decay": 0.1}}).write()
    torch_file("nadam", o.NAdam, {
        "plain": {"lr": 0.05},
        "decay": {"lr": 0.05, "betas": "0.8,0.9", "weight_decay": 0.1, "momentum_decay": 0.02},
        "decoupled": {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True},
    }).write()
    torch_file("radam", o.RAdam, {
        "plain": {"lr": 0.05},
        "short": {"lr": 0.05, "betas": "0.8,0.9", "weight_decay": 0.1},
        "decoupled": {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True},
    }).write()

    adagrad = torch_file("adagrad", o.Adagrad, {
        "plain": {"lr": 0.1},
        "all": {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.2, "eps": 0.01},
    }, source="torch.optim.Adagrad; eps_inside: NumPy")

    def adagrad_inside(t, w, g, memory):
        memory["G"] = memory.get("G", 0) + g * g
        return w - 0.1 * g / np.sqrt(memory["G"] + 0.1)

    adagrad.case("eps_inside", {"lr": 0.1, "eps": 0.1, "eps_inside": True}, numpy_trace(each(adagrad_inside))).write()

    rmsprop = torch_file("rmsprop", o.RMSprop, {
        "plain": {"lr": 0.01},
        "centered": {"lr": 0.01, "alpha": 0.9, "centered": True},
        "all": {"lr": 0.01, "alpha": 0.9, "centered": True, "momentum": 0.5, "weight_decay": 0.1, "eps": 0.001},
        "momentum": {"lr": 0.01, "alpha": 0.9, "momentum": 0.5},
    }, source="torch.optim.RMSprop; eps_inside: NumPy")

    def rmsprop_inside(t, w, g, memory):
        memory["v"] = 0.9 * memory.get("v", 0) + 0.1 * g * g
        return w - 0.01 * g / np.sqrt(memory["v"] + 0.1)

    rmsprop.case("eps_inside", {"lr": 0.01, "alpha": 0.9, "eps": 0.1, "eps_inside": True},
                 numpy_trace(each(rmsprop_inside))).write()

    torch_file("adadelta", o.Adadelta, {
        "plain": {},
        "all": {"lr": 0.5, "rho": 0.95, "eps": 0.01, "weight_decay": 0.1},
    }).write()

    torch_file("lion", lion_pytorch.Lion, {
        "plain": {"lr": 0.01},
        "decay": {"lr": 0.01, "betas": "0.95,0.98", "weight_decay": 0.5},
    }, source="lion-pytorch, the rule of google/automl").write()

    def eps_pair(arguments):
        first = arguments.pop("eps1", None)
        second = arguments.pop("eps2", 1e-3)
        if first is not None or second != 1e-3:
            arguments["eps"] = (first, second)
        return arguments

    torch_file("adafactor", o.Adafactor, {
        "plain": {},
        "all": {"lr": 0.1, "beta2_decay": -0.6, "eps2": 0.01, "d": 1.2, "weight_decay": 0.1},
    }, rename=eps_pair).write()

    def normalized(scope):
        def step(t, weights, gradients, memory):
            for name, g in gradients.items():
                memory[name] = 0.5 * memory.get(name, 0) + 0.5 * g
            together = np.sqrt(sum((m**2).sum() for m in memory.values()))
            for name, m in memory.items():
                norm = np.sqrt((m**2).sum()) if scope == "tensor" else together
                weights[name] = weights[name] * (1 - 0.1 * 0.2) - 0.1 * m / norm
        return step

    def normalized_plain(scope):
        def step(t, weights, gradients, memory):
            together = np.sqrt(sum((g**2).sum() for g in gradients.values()))
            for name, g in gradients.items():
                weights[name] = weights[name] - 0.1 * g / (np.sqrt((g**2).sum()) if scope == "tensor" else together)
        return step

    file = File("normalized_gd", "NumPy, from Cutkosky and Mehta 2020, algorithm 1")
    for scope in ("tensor", "global"):
        file.case(scope, {"lr": 0.1, "scope": scope}, numpy_trace(normalized_plain(scope)))
        file.case(scope + "_decay", {"lr": 0.1, "scope": scope, "momentum": 0.5, "weight_decay": 0.2}, numpy_trace(normalized(scope)))
    file.write()

    def signum(t, w, g, memory):
        memory["m"] = 0.9 * memory.get("m", 0) + 0.1 * g
        return w * (1 - 0.01 * 0.1) - 0.01 * np.sign(memory["m"])

    file = File("signsgd", "NumPy, from Bernstein et al. 2018, algorithms 1 and 2")
    file.case("plain", {"lr": 0.01}, numpy_trace(each(lambda t, w, g, memory: w - 0.01 * np.sign(g))))
    file.case("signum", {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.1}, numpy_trace(each(signum)))
    file.write()

    def lamb(t, w, g, memory, bias_correction, clamp, always):
        memory["m"] = 0.9 * memory.get("m", 0) + 0.1 * g
        memory["v"] = 0.99 * memory.get("v", 0) + 0.01 * g * g
        m, v = memory["m"], memory["v"]
        if bias_correction:
            m, v = m / (1 - 0.9**t), v / (1 - 0.99**t)
        u = m / (np.sqrt(v) + 1e-6) + 0.1 * w
        size, step = np.linalg.norm(w), np.linalg.norm(u)
        size = min(size, clamp)
        return w - 0.05 * (size / step if size > 0 and step > 0 else 1) * u

    file = File("lamb", "NumPy, from You et al. 2020, algorithm 2, with ||u|| in the trust ratio")
    options = {"lr": 0.05, "betas": "0.9,0.99", "weight_decay": 0.1}
    file.case("plain", options, numpy_trace(each(lambda *a: lamb(*a, True, np.inf, True))))
    file.case("clamped", {**options, "bias_correction": False, "max_weight_norm": 1.5},
              numpy_trace(each(lambda *a: lamb(*a, False, 1.5, True))))
    file.write()


if __name__ == "__main__":
    main()
