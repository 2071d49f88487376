"""SVRG and SAGA in NumPy, from the papers. The terms are the quadratics of harness.py; which one comes is drawn by the stream
of core/random.h."""
import numpy as np

from harness import File, SHAPES
from low_rank import philox, split, words
from wrappers import loss_gradient, loss_trace

LR, TERMS = 0.1, 4


def pick(seed, step):
    out = philox((0, 0, 0, 0), words(split(seed, step)))
    return (out[1] << 32 | out[0]) % TERMS  # below() draws again only for the last few of 2^64 words


def term_gradient(term, weights):
    return loss_gradient(term + 1, weights)


def mean_gradient(weights):
    parts = [term_gradient(i, weights) for i in range(TERMS)]
    return {n: sum(p[n] for p in parts) / TERMS for n in weights}


def svrg(interval, seed):
    def step(t, weights, memory):
        if (t - 1) % interval == 0:
            memory["w"] = {n: w.copy() for n, w in weights.items()}
            memory["full"] = mean_gradient(weights)
        i = pick(seed, t - 1)
        g, old = term_gradient(i, weights), term_gradient(i, memory["w"])
        for n in weights:
            weights[n] = weights[n] - LR * (g[n] - old[n] + memory["full"][n])
    return step


def saga(seed, momentum):
    def step(t, weights, memory):
        if t == 1:
            memory["kept"] = [term_gradient(i, weights) for i in range(TERMS)]
        i = pick(seed, t - 1)
        g = term_gradient(i, weights)
        for n in weights:
            mean = sum(k[n] for k in memory["kept"]) / TERMS
            memory[n] = momentum * memory.get(n, 0) + (g[n] - memory["kept"][i][n] + mean)
            weights[n] = weights[n] - LR * memory[n]
        memory["kept"][i] = g
    return step


def main():
    base = {"base": "sgd", "lr": LR, "terms": TERMS}
    file = File("svrg", "NumPy, from Johnson and Zhang 2013")
    file.case("plain", base, loss_trace(svrg(8, 0)), loss="terms")
    file.case("often", {**base, "inner_steps": 3, "seed": 5}, loss_trace(svrg(3, 5)), loss="terms").write()
    file = File("saga", "NumPy, from Defazio, Bach, Lacoste-Julien 2014, equation 1")
    file.case("plain", base, loss_trace(saga(0, 0)), loss="terms")
    file.case("momentum", {**base, "seed": 3, "base.momentum": 0.5}, loss_trace(saga(3, 0.5)), loss="terms").write()


if __name__ == "__main__":
    main()
