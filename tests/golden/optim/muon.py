"""Muon: torch.optim.Muon with its Newton-Schulz in f64 instead of bf16 and the guard of the authors' code (norm + eps), AdamW from torch for vectors; NumPy for the
coefficient sets, scalings and kernels that it does not have."""
import inspect

import numpy as np
import torch
import torch.optim._muon as official

from harness import File, SHAPES, STEPS, gradient, numpy_trace, start

MATRICES = ("tall", "wide", "square")


def official_in_f64():
    source = inspect.getsource(official).replace("torch.bfloat16", "torch.float64").replace("from .optimizer", "from torch.optim.optimizer")
    source = source.replace("ortho_grad.norm().clamp(min=eps)", "ortho_grad.norm() + eps")
    scope = {"__name__": "muon_f64"}
    exec(compile(source, "muon_f64", "exec"), scope)
    return scope["Muon"]


def both_trace(muon_options, aux_options, parameters):
    tensors = {name: torch.nn.Parameter(torch.tensor(start(name))) for name in parameters}
    parts = [official_in_f64()([t for t in tensors.values() if t.ndim == 2], **muon_options)]
    vectors = [t for t in tensors.values() if t.ndim < 2]
    if vectors:
        parts.append(torch.optim.AdamW(vectors, **aux_options))
    for t in range(1, STEPS + 1):
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(gradient(name, t))
        for part in parts:
            part.step()
        yield t, {name: tensor.detach().numpy().copy() for name, tensor in tensors.items()}


YOU = [(3955, -8306, 5008), (3735, -6681, 3463), (3799, -6499, 3211), (4019, -6385, 2906), (2677, -3029, 1162), (2172, -1833, 682)]
POLAR_EXPRESS = [
    (8.28721201814563, -23.595886519098837, 17.300387312530933), (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137), (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673), (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
    (1.8750014808534479, -1.2500016453999487, 0.3750001645474248), (1.875, -1.25, 0.375)]
SPEEDRUN = [(8.156554524902461, -22.48329292557795, 15.878769915207462), (4.042929935166739, -2.808917465908714, .5000178451051316),
            (3.8916678022926607, -2.772484153217685, .5060648178503393), (3.285753657755655, -2.3681294933425376, .46449024233003106),
            (2.3465413258596377, -1.7097828382687081, .42323551169305323)]
SETS = {
    "jordan": ([(3.4445, -4.7750, 2.0315)], 1),
    "you": ([tuple(c / 1024 for c in row) for row in YOU], 1),
    "polar_express": ([(a / 1.01, b / 1.01**3, c / 1.01**5) for a, b, c in POLAR_EXPRESS[:-1]] + [POLAR_EXPRESS[-1]], 1.01),
    "speedrun": (SPEEDRUN, 1.02),
    "modula": ([(3, -16 / 5, 6 / 5)], 1),
    "classic": ([(15 / 8, -10 / 8, 3 / 8)], 1),
    "cubic": ([(1.5, -0.5, 0)], 1),
}


def orthogonalized(u, name, steps):
    """The polynomials act on the singular values: no product of matrices is shared with the implementation under test."""
    left, s, right = np.linalg.svd(u, full_matrices=False)
    if name == "svd":
        return left @ right
    coefficients, safety = SETS[name]
    s = s / (np.linalg.norm(u) * safety + 1e-7)
    for k in range(steps):
        a, b, c = coefficients[min(k, len(coefficients) - 1)]
        s = a * s + b * s**3 + c * s**5
    return (left * s) @ right


def numpy_muon(name, steps, scaling, nesterov=True, decay=0.0, lr=0.02, mu=0.95):
    def step(t, weights, gradients, memory):
        for key, g in gradients.items():
            m = memory[key] = memory.get(key, 0) + (1 - mu) * (g - memory.get(key, 0))
            u = (1 - mu) * g + mu * m if nesterov else m
            flat = u.reshape(len(u), -1)
            rows, columns = flat.shape
            factor = {"original": max(1, rows / columns) ** 0.5, "match_rms_adamw": 0.2 * max(rows, columns) ** 0.5,
                      "rms_to_rms": (rows / columns) ** 0.5, "none": 1}[scaling]
            o = orthogonalized(flat, name, steps).reshape(g.shape)
            weights[key] = weights[key] * (1 - lr * decay) - lr * factor * o
    return step


def main():
    file = File("muon", f"torch.optim.Muon {torch.__version__.split('+')[0]} with bfloat16 replaced by float64; NumPy by singular values")
    aux = {"lr": 3e-4, "betas": (0.9, 0.95), "eps": 1e-10, "weight_decay": 0}
    file.case("official", {"takes": "matrices"}, both_trace({"lr": 0.02, "weight_decay": 0}, aux, ("vector",) + MATRICES), ("vector",) + MATRICES)
    file.case("official_moonlight", {"takes": "matrices", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.1, "scaling": "match_rms_adamw",
                                     "nesterov": False, "aux.lr": 0.01},
              both_trace({"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1, "adjust_lr_fn": "match_rms_adamw", "nesterov": False},
                         {**aux, "lr": 0.01}, ("vector",) + MATRICES), ("vector",) + MATRICES)
    file.case("official_unclamped", {"takes": "matrices", "lr": 0.1, "scaling": "rms_to_rms", "ns_steps": 4},
              both_trace({"lr": 0.1, "weight_decay": 0, "adjust_lr_fn": "spectral_unclamped", "ns_steps": 4}, aux, MATRICES), MATRICES)
    with_kernel = MATRICES + ("conv",)
    for name in (*SETS, "svd"):
        steps = 6 if name in ("you", "polar_express") else 5
        file.case(name, {"takes": "matrices", "orthogonalization": name, "ns_steps": steps, "weight_decay": 0.1},
                  numpy_trace(numpy_muon(name, steps, "original", decay=0.1), with_kernel), with_kernel)
    file.write()


if __name__ == "__main__":
    main()
