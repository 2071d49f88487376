// Whole training steps, the same models and sizes as the PyTorch script that scripts/bench_vs_torch compares with. One
// step is batch preparation, forward, loss, backward and update.
#include "bench/works.h"
#include "core/autograd.h"
#include "core/ops.h"
#include "core/random.h"
#include "data/fashion_mnist.h"
#include "data/loader.h"
#include "nn/activation.h"
#include "nn/linear.h"
#include "nn/sequential.h"
#include "optim/adam.h"
#include "optim/sgd.h"

#include <string>

namespace gradus::bench {

/// 2-16-16-1, 32 examples, SGD: so small that the framework is what one sees.
Json tiny_mlp(const Options& options) {
  Rng rng(0);
  const nn::Sequential model{nn::Linear(2, 16, rng), nn::ReLU{}, nn::Linear(16, 16, rng), nn::ReLU{},
                             nn::Linear(16, 1, rng)};
  optim::SGD optimizer(nn::named_parameters(model), {.lr = 0.01});
  const Tensor x = randn({32, 2}, rng), y = randn({32, 1}, rng);
  return report("steps", 1, measure(options.seconds, [&] {
                  optimizer.zero_grad();
                  backward(mse_loss(model(x), y));
                  optimizer.step();
                }));
}

/// 784-512-256-10 on Fashion-MNIST, 128 images, Adam. Also reports the floor: the time that the products' operations
/// and the update's bytes need at least, at the speeds this machine shows in the same run.
Json fashion_mlp(const Options& options) {
  constexpr Index kBatch = 128;
  constexpr Index kLayers[] = {784, 512, 256, 10};
  Rng rng(0);
  const nn::Sequential model{nn::Linear(784, 512, rng), nn::ReLU{}, nn::Linear(512, 256, rng), nn::ReLU{},
                             nn::Linear(256, 10, rng)};
  optim::Adam optimizer(nn::named_parameters(model), {.lr = 1e-3});
  const data::FashionMnist set = data::load_fashion_mnist({.dir = options.data, .download = false});
  data::DataLoader loader(set.train, {.batch_size = kBatch, .shuffle = true, .drop_last = true, .prefetch = false});

  Stopwatch watch(options.seconds);
  for (Index epoch = 0; watch.running(); ++epoch) {
    auto start = Clock::now();  // before the batch is filled
    for (const data::Batch& batch : loader.epoch(epoch)) {
      optimizer.zero_grad();
      backward(cross_entropy(model(batch.x), batch.y));
      optimizer.step();
      watch.add(seconds_since(start));
      if (!watch.running()) break;
      start = Clock::now();
    }
  }
  const Timing timing = watch.timing();
  Json json = report("images", kBatch, timing);

  double flops = 0;
  Index parameters = 0;
  for (int i = 0; i < 3; ++i) {
    const Index weights = kLayers[i] * kLayers[i + 1];
    const int products = i == 0 ? 2 : 3;  // forward, weight gradient, and input gradient but for the images
    flops += 2.0 * static_cast<double>(products * kBatch * weights);
    parameters += weights + kLayers[i + 1];
  }
  const double peak = peak_flops(options.threads), bandwidth = update_bandwidth(parameters);
  const double floor = flops / peak + 28.0 * static_cast<double>(parameters) / bandwidth;
  json["peak_gflops"] = peak * 1e-9;
  json["update_gb_per_second"] = bandwidth * 1e-9;
  json["floor_ms"] = floor * 1e3;
  json["share_of_floor"] = floor / timing.median;
  json["best_share_of_floor"] = floor / timing.best;
  return json;
}

/// One AdamW step on 10 million parameters: 40 matrices of 500 x 500.
Json optim_adamw(const Options& options) {
  Rng rng(0);
  NamedTensors parameters;
  for (int i = 0; i < 40; ++i) {
    Tensor parameter = randn({500, 500}, rng);
    parameter.requires_grad_();
    parameter.set_grad(randn({500, 500}, rng));
    parameters.push_back({std::to_string(i), parameter});
  }
  optim::AdamW optimizer(parameters, {.lr = 1e-3});
  return report("parameters", 1e7, measure(options.seconds, [&] { optimizer.step(); }));
}

}  // namespace gradus::bench
