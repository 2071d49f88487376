#include "data/images.h"

#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace gradus::data {

namespace {

void fetch_ahead(std::span<const std::uint8_t> bytes) {
  constexpr std::size_t kCacheLine = 64;
  for (std::size_t at = 0; at < bytes.size(); at += kCacheLine) __builtin_prefetch(bytes.data() + at);
}

}  // namespace

void check_images(const Images& images, Index classes, const std::string& image_file, const std::string& label_file) {
  const auto labels = static_cast<Index>(images.labels.size());
  GRADUS_CHECK(images.count > 0 && images.features() > 0,
               fmt::format("images: {} holds no pixels\n  shape: {} x {} x {}", image_file, images.count, images.rows,
                           images.cols));
  GRADUS_CHECK(static_cast<Index>(images.pixels.size()) == images.count * images.features(),
               fmt::format("images: {} has {} pixels; expected {} x {} x {}", image_file, images.pixels.size(),
                           images.count, images.rows, images.cols));
  GRADUS_CHECK(labels == images.count,
               fmt::format("images: one label for each image is needed\n  {}: {} images\n  {}: {} labels", image_file,
                           images.count, label_file, labels));
  const auto wrong = std::find_if(images.labels.begin(), images.labels.end(),
                                  [classes](std::uint8_t label) { return label >= classes; });
  GRADUS_CHECK(wrong == images.labels.end(),
               fmt::format("images: a label is out of range\n  {}: label {} of {} is {}; allowed are 0 to {}",
                           label_file, wrong - images.labels.begin(), labels, *wrong, classes - 1));
}

void Normalization::apply(std::span<const std::uint8_t> bytes, float* out) const {
  const auto m = static_cast<float>(mean), s = static_cast<float>(std);
  for (std::size_t i = 0; i < bytes.size(); ++i) out[i] = (static_cast<float>(bytes[i]) / 255.0F - m) / s;
}

ImageDataset::ImageDataset(Images images, Normalization normalization)
    : images_(std::move(images)), normalization_(normalization) {
  GRADUS_CHECK(normalization.std > 0, fmt::format("ImageDataset: std is {}; expected more than 0", normalization.std));
  check_images(images_, 256, "ImageDataset", "ImageDataset");
}

Batch ImageDataset::allocate(Index count) const {
  return {empty({count, images_.features()}), empty({count}, DType::i64)};
}

void ImageDataset::fill(std::span<const Index> indices, Batch& batch) const {
  check_fill("ImageDataset", size(), indices, batch);
  auto* x = batch.x.mutable_data<float>().data();
  auto* y = batch.y.mutable_data<Index>().data();
  for (std::size_t i = 0; i < indices.size(); ++i) {
    // A random image is in no cache: waiting for memory would take twice as long as the arithmetic.
    if (i + 1 < indices.size()) fetch_ahead(images_.image(indices[i + 1]));
    normalization_.apply(images_.image(indices[i]), x);
    x += images_.features();
    *y++ = images_.labels[static_cast<std::size_t>(indices[i])];
  }
}

}  // namespace gradus::data
