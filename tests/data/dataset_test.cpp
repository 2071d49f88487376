// The data sets in memory: tensors, images, and the made-up ones.
#include "data/dataset.h"

#include "core/memory.h"
#include "core/ops.h"
#include "data/images.h"
#include "data/loader.h"
#include "data/synthetic.h"
#include "tests/support.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <numbers>

using namespace gradus;
using namespace gradus::data;
using namespace gradus::testing;
using Catch::Matchers::Contains;

namespace {

template <Dataset D>
Batch take(const D& dataset, const std::vector<Index>& indices) {
  Batch batch = dataset.allocate(static_cast<Index>(indices.size()));
  dataset.fill(indices, batch);
  return batch;
}

Images two_images() { return {2, 1, 3, {0, 51, 255, 1, 2, 3}, {9, 4}}; }

}  // namespace

static_assert(Dataset<TensorDataset> && Dataset<ImageDataset> && !Dataset<Tensor>);

TEST_CASE("TensorDataset picks rows of any shape and dtype") {
  const Tensor x = reshape(arange(24), {4, 3, 2});
  const Tensor y = tensor({0.5, 1.5, 2.5, 3.5}, DType::f64);
  const TensorDataset dataset(x, y);
  CHECK(dataset.size() == 4);
  const Batch batch = take(dataset, {3, 0, 3});
  CHECK(batch.size() == 3);
  CHECK(batch.x.shape() == Shape{3, 3, 2});
  CHECK(batch.x.dtype() == DType::i64);
  CHECK(batch.x.to_vector() == std::vector<double>{18, 19, 20, 21, 22, 23, 0, 1, 2, 3, 4, 5, 18, 19, 20, 21, 22, 23});
  CHECK(batch.y.to_vector() == std::vector<double>{3.5, 0.5, 3.5});
  CHECK(take(dataset, {}).x.shape() == Shape{0, 3, 2});
}

TEST_CASE("TensorDataset takes views and drops history") {
  Tensor x = ones({3, 2});
  x.requires_grad_();
  const TensorDataset dataset(transpose(reshape(arange(6), {2, 3})), 2.0 * x);
  CHECK(take(dataset, {1}).x.to_vector() == std::vector<double>{1, 4});
  CHECK_FALSE(dataset.y().requires_grad());
  CHECK(dataset.x().tag() == MemTag::data);
}

TEST_CASE("TensorDataset splits in front and behind") {
  const TensorDataset dataset(arange(10), arange(10));
  const auto [front, rest] = dataset.split(0.75);
  CHECK(front.size() == 8);
  CHECK(rest.size() == 2);
  CHECK(take(rest, {0}).x.item() == 8);
  CHECK(front.x().shares_storage_with(dataset.x()));
  CHECK(dataset.split(1).second.size() == 0);
  CHECK_THROWS_WITH(dataset.split(1.5), Contains("fraction is 1.5; expected 0 to 1"));
  CHECK_THROWS_AS(dataset.split(std::nan("")), Error);
}

TEST_CASE("TensorDataset refuses what does not fit") {
  CHECK_THROWS_WITH(TensorDataset(ones({3, 2}), arange(2)), Contains("f32 [3, 2]") && Contains("i64 [2]"));
  CHECK_THROWS_WITH(TensorDataset(scalar(1), arange(1)), Contains("needs x.shape[0] == y.shape[0]"));
  CHECK_THROWS_AS(TensorDataset(Tensor(), arange(1)), Error);
  const TensorDataset dataset(ones({3, 2}), arange(3));
  CHECK_THROWS_WITH(take(dataset, {0, 3}), Contains("example 3 does not exist; allowed are 0 to 2"));
  CHECK_THROWS_AS(take(dataset, {-1}), Error);
  Batch batch = dataset.allocate(2);
  const std::vector<Index> one = {0};
  CHECK_THROWS_WITH(dataset.fill(one, batch), Contains("not made by allocate(1)"));
}

TEST_CASE("ImageDataset normalizes pixels") {
  const ImageDataset dataset(two_images(), {.mean = 0.5, .std = 0.25});
  CHECK(dataset.size() == 2);
  const Batch batch = take(dataset, {1, 0});
  CHECK(batch.x.shape() == Shape{2, 3});
  CHECK(batch.x.dtype() == DType::f32);
  const auto x = batch.x.to_vector();
  CHECK(x[0] == Approx((1 / 255.0 - 0.5) / 0.25));
  CHECK(x[3] == -2);
  CHECK(x[4] == Approx(-1.2));
  CHECK(x[5] == 2);
  CHECK(batch.y.dtype() == DType::i64);
  CHECK(batch.y.to_vector() == std::vector<double>{4, 9});
  CHECK_THROWS_WITH(take(dataset, {2}), Contains("ImageDataset: example 2 does not exist"));
  CHECK_THROWS_WITH(ImageDataset(two_images(), {.mean = 0, .std = 0}),
                    Contains("ImageDataset: std is 0; expected more than 0"));
}

TEST_CASE("check_images names the label that is out of range") {
  Images images = two_images();
  check_images(images, 10, "images", "labels");
  CHECK_THROWS_WITH(check_images(images, 9, "images", "labels"),
                    Contains("labels: label 0 of 2 is 9; allowed are 0 to 8"));
  images.labels.push_back(0);
  CHECK_THROWS_WITH(check_images(images, 10, "images", "labels"),
                    Contains("images: 2 images") && Contains("labels: 3 labels"));
  images = two_images();
  images.pixels.pop_back();
  CHECK_THROWS_WITH(check_images(images, 10, "images", "labels"), Contains("has 5 pixels; expected 2 x 1 x 3"));
  CHECK_THROWS_WITH(check_images({}, 10, "images", "labels"), Contains("images holds no pixels"));
}

TEST_CASE("spirals lie in the unit disc, one class an arm") {
  Rng rng(1), again(1);
  const TensorDataset set = spirals({.points = 3000, .arms = 4, .noise = 0}, rng);
  CHECK(set.x().shape() == Shape{3000, 2});
  const auto x = set.x().to_vector();
  const auto y = set.y().to_vector();
  std::vector<int> counts(4);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double radius = std::hypot(x[2 * i], x[2 * i + 1]);
    CHECK(radius <= 1.0001);
    ++counts.at(static_cast<std::size_t>(y[i]));
    // Without noise the angle tells the arm.
    const double turn = std::atan2(x[2 * i + 1], x[2 * i]) / (2 * std::numbers::pi) - 0.6 * radius - y[i] / 4;
    if (radius > 0.01) CHECK(turn - std::round(turn) == Approx(0).margin(1e-4));
  }
  for (const int count : counts) CHECK(std::abs(count - 750) < 150);
  CHECK(spirals({.points = 3000, .arms = 4, .noise = 0}, again).x().to_vector() == x);
  CHECK(rng == again);
}

TEST_CASE("two_moons are half circles") {
  Rng rng(2);
  const TensorDataset set = two_moons({.points = 500, .noise = 0}, rng);
  const auto x = set.x().to_vector();
  const auto y = set.y().to_vector();
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double across = y[i] == 0 ? x[2 * i] : x[2 * i] - 1;
    const double up = y[i] == 0 ? x[2 * i + 1] : 0.5 - x[2 * i + 1];
    CHECK(std::hypot(across, up) == Approx(1));
    CHECK(up >= -1e-6);
  }
}

TEST_CASE("linear_regression hides the weight it gives") {
  Rng rng(3);
  const LinearRegression made = linear_regression({.points = 200, .features = 5, .noise = 0.1}, rng);
  const Tensor residual = made.dataset.y() - linear(made.dataset.x(), made.weight, made.bias);
  CHECK(residual.shape() == Shape{200, 1});
  CHECK(std::sqrt(mean(square(residual)).item()) == Approx(0.1).epsilon(0.3));
}

TEST_CASE("synthetic sets refuse senseless options") {
  Rng rng(4);
  CHECK_THROWS_WITH(spirals({.points = 0}, rng), Contains("spirals: points is 0"));
  CHECK_THROWS_WITH(spirals({.arms = 0}, rng), Contains("arms is 0"));
  CHECK_THROWS_WITH(two_moons({.noise = -1}, rng), Contains("two_moons: noise is -1"));
  CHECK_THROWS_WITH(linear_regression({.features = 0}, rng), Contains("features is 0"));
}
