#include "data/images.h"

#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace gradus::data {

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

std::array<float, 256> Normalization::table() const {
  GRADUS_CHECK(std > 0, fmt::format("Normalization: std is {}; expected more than 0", std));
  std::array<float, 256> values;
  for (std::size_t byte = 0; byte < values.size(); ++byte)
    values[byte] = static_cast<float>((static_cast<double>(byte) / 255 - mean) / std);
  return values;
}

ImageDataset::ImageDataset(Images images, Normalization normalization)
    : images_(std::move(images)), normalization_(normalization), table_(normalization.table()) {
  check_images(images_, 256, "ImageDataset", "ImageDataset");
}

Batch ImageDataset::allocate(Index count) const {
  return {empty({count, images_.features()}), empty({count}, DType::i64)};
}

void ImageDataset::fill(std::span<const Index> indices, Batch& batch) const {
  check_fill("ImageDataset", size(), indices, batch);
  auto* x = batch.x.mutable_data<float>().data();
  auto* y = batch.y.mutable_data<Index>().data();
  for (const Index index : indices) {
    for (const std::uint8_t pixel : images_.image(index)) *x++ = table_[pixel];
    *y++ = images_.labels[static_cast<std::size_t>(index)];
  }
}

}  // namespace gradus::data
