"""Shampoo and SOAP in NumPy: Gupta et al. 2018 with the grafting, averages and intervals of facebookresearch/optimizers, and
the rule of nikhilvyas/SOAP. The published numbers of both codes are checked apart from these traces.

SOAP's longer axes stay unrotated here (max_precond_dim): after one gradient their statistics are singular, and the
eigenvectors of a null space are anybody's choice.
"""
import numpy as np

from harness import File, SHAPES, each, numpy_trace


def unfolded(g, axis):
    return np.moveaxis(g, axis, 0).reshape(g.shape[axis], -1)


def along(matrix, x, axis):
    return np.moveaxis(np.tensordot(matrix, x, axes=(1, axis)), 0, axis)


def power(h, exponent, eps):
    values, vectors = np.linalg.eigh(h)
    return (vectors * (np.maximum(values, 0) + eps) ** exponent) @ vectors.T


def pieces(shape, limit):
    cuts = [[slice(b, min(b + limit, d)) for b in range(0, d, limit)] for d in shape]
    return [tuple(c[i] for c, i in zip(cuts, index)) for index in np.ndindex(*[len(c) for c in cuts])]


def shampoo(lr=0.1, beta1=0.9, beta2=1.0, eps=1e-12, decay=0.0, frequency=1, begin=0, limit=1024, exponent=0.0, graft="none",
            graft_beta2=0.999, graft_eps=1e-8):
    begin = begin or frequency

    def rule(t, w, g, memory):
        memory["m"] = beta1 * memory.get("m", 0) + (1 - beta1) * g
        filtered = memory["m"] / (1 - beta1**t) if beta1 else g
        if graft in ("none", "sgd"):
            reference = filtered
        else:
            keep, new = (1, 1) if graft == "adagrad" else (graft_beta2, 1 - graft_beta2)
            memory["v"] = keep * memory.get("v", 0) + new * g * g
            corrected = memory["v"] / (1 - graft_beta2**t) if graft == "adam" else memory["v"]
            reference = filtered / (np.sqrt(corrected) + graft_eps)
        result = reference.copy()
        for b, where in enumerate(pieces(g.shape, limit)):
            step = filtered[where]
            for axis in range(g.ndim):
                outer = unfolded(g[where], axis) @ unfolded(g[where], axis).T
                key = (b, axis)
                memory[key] = memory.get(key, 0) + outer if beta2 == 1 else beta2 * memory.get(key, 0) + (1 - beta2) * outer
                if t >= begin and (t == begin or t % frequency == 0):
                    h = memory[key] if beta2 == 1 else memory[key] / (1 - beta2**t)
                    memory["root", key] = power(h, exponent or -1 / (2 * g.ndim), eps)
                if t >= begin:
                    step = along(memory["root", key], step, axis)
            if t >= begin:
                if graft != "none":
                    step = step * np.linalg.norm(reference[where]) / (np.linalg.norm(step) + 1e-16)
                result[where] = step
        return w - lr * (result + decay * w)

    return each(rule)


def soap(lr, betas, eps, decay, frequency, limit, one_dimensional=False, normalize=False):
    b1, b2 = betas

    def rule(t, w, g, memory):
        axes = [a for a in range(g.ndim) if g.shape[a] <= limit] if g.ndim > 1 or one_dimensional else []
        into = lambda x: x if not axes else turned(x, memory, axes, False)
        out = lambda x: x if not axes else turned(x, memory, axes, True)

        def learn():
            for a in axes:
                outer = unfolded(g, a) @ unfolded(g, a).T
                memory["H", a] = memory.get(("H", a), 0) * b2 + (1 - b2) * outer

        if t == 1:
            learn()
            for a in axes:
                memory["Q", a] = np.linalg.eigh(memory["H", a])[1][:, ::-1]
            memory["m"], memory["v"] = np.zeros_like(g), np.zeros_like(g)
            return w
        n = t - 1
        projected = into(g)
        memory["m"] = b1 * memory["m"] + (1 - b1) * g  # kept unrotated here
        memory["v"] = b2 * memory["v"] + (1 - b2) * projected**2
        u = out(into(memory["m"]) / (np.sqrt(memory["v"]) + eps))
        if normalize:
            u = u / (1e-30 + np.sqrt((u**2).mean()))
        w = w - lr * np.sqrt(1 - b2**n) / (1 - b1**n) * u
        w = w - lr * decay * w
        learn()
        if n % frequency == 0:
            for a in axes:
                q, h = memory["Q", a], memory["H", a]
                order = np.argsort(-np.diag(q.T @ h @ q), kind="stable")
                memory["v"] = np.take(memory["v"], order, axis=a)
                memory["Q", a] = np.linalg.qr(h @ q[:, order])[0]
        return w

    return each(rule)


def turned(x, memory, axes, back):
    for a in axes:
        q = memory["Q", a]
        x = along(q if back else q.T, x, a)
    return x


def main():
    file = File("shampoo", "NumPy, from Gupta et al. 2018 and the rules of facebookresearch/optimizers")
    base = {"lr": 0.1, "eps": 0.01}
    def case(name, shown, **arguments):
        file.case(name, {**base, **shown}, numpy_trace(shampoo(**{**base, **arguments})))
    case("sum", {})
    case("plain_gradient", {"beta1": 0, "weight_decay": 0.1}, beta1=0.0, decay=0.1)
    case("average", {"beta2": 0.9, "precondition_frequency": 3, "start_preconditioning_step": 4}, beta2=0.9, frequency=3, begin=4)
    case("blocks", {"max_preconditioner_dim": 3, "graft": "sgd"}, limit=3, graft="sgd")
    case("graft_adam", {"beta2": 0.95, "graft": "adam", "graft_beta2": 0.9}, beta2=0.95, graft="adam", graft_beta2=0.9)
    case("graft_adagrad", {"graft": "adagrad", "precondition_frequency": 2}, graft="adagrad", frequency=2)
    case("graft_rmsprop", {"graft": "rmsprop", "exponent": -0.5}, graft="rmsprop", exponent=-0.5)
    case("newton", {"root": "newton"})
    file.write()

    file = File("soap", "NumPy, from the rule of nikhilvyas/SOAP")
    file.case("one_sided", {"lr": 0.05, "precondition_frequency": 3, "max_precond_dim": 5},
              numpy_trace(soap(0.05, (0.95, 0.95), 1e-8, 0.01, 3, 5)))
    file.case("every_step", {"lr": 0.05, "betas": "0.8,0.9", "eps": 0.001, "weight_decay": 0.1, "precondition_frequency": 1,
                             "max_precond_dim": 5, "normalize_grads": True},
              numpy_trace(soap(0.05, (0.8, 0.9), 0.001, 0.1, 1, 5, normalize=True)))
    file.write()


if __name__ == "__main__":
    main()
