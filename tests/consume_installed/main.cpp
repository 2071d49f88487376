// A model, a training loop and an evaluation, as a user writes them.
#include <gradus.h>

#include <cstdio>

using namespace gradus;

struct Mlp {
  nn::Linear hidden, out;
  Mlp(Index features, Index width, Index classes, Rng& rng) : hidden(features, width, rng), out(width, classes, rng) {}
  Tensor operator()(const Tensor& x) const { return out(gelu(hidden(x))); }
  static auto fields(auto& self) { return named("hidden", self.hidden, "out", self.out); }
};

int main() {
  Rng rng(7);
  const auto [train, test] = data::spirals({.points = 3000, .arms = 3}, rng).split(0.9);
  Mlp model(2, 64, 3, rng);

  const int epochs = 40;
  data::DataLoader loader(train, {.batch_size = 100, .shuffle = true, .seed = 1});
  optim::AdamW optimizer(nn::named_parameters(model), {.lr = 1e-2});
  const auto schedule = optim::warmup(20) * optim::cosine(epochs * loader.batches());
  for (Index epoch = 0; epoch < epochs; ++epoch)
    for (const data::Batch& batch : loader.epoch(epoch)) {
      const Tensor loss = cross_entropy(model(batch.x), batch.y);
      backward(loss);
      optim::clip_grad_norm(optimizer.parameters(), 1.0);
      optimizer.set_lr_scale(schedule(optimizer.steps()));
      optimizer.step();
      optimizer.zero_grad();
    }

  const NoGrad evaluation;
  const double accuracy = mean(to(equal(argmax(model(test.x()), 1), test.y()), DType::f32)).item();
  nn::save_weights(model, "spirals.safetensors");
  std::printf("%saccuracy %.3f\n", nn::summary(model).c_str(), accuracy);
  return accuracy > 0.9 ? 0 : 1;
}
