// An operation of the user's own, checked and trained.
#include <gradus.h>

#include <cstdio>

using namespace gradus;

/// x / sqrt(1 + x^2).
struct SoftSign {
  static constexpr std::string_view kName = "soft_sign";
  static constexpr int kSaved = 1;
  Tensor forward(Saver<1>& save, const Tensor& x) const {
    save(x);
    return x * rsqrt(1.0 + square(x));
  }
  Grads<1> vjp(const Saved<1>& saved, const Tensor& dy, Needs<1>) const {
    return {dy * pow(1.0 + square(saved[0]), -1.5)};
  }
};
Tensor soft_sign(const Tensor& x) { return apply(SoftSign{}, x); }

int main() {
  Rng rng(3);
  nn::Sequential model{nn::Linear(2, 16, rng), soft_sign, nn::Linear(16, 2, rng)};
  const data::TensorDataset moons = data::two_moons({.points = 200}, rng);
  optim::SGD optimizer(nn::named_parameters(model), {.lr = 0.5, .momentum = 0.9});

  const auto step = [&] {
    const Tensor loss = cross_entropy(model(moons.x()), moons.y());
    backward(loss);
    optimizer.step();
    optimizer.zero_grad();
    return loss.item();
  };
  const double first = step();
  double last = first;
  for (int i = 0; i < 100; ++i) last = step();
  std::printf("%s\nloss %.3f -> %.3f\n", build_info().c_str(), first, last);
  return last < first / 2 ? 0 : 1;
}
