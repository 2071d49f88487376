// The data, and how well a model does on it.
#include "apps/common/progress.h"
#include "apps/fashion_mnist/fashion_mnist.h"
#include "core/ops.h"
#include "data/loader.h"

#include <fmt/format.h>

namespace gradus::apps {

data::FashionMnist load_data(const Options& options) {
  Progress progress(1, detect_terminal(), options.quiet);
  data::FashionMnistOptions where;
  where.dir = options.data;
  where.allow_other = !options.data.empty();
  where.progress = [](void* context, std::int64_t bytes, std::int64_t total) {
    auto& bar = *static_cast<Progress*>(context);
    if (bytes == 0) bar.line("downloading Fashion-MNIST, once");
    if (!bar.started()) bar.begin(1, "download", total, "bytes");
    bar.update(bytes, "");
  };
  where.progress_context = &progress;
  return data::load_fashion_mnist(where);
}

Evaluation evaluate(const nn::Sequential& model, const data::ImageDataset& images) {
  constexpr Index kBatch = 1000;
  const NoGrad no_grad;
  Evaluation result;
  Index correct = 0;
  data::DataLoader loader(images, {.batch_size = kBatch});
  for (const data::Batch& batch : loader.epoch(0)) {
    const Tensor logits = model(batch.x);  // [batch, classes]
    result.loss += cross_entropy(logits, batch.y, {.reduction = Reduction::sum}).item();
    const Tensor predicted = argmax(logits);
    for (Index i = 0; i < batch.size(); ++i) {
      result.predictions.push_back(predicted.data<Index>()[static_cast<std::size_t>(i)]);
      correct += result.predictions.back() == batch.y.data<Index>()[static_cast<std::size_t>(i)];
    }
  }
  result.loss /= static_cast<double>(images.size());
  result.accuracy = static_cast<double>(correct) / static_cast<double>(images.size());
  return result;
}

int evaluate_checkpoint(const Options& options, bool architecture_given) {
  std::optional<std::vector<Index>> hidden;
  if (architecture_given) hidden = options.hidden;
  const nn::Sequential model = load_model(options.checkpoint, hidden);
  const data::FashionMnist set = load_data(options);
  const Evaluation test = evaluate(model, set.test);
  if (!options.quiet) fmt::print("test loss: {:.4f}\n", test.loss);
  fmt::print("test accuracy: {:.4f}\n", test.accuracy);
  return 0;
}

}  // namespace gradus::apps
