// Classifies one picture.
#include "apps/common/picture.h"
#include "apps/fashion_mnist/fashion_mnist.h"
#include "core/ops.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace gradus::apps {

int predict(const std::string& picture, const std::string& checkpoint) {
  data::Images example{1, data::kFashionMnistSide, data::kFashionMnistSide, {}, {0}};
  example.pixels = to_example(read_png(picture), static_cast<int>(data::kFashionMnistSide)).pixels;
  const data::ImageDataset images(std::move(example), data::kFashionMnistNormalization);
  const nn::Sequential model = load_model(checkpoint);

  const NoGrad no_grad;
  data::Batch batch = images.allocate(1);
  const Index first = 0;
  images.fill({&first, 1}, batch);
  const std::vector<double> probabilities = softmax(model(batch.x)).to_vector();

  std::vector<std::size_t> order(probabilities.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return probabilities[a] > probabilities[b]; });
  for (std::size_t rank = 0; rank < 3; ++rank)
    fmt::print("{:<12} {:5.1f} %\n", data::kFashionMnistClasses[order[rank]], 100 * probabilities[order[rank]]);
  return 0;
}

}  // namespace gradus::apps
