"""Prodigy and D-Adaptation from the authors' packages (prodigyopt, dadaptation); Sophia-G in NumPy from the authors'
published rule."""
import dadaptation
import numpy as np
import prodigyopt
import torch

from harness import File, SHAPES, STEPS, quadratic, start, torch_trace
from wrappers import loss_gradient, loss_trace


def torch_cases(file, factory, cases, rename):
    for name, options in cases.items():
        arguments = {rename.get(k, k): v for k, v in options.items()}
        if "betas" in arguments:
            arguments["betas"] = tuple(float(b) for b in arguments["betas"].split(","))
        file.case(name, options, torch_trace(lambda p: factory(p, **arguments)))
    file.write()


def sophia(lr, betas, rho, decay, k, batch):
    def step(t, weights, memory):
        g = loss_gradient(t, weights)
        for name, w in weights.items():
            h = memory.setdefault("h" + name, np.zeros_like(w))
            if (t - 1) % k == 0:
                h[...] = betas[1] * h + (1 - betas[1]) * g[name] ** 2
            m = memory[name] = betas[0] * memory.get(name, 0) + (1 - betas[0]) * g[name]
            weights[name] = w * (1 - lr * decay) - lr * np.sign(m) * np.minimum(np.abs(m) / (rho * batch * h + 1e-15), 1)
    return step


def main():
    torch_cases(File("prodigy", "prodigyopt 1.1.2"), prodigyopt.Prodigy, {
        "plain": {"d0": 0.001},
        "all": {"d0": 0.001, "lr": 0.5, "betas": "0.8,0.95", "beta3": 0.9, "eps": 0.01, "weight_decay": 0.1, "use_bias_correction": True,
                "safeguard_warmup": True, "d_coef": 1.5, "growth_rate": 1.3},
    }, {})
    torch_cases(File("dadapt_adam", "dadaptation 3.2, decoupled decay"), lambda p, **o: dadaptation.DAdaptAdam(p, decouple=True, **o), {
        "plain": {"d0": 0.001},
        "all": {"d0": 0.001, "lr": 0.5, "betas": "0.8,0.95", "eps": 0.01, "weight_decay": 0.1, "use_bias_correction": True, "growth_rate": 1.5},
    }, {})
    torch_cases(File("dadapt_sgd", "dadaptation 3.2"), dadaptation.DAdaptSGD, {
        "plain": {"d0": 0.01},
        "all": {"d0": 0.01, "lr": 0.5, "momentum": 0.9, "growth_rate": 1.5},
    }, {})
    file = File("sophia", "NumPy, from the rule of Liuhong99/Sophia")
    file.case("plain", {"lr": 0.05, "k": 3, "batch_size": 10}, loss_trace(sophia(0.05, (0.965, 0.99), 0.04, 0.1, 3, 10)), loss="quadratic")
    file.case("all", {"lr": 0.05, "k": 5, "betas": "0.9,0.8", "rho": 0.1, "batch_size": 8, "weight_decay": 0.3},
              loss_trace(sophia(0.05, (0.9, 0.8), 0.1, 0.3, 5, 8)), loss="quadratic").write()


if __name__ == "__main__":
    main()
