"""Schedule-Free, from the authors' package (schedulefree). Recorded is the point to evaluate, x, after eval()."""
import schedulefree
import torch

from harness import File, RECORDED, SHAPES, STEPS, gradient, start


def trace(factory, options):
    arguments = dict(options)
    if "betas" in arguments:
        arguments["betas"] = tuple(float(b) for b in arguments["betas"].split(","))
    if "beta" in arguments:
        arguments["momentum"] = arguments.pop("beta")
    arguments.pop("paper", None)
    tensors = {name: torch.nn.Parameter(torch.tensor(start(name))) for name in SHAPES}
    optimizer = factory(list(tensors.values()), foreach=False, **arguments) if factory is not schedulefree.AdamWScheduleFreePaper \
        else factory(list(tensors.values()), **arguments)
    optimizer.train()
    for t in range(1, STEPS + 1):
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(gradient(name, t))
        optimizer.step()
        if t in RECORDED:
            optimizer.eval()
            yield t, {name: tensor.detach().numpy().copy() for name, tensor in tensors.items()}
            optimizer.train()


def main():
    for method, factory, cases in (
        ("schedule_free_sgd", schedulefree.SGDScheduleFree, {
            "plain": {"lr": 0.1},
            "all": {"lr": 0.1, "beta": 0.8, "weight_decay": 0.1, "warmup_steps": 4, "r": 0.75, "weight_lr_power": 1.5},
        }),
        ("schedule_free_adamw", schedulefree.AdamWScheduleFree, {
            "plain": {"lr": 0.05},
            "all": {"lr": 0.05, "betas": "0.95,0.98", "weight_decay": 0.1, "warmup_steps": 4, "r": 0.75, "weight_lr_power": 1.5},
        }),
        ("schedule_free_radam", schedulefree.RAdamScheduleFree, {
            "plain": {"lr": 0.05},
            "loud": {"lr": 0.05, "betas": "0.9,0.95", "weight_decay": 0.1, "silent_sgd_phase": False},
        }),
    ):
        file = File(method, f"schedulefree.{factory.__name__}")
        for name, options in cases.items():
            file.case(name, options, trace(factory, options))
        if method == "schedule_free_adamw":
            options = {"lr": 0.05, "weight_decay": 0.1, "warmup_steps": 3, "paper": True}
            file.case("paper", options, trace(schedulefree.AdamWScheduleFreePaper, options))
        file.write()


if __name__ == "__main__":
    main()
