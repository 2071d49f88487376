// Grey images with classes: kept as bytes (a quarter of the memory), normalized to f32 while a batch is filled.
#pragma once

#include "core/tensor.h"
#include "data/dataset.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace gradus::data {

struct Images {
  Index count = 0;
  Index rows = 0;
  Index cols = 0;
  std::vector<std::uint8_t> pixels;  // [count, rows, cols], row-major, 0 is black
  std::vector<std::uint8_t> labels;  // [count]

  Index features() const { return rows * cols; }
  /// The pixels of one image, row by row.
  std::span<const std::uint8_t> image(Index i) const {
    return {pixels.data() + i * features(), static_cast<std::size_t>(features())};
  }
};

/// Error unless there is an image, one label each, and every label is in [0, classes). The names are for messages.
void check_images(const Images& images, Index classes, const std::string& image_file, const std::string& label_file);

/// How a byte becomes a number: (byte / 255 - mean) / std, in f32 and in this order, as torchvision has it.
struct Normalization {
  double mean = 0;
  double std = 1;

  /// Writes one number for each byte.
  void apply(std::span<const std::uint8_t> bytes, float* out) const;
};

/// Batches of normalized images: x f32 [batch, rows * cols], y i64 [batch].
class ImageDataset {
 public:
  ImageDataset(Images images, Normalization normalization);

  Index size() const { return images_.count; }
  Batch allocate(Index count) const;
  void fill(std::span<const Index> indices, Batch& batch) const;

  const Images& images() const { return images_; }
  const Normalization& normalization() const { return normalization_; }

 private:
  Images images_;
  Normalization normalization_;
};

}  // namespace gradus::data
